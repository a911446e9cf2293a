"""The channels of notifications: a request, a program, a mail."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from jobctl.catalogue.notify_settings import Notify, demand_private_url, resolved
from jobctl.errors import JobctlError, ServiceError, reason_of
from jobctl.project import ProjectContext
from jobctl.site.mail.message import Mailbox, parse_mailbox
from jobctl.subscribers.notification import Notification

TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 10.0


class Channel(NamedTuple):
    """A way to notify one receiver.

    Attributes:
        kind: the key of the ``notify`` table.
        receiver: a host, a program or a mail address, never a whole URL.
        send: raises if the receiver does not accept the notification.
        abort: ends a ``send`` that is in progress.
    """

    kind: str
    receiver: str
    send: Callable[[Notification], None]
    abort: Callable[[], None] = lambda: None

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.kind} to {self.receiver}" if self.kind == "mail" else f"{self.kind} {self.receiver}"


def channels(notify: Notify, project: ProjectContext) -> Iterator[Channel]:
    """Every channel that the settings name.

    Raises:
        ConfigurationError: a variable that should hold a URL does not.
    """
    bodies: dict[str, Callable[[Notification], object]] = {
        "webhook": Notification.document,
        "slack": lambda notification: {"text": _escaped(notification.text)},
        "discord": lambda notification: {
            "content": notification.text[:2000],
            "allowed_mentions": {"parse": []},
        },
    }
    for kind, body in bodies.items():
        named = getattr(notify, kind)
        if named is not None:
            url = resolved(named, project.environment, notify.where)
            yield Channel(kind, urlsplit(url).hostname or "", partial(_post, url, body))
    if notify.command:
        program = Program(notify.command, project.environment.merged(), project.folder)
        yield Channel("command", notify.command[0], program.send, program.abort)
    for address in notify.mail:
        yield Channel("mail", address, partial(_mail, parse_mailbox(address), project))


def request(url: str, body: object = None) -> None:
    """POST a body to a URL, or GET it without one; with retries.

    Raises:
        ServiceError: the response is no success, or there is none.
        PermanentJobError: the URL, which is as good as a password, would cross the network unencrypted.
    """
    from jobctl.http import send

    demand_private_url(url)
    send(url, body, timeout=TIMEOUT_S)


def _post(url: str, body: Callable[[Notification], object], notification: Notification) -> None:
    request(url, body(notification))


def _escaped(text: str) -> str:
    """As Slack requires, so that ``<!channel>`` is text: https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Program:
    """A program that reads the notification from its standard input. It has 10 seconds; then its processes are killed."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._argv = list(argv)
        self._environment = environment
        self._folder = folder
        self._running: subprocess.Popen[bytes] | None = None

    def send(self, notification: Notification) -> None:
        """Run it once.

        Raises:
            ServiceError: it cannot be started, fails, or takes too long.
        """
        variables = {
            "JOBCTL_EVENT": notification.kind.value,
            "JOBCTL_JOB": notification.job_id,
            "JOBCTL_TEXT": notification.text,
        }
        try:
            self._running = subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env={**self._environment, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceError(f"it cannot be started: {reason_of(error)}") from error
        with self._running as running:
            try:
                running.communicate(json.dumps(notification.document()).encode(), COMMAND_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise ServiceError(f"it took longer than {COMMAND_TIMEOUT_S:.0f} s") from None
            finally:
                self.abort()
                self._running = None
        code = running.returncode
        if code:
            raise ServiceError(
                f"it {f'was killed by signal {-code}' if code < 0 else f'exited with code {code}'}"
            )

    def abort(self) -> None:
        """Kill it, with all processes that it started."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)


def _mail(to: Mailbox, project: ProjectContext, notification: Notification) -> None:
    from html import escape

    from jobctl.site.mail.message import Message
    from jobctl.site.mail.providers import open_transport

    text = notification.text
    identity = f"{to.address} {notification.job_id} {notification.kind} {notification.at.isoformat()}"
    key = sha256(identity.encode()).hexdigest()
    message = Message(to.address, f"[jobctl] {text}"[:200], f"<p>{escape(text)}</p>", text, key, to.name)
    try:
        with open_transport(project.environment, project.outbox) as transport:
            transport.send(message)
    except JobctlError:
        raise
    except Exception as error:
        raise ServiceError(f"the mail was not accepted: {type(error).__name__}") from error
