"""The channels of notifications: a request, a program, a mail; and check-ins with monitors."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import NAMESPACE_URL, uuid5

from jobctl.catalogue.notify_settings import Notify, demand_private_url, resolved
from jobctl.errors import JobctlError, ServiceError, reason_of
from jobctl.project import ProjectContext
from jobctl.site.mail.message import Mailbox, parse_mailbox
from jobctl.subscribers.notification import News

TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 10.0


class Channel(NamedTuple):
    """One way to tell.

    Attributes:
        label: for people: a kind and a host, never a whole URL.
        tell: raises where it could not.
        abandon: ends what is still being told.
    """

    label: str
    tell: Callable[[News], None]
    abandon: Callable[[], None] = lambda: None


def channels(notify: Notify, project: ProjectContext) -> Iterator[Channel]:
    """Every way that the settings name.

    Raises:
        ConfigurationError: a URL's variable holds none.
    """
    shapes: dict[str, Callable[[News], object]] = {
        "webhook": lambda news: news.document(),
        "slack": lambda news: {"text": _escaped(news.text)},
        "discord": lambda news: {"content": news.text[:2000], "allowed_mentions": {"parse": []}},
    }
    for kind, shape in shapes.items():
        named = getattr(notify, kind)
        if named is not None:
            yield _request(kind, resolved(named, project.environment, notify.where), shape)
    if notify.command:
        program = Program(notify.command, project.environment.merged(), project.folder)
        yield Channel(f"command {notify.command[0]}", program.tell, program.abandon)
    for address in notify.mail:
        yield Channel(f"mail to {address}", _mailer(parse_mailbox(address), project))


def _escaped(text: str) -> str:
    """As Slack demands, or ``<!channel>`` would ring: https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def request(url: str, body: object = None) -> None:
    """POST a body, or GET without one; tried again where that may help.

    Raises:
        ServiceError: it was not taken.
        PermanentJobError: the address, which is as good as a password, would cross the network in clear.
    """
    from jobctl.http import send

    demand_private_url(url)
    send(url, body, timeout=TIMEOUT_S)


def _request(kind: str, url: str, shape: Callable[[News], object]) -> Channel:
    return Channel(f"{kind} {urlsplit(url).hostname}", lambda news: request(url, shape(news)))


class Program:
    """A program that gets the news on its standard input. It has 10 seconds; what it leaves behind is ended."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], project: Path) -> None:
        self._argv = list(argv)
        self._environment = environment
        self._project = project
        self._running: subprocess.Popen[bytes] | None = None

    def tell(self, news: News) -> None:
        """Run it once.

        Raises:
            ServiceError: it cannot be started, fails, or takes too long.
        """
        more = {"JOBCTL_EVENT": news.about.value, "JOBCTL_JOB": news.job_id, "JOBCTL_TEXT": news.text}
        try:
            self._running = subprocess.Popen(
                self._argv,
                cwd=self._project,
                env={**self._environment, **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceError(f"it cannot be started: {reason_of(error)}") from error
        with self._running as running:
            try:
                running.communicate(json.dumps(news.document()).encode(), COMMAND_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise ServiceError(f"it took longer than {COMMAND_TIMEOUT_S:.0f} s") from None
            finally:
                self.abandon()
                self._running = None
        if running.returncode:
            raise ServiceError(f"it {_end_of(running.returncode)}")

    def abandon(self) -> None:
        """End it, with all that it started."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)


def _end_of(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"


def _mailer(to: Mailbox, project: ProjectContext) -> Callable[[News], None]:
    def tell(news: News) -> None:
        from html import escape

        from jobctl.site.mail.message import Message
        from jobctl.site.mail.providers import open_transport

        key = sha256(f"{to.address} {news.job_id} {news.about} {news.at.isoformat()}".encode()).hexdigest()
        message = Message(
            to.address, f"[jobctl] {news.text}"[:200], f"<p>{escape(news.text)}</p>", news.text, key, to.name
        )
        try:
            with open_transport(project.environment, project.outbox) as transport:
                transport.send(message)
        except JobctlError:
            raise
        except Exception as error:
            raise ServiceError(f"the mail was not taken: {type(error).__name__}") from error

    return tell


class Step(StrEnum):
    """Where a run is, in Sentry's words."""

    START = "in_progress"
    SUCCESS = "ok"
    FAILURE = "error"


_SUFFIXES = {Step.START: "/start", Step.SUCCESS: "", Step.FAILURE: "/fail"}


def check_in_url(url: str, step: Step, run_id: str) -> str:
    """What to ask for."""
    parts = urlsplit(url)
    unique = str(uuid5(NAMESPACE_URL, f"jobctl:{run_id}"))
    if "/cron/" in parts.path:
        query = urlencode({"status": step.value, "check_in_id": unique.replace("-", "")})
        path = parts.path
    else:
        query = urlencode({"rid": unique})
        path = parts.path.rstrip("/") + _SUFFIXES[step]
    joined = "&".join(filter(None, [parts.query, query]))
    return urlunsplit((parts.scheme, parts.netloc, path, joined, ""))
