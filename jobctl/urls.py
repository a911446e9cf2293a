"""Parses the addresses of web services and Postgres servers, and says where a key may be sent."""

import re
from collections.abc import Mapping
from string import ascii_letters, digits, hexdigits
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from jobctl.errors import ConfigurationError, NotRunError, PermanentJobError, install_hint
from jobctl.text import alternatives, printable

_LABEL_CHARACTERS = frozenset(ascii_letters + digits + "-_")
_IPV6_CHARACTERS = frozenset(hexdigits + ":.")


def ascii_domain(name: str) -> str:
    """A domain name in ASCII, encoded as browsers do: IDNA 2008, UTS 46, not transitional.

    Python's own codec has IDNA 2003, in which ``faß.de`` becomes ``fass.de``, another domain.

    Raises:
        ValueError: it is not a valid domain name.
    """
    if name.isascii():
        return name
    import idna

    return idna.encode(name, uts46=True).decode()


def is_web_address(text: str) -> bool:
    """Whether it is an ``http://`` or ``https://`` URL with a valid host and port."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return False


def ascii_url(text: str) -> str:
    """A URL in ASCII, as a request needs it: the host by IDNA 2008, the rest percent-encoded."""
    if text.isascii():
        return text
    parts = urlsplit(text)
    login, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.partition(":")  # an IPv6 address in brackets is ASCII
    kept = "%/:@!$&'()*+,;=~?"
    return urlunsplit(
        (
            parts.scheme,
            f"{quote(login, safe=kept)}{at}{ascii_domain(host)}{colon}{port}",
            *(quote(part, safe=kept) for part in parts[2:]),
        )
    )


def _is_host(name: str) -> bool:
    """Whether it is a name within the limits of RFC 1035 (underscores allowed), or an IPv6 address."""
    if ":" in name:
        return set(name) <= _IPV6_CHARACTERS  # urlsplit accepts a colon only within brackets
    labels = ascii_domain(name).removesuffix(".").split(".")
    return all(1 <= len(label) <= 63 and set(label) <= _LABEL_CHARACTERS for label in labels)


# Where a key may be sent


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: ``localhost`` or a loopback address."""
    from ipaddress import ip_address

    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_in_clear(url: str) -> bool:
    """Whether requests to a URL cross a network unencrypted."""
    parts = urlsplit(url)
    return parts.scheme.lower() != "https" and not is_loopback(parts.hostname or "")


def demand_private(url: str, name: str, what: str = "the key") -> None:
    """Check that a credential may be sent to a URL.

    Args:
        name: the variable that holds the URL.
        what: the credential, as the subject of a sentence.

    Raises:
        PermanentJobError: it would cross the network unencrypted.
    """
    if is_in_clear(url):
        raise PermanentJobError(
            f"{name} begins with http://, so {what} would cross the network unencrypted",
            hint="write https://",
        )


# Postgres: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING

CONNECT_TIMEOUT_S = 10
_POSTGRES_SCHEMES = ("postgresql", "postgres")
_POSTGRES_HINT = (
    "write postgresql://user:password@host/name, with each / ? # and % of a password percent-encoded"
)
_FIRST_PAIR = r"\s*[A-Za-z_]+\s*="
_PAIR = r"(?s)\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:\\.|[^'\\])*)'|(?P<plain>(?:\\.|[^\s'\\])*))(?:\s+|$)"
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Values of ``sslmode``, the strictest last."""
_SSL_SYNONYMS = {
    "ssl": {
        **dict.fromkeys(("true", "1", "on"), "require"),
        **dict.fromkeys(("false", "0", "off"), "disable"),
    },
    "requiressl": {"1": "require", "0": "prefer"},
    "sslaccept": {"strict": "verify-full", "accept_invalid_certs": "require"},
}
"""What other clients, and old versions of libpq, write for ``sslmode``."""
_NO_VERIFY = "no-verify"
"""node-postgres: TLS without a check of the certificate."""
_SEARCH_PATH = ("search_path", "currentschema")
_PROTECTIONS = frozenset({
    "channel_binding", "gssencmode", "min_protocol_version", "require_auth", "requirepeer", "scram_client_key",
    "scram_server_key", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode",
    "sslcrl", "sslcrldir", "sslkey", "sslnegotiation", "sslrootcert",
})  # fmt: skip
"""Parameters that protect a connection: they must never be dropped silently."""


class PostgresAddress(NamedTuple):
    """A parsed connection string.

    Attributes:
        parameters: as libpq names them; they hold the password.
        others: parameters of other clients (``schema``, ``pgbouncer`` …), which libpq does not know.
        place: for people: ``host:port/name``, without user and password.
    """

    parameters: Mapping[str, str]
    others: Mapping[str, str]
    place: str


def is_postgres_address(text: str) -> bool:
    """Whether it names a Postgres server: by its scheme, or in libpq's ``name=value`` form."""
    scheme, separator, _ = text.strip().partition("://")
    return (bool(separator) and scheme.lower() in _POSTGRES_SCHEMES) or bool(re.match(_FIRST_PAIR, text))


def missing_driver() -> str | None:
    """Why psycopg cannot be used, as the rest of a sentence; None if it can."""
    try:
        import psycopg
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return "is not installed" if missing else "finds no libpq, the client library"
    del psycopg
    return None


def read_postgres_address(text: str, variable: str) -> PostgresAddress:
    """Parse the connection string of a variable. Needs psycopg (see ``missing_driver``).

    Raises:
        ConfigurationError: it cannot be parsed, names no database, or asks for a protection that the installed
            libpq does not know. The message never holds the text, which may hold a password.
    """
    import psycopg

    try:
        given = _given_parameters(text)
    except (ValueError, psycopg.Error):
        # without the cause, whose message quotes the text
        hint = _POSTGRES_HINT
        if variable == "JOBCTL_STATE":
            hint += "; a folder with = in its name begins with ./"
        raise ConfigurationError(f"{variable} cannot be read as an address", hint=hint) from None
    defaults = _libpq_defaults()
    parameters, others = {}, {}
    for name, value in given.items():
        if name in defaults:
            parameters[name] = value
        elif name in _PROTECTIONS:
            raise ConfigurationError(
                f"{variable} sets {name}, which the installed libpq {_libpq_version()} does not know",
                hint="install a newer libpq, or leave the parameter out",
            )
        else:
            others[name] = value
    if (mode := parameters.get("sslmode") or _SSL_MODES[0]) not in _SSL_MODES:
        raise ConfigurationError(
            f'{variable} has sslmode "{printable(mode)[:40]}"',
            hint=f"write {alternatives(_SSL_MODES)}",
        )
    if not (parameters.get("dbname") or parameters.get("service") or defaults["dbname"]):
        # libpq would use the user's name, and report that this database does not exist
        raise ConfigurationError(f"{variable} names no database", hint=_POSTGRES_HINT)
    return PostgresAddress(parameters, others, postgres_place(parameters))


def postgres_place(parameters: Mapping[str, str]) -> str:
    """A server and database for people: ``host:port/name``, with every host; without user and password."""
    if "service" in parameters and "host" not in parameters:
        return f"service {parameters['service']}"
    effective = {**{name: value for name, value in _libpq_defaults().items() if value}, **parameters}
    hosts = (effective.get("host") or effective.get("hostaddr") or "localhost").split(",")
    hosts = [f"[{host}]" if ":" in host and not host.startswith("/") else host for host in hosts]
    ports = (effective.get("port") or "5432").split(",")
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    name = effective.get("dbname") or effective.get("user") or ""
    return f"{','.join(f'{host}:{port or 5432}' for host, port in zip(hosts, ports, strict=True))}/{name}"


STORE_SCHEMA = "jobctl"


class StoreAddress(NamedTuple):
    """A parsed address of a run store.

    Attributes:
        parameters: for libpq, with the password.
        schema: that holds the tables.
        place: for people: ``host:port/name``, and the schema unless it is ``jobctl``.
    """

    parameters: Mapping[str, str]
    schema: str
    place: str


def read_store_address(text: str) -> StoreAddress:
    """Parse ``JOBCTL_STATE``. Its parameter ``schema`` names another schema than ``jobctl``.

    Raises:
        ConfigurationError: it cannot be parsed. The message never holds the text, which may hold a password.
        NotRunError: psycopg is not installed.
    """
    if problem := missing_driver():
        raise NotRunError(
            f"the run store is on Postgres, and the package psycopg {problem}", hint=install_hint("postgres")
        )
    parameters, others, place = read_postgres_address(text, "JOBCTL_STATE")
    schema = others.get("schema", STORE_SCHEMA)
    if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema):
        raise ConfigurationError(
            "the schema in JOBCTL_STATE is not a valid name", hint="use lower-case letters, digits and _"
        )
    return StoreAddress(parameters, schema, place if schema == STORE_SCHEMA else f"{place}, schema {schema}")


def _given_parameters(text: str) -> dict[str, str]:
    """Every parameter, libpq's and others.

    Raises:
        ValueError: it has no form that libpq accepts.
        psycopg.Error: libpq cannot parse it.
    """
    if not is_postgres_address(text):
        raise ValueError("not an address")
    found = _pairs(text) if re.match(_FIRST_PAIR, text) else _uri(text.strip())
    if "=" in text and "://" not in text and not found.keys() & _libpq_defaults().keys():
        raise ValueError("no parameter that libpq knows")
    if any("\0" in value for value in found.values()) or not _are_valid_ports(found.get("port", "")):
        raise ValueError("a value that libpq does not accept")
    return _in_libpq_terms(found)


def _pairs(text: str) -> dict[str, str]:
    """Parse the form ``name=value name='other value'``.

    Raises:
        ValueError: it has another form.
    """
    pattern = re.compile(_PAIR)
    found, at = {}, 0
    while at < len(text):
        pair = pattern.match(text, at)
        if pair is None:
            raise ValueError("not a pair")
        value = pair["plain"] if pair["quoted"] is None else pair["quoted"]
        found[pair["name"]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = pair.end()
    return found


def _uri(text: str) -> dict[str, str]:
    """Parse a ``postgresql://`` URI. A password may hold an unencoded ``@``, as the site's other clients allow.

    Raises:
        ValueError: an ``@`` follows the hosts: the password has an unencoded slash.
        psycopg.Error: libpq cannot parse it.
    """
    from psycopg import pq

    authority, slash, path = text.partition("://")[2].partition("/")
    login, at, hosts = authority.rpartition("@")
    user, colon, password = login.partition(":")
    place, _, query = f"{hosts}{slash}{path}".partition("?")
    if "@" in place:
        raise ValueError("an @ follows the hosts")
    login = "".join([quote(unquote(user), safe=""), colon, quote(unquote(password), safe=""), at])
    options = pq.Conninfo.parse(f"postgresql://{login}{place}".encode())
    found = {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        found[unquote(name)] = unquote(value)
    return found


def _are_valid_ports(text: str) -> bool:
    """Whether each port is empty or from 1 to 65535; libpq checks that only when it connects."""
    return all(
        not port or (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536)
        for port in text.split(",")
    )


def _in_libpq_terms(given: Mapping[str, str]) -> dict[str, str]:
    """The same with ``sslmode`` and ``options`` as libpq writes them, from what other clients write for them."""
    found = {name: value for name, value in given.items() if name not in _SSL_SYNONYMS}
    wanted = [
        found.get("sslmode"),
        *(synonyms.get(given.get(name, ""), given.get(name)) for name, synonyms in _SSL_SYNONYMS.items()),
    ]
    modes = [mode.lower() for mode in wanted if mode]
    if _NO_VERIFY in modes:
        found.pop("sslrootcert", None)  # with it, libpq's ``require`` would check the certificate
    modes = ["require" if mode == _NO_VERIFY else mode for mode in modes]
    if (
        modes
    ):  # clients differ when several are given: the strictest protects; an unknown one is refused later
        found["sslmode"] = max(
            modes, key=lambda mode: _SSL_MODES.index(mode) if mode in _SSL_MODES else len(_SSL_MODES)
        )
    path = next((found[name] for name in found if name.lower() in _SEARCH_PATH), None)
    if path is not None:
        escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
        found["options"] = f"{found.get('options', '')} -c search_path={escaped}".strip()
    return found


def _libpq_defaults() -> dict[str, str | None]:
    """Every parameter that the installed libpq knows, with its default (from ``PGHOST`` …)."""
    from psycopg import pq

    return {
        option.keyword.decode(): option.val.decode() if option.val is not None else None
        for option in pq.Conninfo.get_defaults()
    }


def _libpq_version() -> str:
    from psycopg import pq

    number = pq.version()
    return f"{number // 10000}.{number % 10000}"
