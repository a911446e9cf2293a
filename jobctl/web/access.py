"""Who may call the endpoints: callers with the secret; without one, this machine in development."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret
from jobctl.urls import is_loopback

_RELAYED = re.compile(
    r"forward|client-?ip|real-?ip|proxy|original|envoy|^via$|^cdn-loop$"
    r"|^(?:cf|fly|fastly|ngrok|tailscale|x-azure|x-amz|x-vercel)-"
)
"""Headers that proxies add: a caller behind a proxy is on another machine."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rule for callers.

    Attributes:
        secret: ``CRON_SECRET``.
        development: whether ``NODE_ENV`` is ``development``.
    """

    secret: Secret | None
    development: bool

    @classmethod
    def read(cls, environment: Environment) -> "Access":
        """From the settings."""
        return cls(environment.secret("CRON_SECRET"), environment.text("NODE_ENV") == "development")

    def allows(
        self, headers: Mapping[str, str], client: str | None, *, allow_without_bearer: bool = False
    ) -> bool:
        """Whether a request is allowed.

        The secret is compared in constant time. Without a secret, a web page of another site in the developer's browser
        must be refused too: its requests name another host, or a header marks them as cross-site.

        Args:
            headers: by lower-case name.
            client: the address that the connection comes from.
            allow_without_bearer: whether the secret is also accepted without ``Bearer``.
        """
        if self.secret is not None:
            whole = headers.get("authorization", "")
            scheme, _, given = whole.partition(" ")
            if allow_without_bearer and scheme.lower() != "bearer":
                scheme, given = "bearer", whole
            # the server decodes headers as Latin-1; only HTTP's own blanks are removed
            expected = self.secret.reveal().encode("utf-8", "surrogateescape").decode("latin-1")
            sent = given.strip(" \t")
            is_equal = hmac.compare_digest(
                *(text.encode("utf-8", "surrogatepass") for text in (sent, expected))
            )
            return is_equal and scheme.lower() == "bearer"
        return self.development and is_of_this_machine(headers, client)


def is_of_this_machine(headers: Mapping[str, str], client: str | None) -> bool:
    """Whether a request comes from this machine, through no proxy, and from no page of another site."""
    host = headers.get("host", "").strip()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    local = is_loopback(client or "") and is_loopback(name)
    relayed = any(_RELAYED.search(header.replace("_", "-")) for header in headers)
    crosses = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    own = f"http://{host}".lower()
    origin, page = headers.get("origin"), headers.get("referer")
    foreign = (origin is not None and origin.lower() != own) or (
        page is not None and not f"{page}/".lower().startswith(f"{own}/")
    )
    return local and not (relayed or crosses or foreign)
