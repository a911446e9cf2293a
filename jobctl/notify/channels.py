"""The ways to tell: a request, a program, a mail. Each raises where it could not."""

import json
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from jobctl.errors import JobctlError, ServiceError
from jobctl.notify.news import News
from jobctl.notify.settings import Notify, resolved
from jobctl.settings.environment import Environment

TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0


class Channel(NamedTuple):
    """``label`` is for people: a kind and a host, never a whole URL."""

    label: str
    tell: Callable[[News], None]


def channels(notify: Notify, environment: Environment, project: Path, outbox: Path) -> Iterator[Channel]:
    """Every way that the settings name.

    Raises:
        ConfigurationError: a URL's variable holds none.
    """
    shapes: dict[str, Callable[[News], object]] = {
        "webhook": lambda news: news.document(),
        "slack": lambda news: {"text": news.text},
        "discord": lambda news: {"content": news.text[:2000]},
    }
    for kind, shape in shapes.items():
        named = getattr(notify, kind)
        if named is not None:
            yield _request(kind, resolved(named, environment), shape)
    if notify.command:
        argv, merged = list(notify.command), environment.merged()
        yield Channel(f"command {argv[0]}", lambda news: _run(argv, merged, project, news))
    for address in notify.mail:
        yield Channel(f"mail to {address}", _mailer(address, environment, outbox))


def request(url: str, body: object = None) -> None:
    """POST a body, or GET without one; tried again where that may help.

    Raises:
        ServiceError: it was not taken.
    """
    from jobctl.mail.api import Api

    parts = urlsplit(url)
    api = Api(f"{parts.scheme}://{parts.netloc}", {}, timeout=TIMEOUT_S)
    answer = api.call(urlunsplit(("", "", parts.path, parts.query, "")), body)
    if not 200 <= answer.status < 300:
        raise ServiceError(f"{api.host} answered {answer.status}")


def _request(kind: str, url: str, shape: Callable[[News], object]) -> Channel:
    return Channel(f"{kind} {urlsplit(url).hostname}", lambda news: request(url, shape(news)))


def _run(argv: list[str], environment: dict[str, str], project: Path, news: News) -> None:
    more = {"JOBCTL_EVENT": news.about.value, "JOBCTL_JOB": news.job_id, "JOBCTL_TEXT": news.text}
    try:
        done = subprocess.run(
            argv,
            cwd=project,
            env={**environment, **more},
            input=json.dumps(news.document()).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(f"it took longer than {COMMAND_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise ServiceError(f"it cannot be started: {(error.strerror or '').lower()}") from error
    if done.returncode:
        raise ServiceError(f"it exited with code {done.returncode}")


def _mailer(address: str, environment: Environment, outbox: Path) -> Callable[[News], None]:
    def tell(news: News) -> None:
        from html import escape

        from jobctl.mail.choose import open_transport
        from jobctl.mail.message import Message

        key = sha256(f"{address} {news.job_id} {news.about} {news.at.isoformat()}".encode()).hexdigest()
        message = Message(
            address, f"[jobctl] {news.text}"[:200], f"<p>{escape(news.text)}</p>", news.text, key
        )
        try:
            with open_transport(environment, outbox) as transport:
                transport.send(message)
        except JobctlError:
            raise
        except Exception as error:
            raise ServiceError(f"the mail was not taken: {type(error).__name__}") from error

    return tell
