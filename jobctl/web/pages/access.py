"""Who may see the page, and who may change something: login, sessions, form tokens."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer

from jobctl.clock import Clock
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret
from jobctl.web.access import is_of_this_machine

_COOKIE = "jobctl_page"
SESSION_AGE = timedelta(days=7)
SECRET = "JOBCTL_PAGE_SECRET"  # noqa: S105 - the name of a variable
READONLY_SECRET = "JOBCTL_PAGE_READONLY_SECRET"  # noqa: S105
_MOST_ADDRESSES = 1000
_FREE_ATTEMPTS = 3
_LONGEST_WAIT_S = 60.0
_FORGET_S = 900.0


class Role(StrEnum):
    """What a visitor may do."""

    OPERATOR = "operator"
    READER = "reader"


class Visitor(NamedTuple):
    """Who sees the page.

    Attributes:
        session: random, the same until the logout.
        has_session: whether it logged in, and may log out.
    """

    role: Role
    session: str
    has_session: bool

    @property
    def may_change(self) -> bool:
        """Whether it may run, cancel and stop jobs."""
        return self.role is Role.OPERATOR


class PageAccess:
    """The rules of the page.

    Without a secret it is open to this machine in development, and else closed. With one, a login exchanges the secret for a
    signed cookie. The key of the signature is made from the secret, so that a changed secret ends every session.
    """

    def __init__(self, environment: Environment, clock: Clock) -> None:
        found = {  # in this order: where both variables have the same value, it only allows reading
            Role.READER: environment.secret(READONLY_SECRET),
            Role.OPERATOR: environment.secret(SECRET),
        }
        self._secrets = {role: secret for role, secret in found.items() if secret is not None}
        self._is_development = environment.text("NODE_ENV") == "development"
        self.process_key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._keys: dict[Role, bytes] = {}
        self._limit = LoginLimit(clock)

    @property
    def has_login(self) -> bool:
        """Whether there is a secret to log in with."""
        return bool(self._secrets)

    def visitor(
        self, headers: Mapping[str, str], client: str | None, cookies: Mapping[str, str]
    ) -> Visitor | None:
        """Who asks; None where it must log in, or the page is closed."""
        if not self._secrets:
            if self._is_development and is_of_this_machine(headers, client):
                return Visitor(Role.OPERATOR, "", has_session=False)
            return None
        cookie = cookies.get(cookie_name(headers), "")
        for role in self._secrets if cookie else ():
            try:
                session = self._signer(role).loads(cookie, max_age=int(SESSION_AGE.total_seconds()))
            except BadSignature:
                continue
            return Visitor(role, str(session), has_session=True)
        return None

    def log_in(self, given: str, client: str) -> str | None:
        """The cookie for a secret; None for a wrong one.

        Raises:
            TooManyAttemptsError: there were too many wrong ones from this address.
        """
        client = _network(client)
        self._limit.begin(client)
        found = None
        for role, secret in self._secrets.items():  # each is compared, so that the time says nothing
            if _is_equal(given, secret) and found is None:
                found = role
        if found is None:
            return None
        self._limit.forget(client)
        return str(self._signer(found).dumps(secrets.token_urlsafe(16)))

    def token(self, visitor: Visitor) -> str:
        """The token that each form of a visitor carries."""
        key = self._key(visitor.role) if visitor.has_session else self.process_key
        return hmac.new(key, f"form:{visitor.session}".encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, visitor: Visitor, token: str, headers: Mapping[str, str]) -> bool:
        """Whether a form was sent from a page of this visitor: by its token, and by where the browser says it comes from."""
        is_token = hmac.compare_digest(token.encode(), self.token(visitor).encode())
        return is_token and is_same_origin(headers)

    def _signer(self, role: Role) -> URLSafeTimedSerializer:
        signing = {"digest_method": hashlib.sha256}
        return URLSafeTimedSerializer(self._key(role), salt=role.value, signer_kwargs=signing)

    def _key(self, role: Role) -> bytes:
        with self._lock:
            if role not in self._keys:
                secret = self._secrets[role].reveal().encode("utf-8", "surrogateescape")
                # slow to compute, so that a cookie does not help to guess the secret
                self._keys[role] = hashlib.scrypt(secret, salt=b"jobctl page session", n=2**14, r=8, p=1)
            return self._keys[role]


def cookie_name(headers: Mapping[str, str]) -> str:
    """The name of the cookie, with the port: browsers send the cookies of a host to all its ports, also to another project's."""
    _, colon, port = headers.get("host", "").rpartition(":")
    return f"{_COOKIE}_{port}" if colon and port.isascii() and port.isdecimal() else _COOKIE


def _network(client: str) -> str:
    """What counts as one address: of IPv6 a whole /64, which each customer of a provider has to choose from."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of this host, as browsers say with each form."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return site == "same-origin"
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _is_equal(given: str, secret: Secret) -> bool:
    return hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), secret.reveal().encode("utf-8", "surrogateescape")
    )


class TooManyAttemptsError(Exception):
    """The next login must wait.

    Attributes:
        wait_s: for so many seconds.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many attempts: wait {wait_s} s")
        self.wait_s = wait_s


class LoginLimit:
    """Slows logins from an address after wrong attempts: a wait that doubles, up to a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def begin(self, client: str) -> None:
        """Begin an attempt. It counts as wrong until ``forget``: several at once are no way around the limit.

        Raises:
            TooManyAttemptsError: it must wait.
        """
        with self._lock:
            now = self._clock.monotonic()
            count, last = self._failures.get(client, (0, now))
            if now - last > _FORGET_S:
                count = 0
            wait = (
                min(_LONGEST_WAIT_S, 2.0 ** (count - _FREE_ATTEMPTS + 1)) if count >= _FREE_ATTEMPTS else 0.0
            )
            if (left := wait - (now - last)) > 0:
                raise TooManyAttemptsError(int(left) + 1)
            self._failures[client] = (min(count + 1, 20), now)
            self._failures.move_to_end(client)
            while len(self._failures) > _MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def forget(self, client: str) -> None:
        """After a right attempt."""
        with self._lock:
            self._failures.pop(client, None)
