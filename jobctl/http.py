"""The HTTP client for other services: JSON requests with timeouts, retries and a size limit. It follows no redirect."""

import http.client
import json
import select
import ssl
import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from socket import gaierror
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

from jobctl.clock import Clock, SystemClock
from jobctl.errors import ConfigurationError, ServiceError
from jobctl.settings.masking import Mask, Secret
from jobctl.text import printable

TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
MAX_SIZE = 16 * 1024 * 1024
"""Of a response, in bytes: the output of a Trigger.dev run may have 10 MB."""
_CHUNK = 64 * 1024
_KEY_HEADERS = ("Authorization", "X-Api-Key")

Wait = Callable[[float], object]


class Response(NamedTuple):
    """A response.

    Attributes:
        body: its JSON; None if it is not JSON, or too large.
        headers: by lower-case name.
    """

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object; empty if the body is something else."""
        return self.body if isinstance(self.body, dict) else {}


def is_transient(response: Response) -> bool:
    """Whether the service is busy or broken, so that another request may succeed."""
    return response.status == 429 or response.status >= 500


def retry_after(response: Response, clock: Clock) -> float | None:
    """Seconds until the time that ``Retry-After`` or ``RateLimit-Reset`` names, as a number or a date."""
    text = response.headers.get("retry-after") or response.headers.get("ratelimit-reset")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - clock.now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if isfinite(seconds) else None


class RetryPolicy(NamedTuple):
    """When a request is sent again, and after which pause.

    Attributes:
        pauses: before each further attempt, in seconds, if the service does not name a time.
        max_pause: the longest single pause, in seconds.
        max_total: no attempt follows if all pauses together would be longer than this, in seconds.
        is_retried: whether a response is worth another attempt; no response always is.
        named_pause: the seconds until the time that the service names, or None.
    """

    pauses: tuple[float, ...] = (1.0, 2.0, 4.0)
    max_pause: float = 30.0
    max_total: float = 90.0
    is_retried: Callable[[Response], bool] = is_transient
    named_pause: Callable[[Response, Clock], float | None] = retry_after


NO_RETRY = RetryPolicy(pauses=())


def authorization(scheme: str, key: Secret, variable: str) -> dict[str, str]:
    """The header ``Authorization`` with a key.

    Raises:
        ConfigurationError: as ``key_header``.
    """
    return key_header("Authorization", key, variable, f"{scheme} ")


def key_header(name: str, key: Secret, variable: str, prefix: str = "") -> dict[str, str]:
    """The header that carries a key, ``Authorization`` or ``X-Api-Key``.

    Raises:
        ConfigurationError: no header can carry it. The library's own error would show the key.
    """
    text = key.reveal()
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(
            f"{variable} contains a character that no key has", hint="copy the key again"
        )
    return {name: f"{prefix}{text}"}


class HttpClient:
    """Requests to one service, from one thread at a time.

    An ``https`` service is reached through the proxy of the environment, if ``use_proxy``. Others are on this
    machine, and are connected to directly: a proxy could read what is not encrypted.

    Args:
        base: ``https://host``, or a whole URL.
        headers: sent with each request. The key in ``Authorization`` or ``X-Api-Key`` is masked in responses.
        name: of the service in errors; None is its host.
        timeout: of one wait for the network, in seconds. A whole response may take twice as long.
        wait: called with the seconds between attempts.
        keep_open: keep the connection open between requests, until ``close``.

    Raises:
        ServiceError: ``base`` is not a usable address.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
        timeout: float = TIMEOUT_S,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        wait: Wait | None = None,
        clock: Clock | None = None,
        use_proxy: bool = True,
        keep_open: bool = False,
    ) -> None:
        parts = urlsplit(base)
        self.host = parts.netloc.rpartition("@")[2]
        self._name = name or self.host
        self._encrypted = parts.scheme.lower() == "https"
        try:
            if "@" in parts.netloc or not parts.netloc.isascii():
                raise ValueError
            # never None: http.client would take the last part of an IPv6 address for a port
            self._port = parts.port or (443 if self._encrypted else 80)
        except ValueError:
            raise self._invalid() from None
        self._host = parts.hostname or ""
        self._path, self._query = parts.path, parts.query
        self._headers = {"User-Agent": "jobctl", "Accept": "application/json", **(headers or {})}
        if not keep_open:
            self._headers["Connection"] = "close"
        self._timeout = timeout
        self._retry = retry
        self._wait = wait or threading.Event().wait
        self._clock = clock or SystemClock()
        self._use_proxy = use_proxy and self._encrypted
        self._mask = Mask(self._headers.get(name, "").rpartition(" ")[2] for name in _KEY_HEADERS)
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self,
        path: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> Response:
        """Send one request, again as the retry policy says, and return the last response.

        Args:
            path: below the path of the base, with the query; without it the base itself is requested.
            body: sent as JSON; None sends no body.
            method: None is POST with a body, else GET.

        Raises:
            ServiceError: there was no response.
        """
        policy = retry or self._retry
        verb = method or ("GET" if body is None else "POST")
        whole = urlunsplit(("", "", self._path or "/", self._query, ""))
        target = f"{self._path.rstrip('/')}{path}" if path else whole
        total = 0.0
        defaults = iter(policy.pauses)
        while True:
            result = self._attempt(verb, target, body, headers or {})
            default = next(defaults, None)
            pause = None if default is None else self._pause(policy, result, default)
            if pause is None or total + pause > policy.max_total:
                break
            total += pause
            self._wait(pause)
        if isinstance(result, ServiceError):
            raise result
        return result

    def close(self) -> None:
        """Close the connection if it is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _pause(self, policy: RetryPolicy, result: Response | ServiceError, default: float) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        if isinstance(result, ServiceError):
            return default
        if not policy.is_retried(result):
            return None
        return min(policy.named_pause(result, self._clock) or default, policy.max_pause)

    def _attempt(
        self, method: str, target: str, body: object, headers: Mapping[str, str]
    ) -> Response | ServiceError:
        data = None if body is None else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        try:
            connection = self._connected()
            connection.request(method, target, data, {**self._headers, **headers, **kind})
            with connection.getresponse() as received:
                content = self._read(received)
                found = Response(
                    received.status,
                    self._json(content),
                    {name.lower(): value for name, value in received.getheaders()},
                )
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, http.client.InvalidURL):
                raise self._invalid() from None
            failure = ServiceError(f"{self._name} {_failure(error)}")
            failure.__cause__ = error
            return failure
        except ValueError:  # a character of the address or of a header
            self.close()
            raise self._invalid() from None
        if content is None or self._headers.get("Connection") == "close":
            self.close()
        return found

    def _invalid(self) -> ServiceError:
        return ServiceError(f"{self._name} cannot be requested: the address or a header is not valid")

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and _is_closed_by_server(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._new_connection()
        connection = self._connection
        is_new = connection.sock is None
        if is_new:
            connection.connect()
            connection.sock.settimeout(self._timeout)
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        timeout = min(self._timeout, CONNECT_TIMEOUT_S)
        host, port = self._host, self._port
        proxy = _proxy_for(host) if self._use_proxy else None
        if proxy is not None:
            parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
            tunnel = http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=timeout)
            tunnel.set_tunnel(host, port, _proxy_authorization(parts.username, parts.password))
            return tunnel
        if self._encrypted:
            return http.client.HTTPSConnection(host, port, timeout=timeout)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _read(self, received: http.client.HTTPResponse) -> bytes | None:
        """The whole body; None if it is larger than ``MAX_SIZE``."""
        end = self._clock.monotonic() + 2 * self._timeout
        data = bytearray()
        while chunk := received.read1(_CHUNK):
            data += chunk
            if len(data) > MAX_SIZE:
                return None
            if self._clock.monotonic() > end:
                raise TimeoutError
        if received.length:  # closed before the end that Content-Length promised; read1 does not report that
            raise http.client.IncompleteRead(bytes(data), received.length)
        return bytes(data)

    def _json(self, content: bytes | None) -> Any:
        try:
            text = self._mask((content or b"").decode("utf-8", "replace"))
            return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError):
            return None


def send(url: str, body: object = None, *, timeout: float) -> None:
    """POST a body to a URL, or GET it without one.

    Raises:
        ServiceError: the response is no success, or there is none.
    """
    client = HttpClient(url, timeout=timeout)
    response = client.call(body=body)
    if not response.is_success:
        raise ServiceError(f"{client.host} answered {response.status}")


def _is_closed_by_server(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection can be read from: the server has closed it."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _proxy_for(host: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(host) else getproxies().get("https")


def _proxy_authorization(user: str | None, password: str | None) -> dict[str, str]:
    from base64 import b64encode

    if user is None:
        return {}
    login = f"{unquote(user)}:{unquote(password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}


def _no_constant(text: str) -> NoReturn:
    """``NaN`` and ``Infinity`` are not JSON, though Python reads them."""
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_constant(text)


def _failure(error: OSError | http.client.HTTPException) -> str:
    """A clause for a sentence whose subject is the service."""
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "did not answer: the connection was refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "shows a certificate that is not trusted here; SSL_CERT_FILE may name its authority"
    if isinstance(error, gaierror):
        return "cannot be found: its name has no address"
    if isinstance(error, ConnectionError | http.client.IncompleteRead):
        return "closed the connection before its answer was complete"
    if isinstance(error, http.client.HTTPException):
        return "does not speak HTTP"
    reason = error.strerror or str(error) or type(error).__name__  # a proxy's refusal has no number
    return f"cannot be reached: {printable(reason)[:100].lower()}"
