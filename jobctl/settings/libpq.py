"""A Postgres connection string, in every form that libpq takes and with what the site's other clients add.

Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING. libpq itself, where it is
installed, says which parameters it knows and reads the hosts, ports and names.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from jobctl.errors import ConfigurationError
from jobctl.text import printable

CONNECT_TIMEOUT_S = 10
SCHEMES = ("postgresql", "postgres")
_HINT = "write postgresql://user:password@host/name, with each / ? # and % of a password percent-encoded"
_PAIRS_BEGIN = re.compile(r"\s*[A-Za-z_]+\s*=")
_PAIR = r"(?s)\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:\\.|[^'\\])*)'|(?P<plain>(?:\\.|[^\s'\\])*))(?:\s+|$)"
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Of ``sslmode``, the strictest last."""
_OTHERS_SSL = {
    "ssl": {
        "true": "require",
        "1": "require",
        "on": "require",
        "false": "disable",
        "0": "disable",
        "off": "disable",
    },
    "requiressl": {"1": "require", "0": "prefer"},
    "sslaccept": {"strict": "verify-full", "accept_invalid_certs": "require"},
}
"""What other clients, and libpq of old, write for ``sslmode``."""
_NO_VERIFY = "no-verify"
"""node-postgres' word for TLS without a check of the certificate."""
_SEARCH_PATH = ("search_path", "currentschema")
_PROTECTIONS = frozenset({
    "channel_binding", "gssencmode", "min_protocol_version", "require_auth", "requirepeer", "scram_client_key",
    "scram_server_key", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode",
    "sslcrl", "sslcrldir", "sslkey", "sslnegotiation", "sslrootcert",
})  # fmt: skip
"""Parameters that protect a connection: without them it would be another one than was asked for."""


class PostgresAddress(NamedTuple):
    """What a connection string says.

    Attributes:
        parameters: as libpq names them; they hold the password.
        others: parameters of other clients (``schema``, ``pgbouncer`` …), which libpq does not know.
        place: for people: ``host:port/name``, never a user or a password.
    """

    parameters: Mapping[str, str]
    others: Mapping[str, str]
    place: str


def is_address(text: str) -> bool:
    """Whether it names a Postgres server: by a scheme, or in libpq's ``name=value`` form."""
    scheme, sign, _ = text.strip().partition("://")
    return (bool(sign) and scheme.lower() in SCHEMES) or _PAIRS_BEGIN.match(text) is not None


def missing_driver() -> str | None:
    """Why Postgres cannot be reached from this installation, as the rest of a sentence; None where it can."""
    try:
        import psycopg
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return "is not installed" if missing else "finds no libpq, the client library"
    del psycopg
    return None


def read_postgres(text: str, variable: str) -> PostgresAddress:
    """Read the connection string of a variable. Needs psycopg (see ``missing_driver``).

    Raises:
        ConfigurationError: it cannot be read, names no database, or asks for a protection that the installed
            libpq does not know. The text itself, which may hold a password, is not in the message.
    """
    import psycopg

    try:
        given = _given(text)
    except (ValueError, psycopg.Error):
        # without the cause, whose words quote the text
        hint = f"{_HINT}; a folder with = in its name begins with ./" if variable == "JOBCTL_STATE" else _HINT
        raise ConfigurationError(f"{variable} cannot be read as an address", hint=hint) from None
    defaults = _defaults()
    parameters, others = {}, {}
    for name, value in given.items():
        if name in defaults:
            parameters[name] = value
        elif name in _PROTECTIONS:
            raise ConfigurationError(
                f"{variable} sets {name}, which the installed libpq {_version()} does not know",
                hint="install a newer libpq, or leave the parameter out",
            )
        else:
            others[name] = value
    if (mode := parameters.get("sslmode") or _MODES[0]) not in _MODES:
        raise ConfigurationError(
            f'{variable} has sslmode "{printable(mode)[:40]}"',
            hint=f"write {', '.join(_MODES[:-1])} or {_MODES[-1]}",
        )
    if not (parameters.get("dbname") or parameters.get("service") or defaults["dbname"]):
        # libpq would take the user's name for it, and say that there is no such database
        raise ConfigurationError(f"{variable} names no database", hint=_HINT)
    return PostgresAddress(parameters, others, place_of(parameters))


def place_of(parameters: Mapping[str, str]) -> str:
    """For people: ``host:port/name``, each host of several; never a user or a password."""
    if "service" in parameters and "host" not in parameters:
        return f"service {parameters['service']}"
    said = {**{name: value for name, value in _defaults().items() if value}, **parameters}
    hosts = (said.get("host") or said.get("hostaddr") or "localhost").split(",")
    hosts = [f"[{one}]" if ":" in one and not one.startswith("/") else one for one in hosts]
    ports = (said.get("port") or "5432").split(",")
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    name = said.get("dbname") or said.get("user") or ""
    return f"{','.join(f'{host}:{port or 5432}' for host, port in zip(hosts, ports, strict=True))}/{name}"


def _given(text: str) -> dict[str, str]:
    """Each parameter, libpq's and others.

    Raises:
        ValueError: it is in no form that libpq takes.
        psycopg.Error: libpq cannot read it.
    """
    if not is_address(text):
        raise ValueError("no address")
    found = _pairs(text) if _PAIRS_BEGIN.match(text) else _uri(text.strip())
    if "=" in text and "://" not in text and not found.keys() & _defaults().keys():
        raise ValueError("no name that libpq knows")
    if any("\0" in value for value in found.values()) or not _are_ports(found.get("port", "")):
        raise ValueError("no value that libpq takes")
    return _in_libpq_words(found)


def _pairs(text: str) -> dict[str, str]:
    """The form ``name=value name='other value'``.

    Raises:
        ValueError: something else stands in it.
    """
    pattern = re.compile(_PAIR)
    found, at = {}, 0
    while at < len(text):
        pair = pattern.match(text, at)
        if pair is None:
            raise ValueError("no pair")
        value = pair["plain"] if pair["quoted"] is None else pair["quoted"]
        found[pair["name"]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = pair.end()
    return found


def _uri(text: str) -> dict[str, str]:
    """A ``postgresql://`` URI. Other clients of the site take an ``@`` in a password as it is.

    Raises:
        ValueError: an ``@`` stands behind the hosts: a password with a slash that is not encoded.
        psycopg.Error: libpq cannot read it.
    """
    from psycopg import pq

    authority, slash, path = text.partition("://")[2].partition("/")
    login, at, hosts = authority.rpartition("@")
    user, colon, password = login.partition(":")
    place, _, query = f"{hosts}{slash}{path}".partition("?")
    if "@" in place:
        raise ValueError("an @ behind the hosts")
    login = "".join([quote(unquote(user), safe=""), colon, quote(unquote(password), safe=""), at])
    options = pq.Conninfo.parse(f"postgresql://{login}{place}".encode())
    found = {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        found[unquote(name)] = unquote(value)
    return found


def _are_ports(text: str) -> bool:
    """Whether each is empty or from 1 to 65535; libpq looks only as it connects."""
    return all(
        not one or (one.isascii() and one.isdecimal() and 0 < int(one[:6]) < 65536) for one in text.split(",")
    )


def _in_libpq_words(given: Mapping[str, str]) -> dict[str, str]:
    """The same with ``sslmode`` and ``options`` as libpq writes them, from what other clients write for them."""
    found = {name: value for name, value in given.items() if name not in _OTHERS_SSL}
    asked = [
        found.get("sslmode"),
        *(words.get(given.get(one, ""), given.get(one)) for one, words in _OTHERS_SSL.items()),
    ]
    modes = [one.lower() for one in asked if one]
    if _NO_VERIFY in modes:
        found.pop("sslrootcert", None)  # with one, libpq's ``require`` checks the certificate
    modes = ["require" if one == _NO_VERIFY else one for one in modes]
    if modes:  # no two clients read several in one way: the strictest protects; libpq refuses what is none
        found["sslmode"] = max(modes, key=lambda one: _MODES.index(one) if one in _MODES else len(_MODES))
    path = next((found[one] for one in found if one.lower() in _SEARCH_PATH), None)
    if path is not None:
        escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
        found["options"] = f"{found.get('options', '')} -c search_path={escaped}".strip()
    return found


def _defaults() -> dict[str, str | None]:
    """Every parameter that the installed libpq knows, with what it takes where none is given (``PGHOST`` …)."""
    from psycopg import pq

    return {
        option.keyword.decode(): option.val.decode() if option.val is not None else None
        for option in pq.Conninfo.get_defaults()
    }


def _version() -> str:
    from psycopg import pq

    number = pq.version()
    return f"{number // 10000}.{number % 10000}"
