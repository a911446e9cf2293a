"""JSON over HTTP to another service, with retries."""

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, ServiceError
from jobctl.settings.masking import Mask, Secret

TIMEOUT_S = 30.0
PAUSES = (1.0, 2.0, 4.0)
_LONGEST_PAUSE = 30.0
_LARGEST = 1024 * 1024

Wait = Callable[[float], object]


class Answer(NamedTuple):
    """What came back. ``body`` is a JSON object, empty where it was none."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


def is_busy(answer: Answer) -> bool:
    """Whether the provider is busy or broken: another try may help."""
    return answer.status == 429 or answer.status >= 500


def authorization(scheme: str, key: Secret, variable: str) -> dict[str, str]:
    """The header that carries a key.

    Raises:
        ConfigurationError: no header can carry it; said here, as the library's own error would show it.
    """
    text = key.reveal()
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(f"{variable} holds a character that no key has", hint="copy it once more")
    return {"Authorization": f"{scheme} {text}"}


class Api:
    """One provider's API. It is asked directly where it is on this machine: a proxy would read what is not encrypted.

    Args:
        base: ``https://host``, perhaps with a path.
        headers: sent with each request: the authorization, which no answer shows.
        timeout: of one request, in seconds.
        wait: between tries; takes seconds.
        pauses: before each further try, in seconds.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        timeout: float = TIMEOUT_S,
        wait: Wait | None = None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self.base = base.rstrip("/")
        self.host = urlsplit(self.base).netloc.rpartition("@")[2]
        self._headers = headers
        self._timeout = timeout
        self._wait = wait or threading.Event().wait
        self._pauses = pauses
        direct = [] if self.base.lower().startswith("https:") else [urllib.request.ProxyHandler({})]
        self._opener = urllib.request.build_opener(_NoRedirect, *direct)
        self._mask = Mask(text.rpartition(" ")[2] for text in headers.values())

    def call(
        self,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: Callable[[Answer], bool] = is_busy,
        method: str | None = None,
    ) -> Answer:
        """POST ``body``, or GET without one; four tries where the provider is busy, broken or away.

        Args:
            method: instead of these.
            again: whether an answer is worth another try.

        Raises:
            ServiceError: it never answered, or cannot be asked.
        """
        pauses = iter(self._pauses)
        while True:
            try:
                answer = self._once(path, body, headers or {}, method)
            except (OSError, http.client.HTTPException) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise ServiceError(f"{self.host} did not answer: {_reason(error)}") from error
                self._wait(pause)
                continue
            except ValueError as error:  # a character of the address or of a header
                raise ServiceError(f"{self.host} cannot be asked: no request can carry that") from error
            pause = next(pauses, None) if again(answer) else None
            if pause is None:
                return answer
            self._wait(_asked_pause(answer.headers) or pause)

    def _once(self, path: str, body: object, headers: Mapping[str, str], method: str | None) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - the setting is checked to be http or https
            f"{self.base}{path}", data=None if body is None else json.dumps(body).encode(), method=method
        )
        common = {"User-Agent": "jobctl", "Accept": "application/json"}
        for name, value in {**common, **self._headers, **headers}.items():
            request.add_header(name, value)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return self._answer(response.status, response.read(_LARGEST), response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return self._answer(error.code, error.read(_LARGEST), error.headers)

    def _answer(self, status: int, data: bytes, headers: Any) -> Answer:
        try:
            body = json.loads(self._mask(data.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            body = {}
        found = {name.lower(): value for name, value in headers.items()}
        return Answer(status, body if isinstance(body, dict) else {}, found)


def ask(url: str, body: object = None, *, timeout: float, pauses: Sequence[float] = PAUSES) -> None:
    """POST a body to a whole URL, or GET without one.

    Args:
        timeout: of one try, in seconds.
        pauses: before each further try, in seconds.

    Raises:
        ServiceError: it was not taken.
    """
    parts = urlsplit(url)
    api = Api(f"{parts.scheme}://{parts.netloc}", {}, timeout=timeout, pauses=pauses)
    answer = api.call(urlunsplit(("", "", parts.path, parts.query, "")), body)
    if not 200 <= answer.status < 300:
        raise ServiceError(f"{api.host} answered {answer.status}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to somewhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the 3xx is the answer."""


def _asked_pause(headers: Mapping[str, str]) -> float | None:
    """``retry-after`` or ``ratelimit-reset``, in seconds or as a date; never more than 30 s."""
    text = headers.get("retry-after") or headers.get("ratelimit-reset")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - SystemClock().now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), _LONGEST_PAUSE) if seconds == seconds else None  # noqa: PLR0124 - NaN


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None)
    inner = cause if isinstance(cause, Exception) else error
    if isinstance(inner, TimeoutError):
        return "not in time"
    if isinstance(inner, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(inner, http.client.HTTPException):
        return "it does not speak HTTP"
    return str(getattr(inner, "strerror", None) or type(inner).__name__).lower()
