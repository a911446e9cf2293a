"""A Postgres address as libpq takes it, from what the site and its other clients write."""

from urllib.parse import quote, unquote

PARAMETERS = frozenset({
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "channel_binding", "connect_timeout",
    "options", "target_session_attrs", "keepalives", "keepalives_idle", "gssencmode", "krbsrvname",
    "service", "passfile", "application_name", "host", "port",
})  # fmt: skip
"""What libpq knows. Other clients' parameters (``pgbouncer``, ``schema`` …) are passed over."""
CONNECT_TIMEOUT_S = 10
SCHEMES = ("postgresql", "postgres")


def is_address(text: str) -> bool:
    """Whether it names a Postgres server."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def encoded(text: str) -> str:
    """What stands behind ``postgresql://``, user and password percent-encoded.

    Other clients of the site take an ``@`` in them as it is.
    """
    rest = text.partition(":")[2].removeprefix("//")
    end = next((at for at, one in enumerate(rest) if one in "/?#"), len(rest))
    login, at, host = rest[:end].rpartition("@")
    user, colon, password = login.partition(":")
    return "".join(
        [*(quote(unquote(user), safe=""), colon, quote(unquote(password), safe="")), at, host, rest[end:]]
    )
