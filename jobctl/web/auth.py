"""Who may call: the bearer of the secret, and without one only loopback, in development."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret

_LOOPBACK = ("127.0.0.1", "::1")
_LOCAL_NAMES = ("localhost", *_LOOPBACK)
_RELAYED = re.compile(
    r"forward|client-?ip|real-?ip|proxy|original|envoy|^via$|^cdn-loop$"
    r"|^(?:cf|fly|fastly|ngrok|tailscale|x-azure|x-amz|x-vercel)-"
)
"""Headers that proxies add: whoever calls through one is on another machine."""


@dataclass(frozen=True, slots=True)
class Access:
    """``CRON_SECRET``, and whether this is development."""

    secret: Secret | None
    development: bool

    @classmethod
    def read(cls, environment: Environment) -> "Access":
        """From the settings."""
        return cls(environment.secret("CRON_SECRET"), environment.text("NODE_ENV") == "development")

    def allows(self, headers: Mapping[str, str], client: str | None, *, bare: bool = False) -> bool:
        """Whether a request may act.

        The secret is compared in constant time. Without one, a page of another site that the developer has
        open must not get in either: its requests name another host, or say that they cross sites.

        Args:
            headers: by lower-case name.
            client: the address that the connection comes from.
            bare: whether the secret may stand there without ``Bearer``, too.
        """
        if self.secret is not None:
            whole = headers.get("authorization", "")
            scheme, _, given = whole.partition(" ")
            if bare and scheme.lower() != "bearer":
                scheme, given = "bearer", whole
            # as the server decodes the bytes of a header; only HTTP's own blanks stand around them
            known = self.secret.reveal().encode("utf-8", "surrogateescape").decode("latin-1")
            sent = given.strip(" \t")
            fine = hmac.compare_digest(*(one.encode("utf-8", "surrogatepass") for one in (sent, known)))
            return fine and scheme.lower() == "bearer"
        host = headers.get("host", "").strip()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        local = client in _LOOPBACK and name.lower() in _LOCAL_NAMES
        relayed = any(_RELAYED.search(header.replace("_", "-")) for header in headers)
        crosses = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
        own = f"http://{host}".lower()
        origin, page = headers.get("origin"), headers.get("referer")
        foreign = (origin is not None and origin.lower() != own) or (
            page is not None and not f"{page}/".lower().startswith(f"{own}/")
        )
        return self.development and local and not (relayed or crosses or foreign)
