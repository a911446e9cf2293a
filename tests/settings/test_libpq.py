"""Postgres connection strings: in every form that libpq takes, and as the site's other clients write them."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.errors import ConfigurationError, JobctlError, StoreError
from jobctl.site.database.session import Database, read_database_url
from jobctl.store.open import open_store
from jobctl.urls import is_postgres_address, read_postgres_address
from tests.support.postgres import PASSWORD, Postgres

FORMS = [
    ("postgresql://u:p@h/db", {"host": "h", "user": "u", "password": "p", "dbname": "db"}, "h:5432/db"),
    ("POSTGRES://u@h:6543/db", {"host": "h", "port": "6543", "user": "u", "dbname": "db"}, "h:6543/db"),
    (" postgresql:///db ", {"dbname": "db"}, "localhost:5432/db"),
    ("postgresql://%2Frun%2Fpg/db", {"host": "/run/pg", "dbname": "db"}, "/run/pg:5432/db"),
    ("postgresql:///db?host=/run/pg&port=6000", {"host": "/run/pg", "port": "6000", "dbname": "db"}, "/run/pg:6000/db"),
    ("postgresql://a:1,b,c:3/db", {"host": "a,b,c", "port": "1,,3", "dbname": "db"}, "a:1,b:5432,c:3/db"),
    ("postgresql://a,b/db?target_session_attrs=read-write",
     {"host": "a,b", "port": ",", "dbname": "db", "target_session_attrs": "read-write"}, "a:5432,b:5432/db"),
    ("postgresql://[::1]:7/db", {"host": "::1", "port": "7", "dbname": "db"}, "[::1]:7/db"),
    ("postgresql://h?dbname=db&user=u&password=p%26q",
     {"host": "h", "dbname": "db", "user": "u", "password": "p&q"}, "h:5432/db"),
    ("postgresql://h/db?hostaddr=10.0.0.1", {"host": "h", "hostaddr": "10.0.0.1", "dbname": "db"}, "h:5432/db"),
    ("postgresql://u:p@ss#1?@h/db", {"host": "h", "user": "u", "password": "p@ss#1?", "dbname": "db"}, "h:5432/db"),
    ("host=h user=u password='it''s' dbname=db", None, ""),
    ("host = h  dbname=db password='a \\' b'", {"host": "h", "dbname": "db", "password": "a ' b"}, "h:5432/db"),
    ("hostaddr=10.0.0.1 dbname=db", {"hostaddr": "10.0.0.1", "dbname": "db"}, "10.0.0.1:5432/db"),
    ("service=site", {"service": "site"}, "service site"),
    ("postgresql://h/db?sslmode=no-verify&sslrootcert=/ca",
     {"host": "h", "dbname": "db", "sslmode": "require"}, "h:5432/db"),
    ("postgresql://h/db?ssl=true", {"host": "h", "dbname": "db", "sslmode": "require"}, "h:5432/db"),
    ("postgresql://h/db?ssl=verify-full", {"host": "h", "dbname": "db", "sslmode": "verify-full"}, "h:5432/db"),
    ("postgresql://h/db?sslaccept=strict", {"host": "h", "dbname": "db", "sslmode": "verify-full"}, "h:5432/db"),
    ("postgresql://h/db?requiressl=1", {"host": "h", "dbname": "db", "sslmode": "require"}, "h:5432/db"),
    ("postgresql://h/db?sslmode=require&sslaccept=strict",
     {"host": "h", "dbname": "db", "sslmode": "verify-full"}, "h:5432/db"),
    ("postgresql://h/db?sslmode=verify-ca&ssl=true", {"host": "h", "dbname": "db", "sslmode": "verify-ca"}, "h:5432/db"),
    ("postgresql://h/db?sslmode=Require", {"host": "h", "dbname": "db", "sslmode": "require"}, "h:5432/db"),
    ("postgresql://h/db?search_path=a b&options=-c x=1",
     {"host": "h", "dbname": "db", "options": "-c x=1 -c search_path=a\\ b"}, "h:5432/db"),
    ("postgresql://h/db?currentSchema=shop", {"host": "h", "dbname": "db", "options": "-c search_path=shop"}, "h:5432/db"),
    ("postgresql://h/db?require_auth=scram-sha-256&schema=x&pgbouncer=true",
     {"host": "h", "dbname": "db", "require_auth": "scram-sha-256"}, "h:5432/db"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parameters", "place"), FORMS, ids=[form[0] for form in FORMS])
def test_every_form_is_read(text: str, parameters: dict[str, str] | None, place: str) -> None:
    assert is_postgres_address(text)
    if parameters is None:
        with pytest.raises(ConfigurationError, match="cannot be read as an address"):
            read_postgres_address(text, "DATABASE_URL")
        return
    found = read_postgres_address(text, "DATABASE_URL")

    assert found.parameters == parameters
    assert found.place == place


def test_parameters_of_other_clients_are_separate() -> None:
    found = read_postgres_address("postgresql://h/db?schema=x&pgbouncer=true", "JOBCTL_STATE")

    assert found.others == {"schema": "x", "pgbouncer": "true"}


def test_a_protection_that_libpq_does_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg import pq

    old = [one for one in pq.Conninfo.get_defaults() if one.keyword != b"require_auth"]
    monkeypatch.setattr(pq.Conninfo, "get_defaults", lambda: old)

    with pytest.raises(
        ConfigurationError, match=r"sets require_auth, which the installed libpq .* does not know"
    ):
        read_postgres_address("postgresql://h/db?require_auth=none", "DATABASE_URL")


@pytest.mark.parametrize(
    "text",
    ["postgresql://u:pa/hunter2@h/db", "postgresql://u:hunter2@h:port/db", "password=hunter2 host", "host='hunter2",
     "Server=db;Password=hunter2;", "postgresql://u:hunter2%00@h/db",
     "postgresql://u:hunter2@h", "postgresql://u:hunter2@[h/db"],
)  # fmt: skip
def test_an_error_is_reported_without_the_text(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_postgres_address(text, "DATABASE_URL")

    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_both_variables_reach_the_server_through_each_form(postgres: Postgres, tmp_path: Path) -> None:
    name = postgres.create()
    parts = f"user=site password={PASSWORD} host=127.0.0.1 port={postgres.port} dbname={name}"
    query = "&".join(parts.split(" ")[:2])
    forms = [
        parts,
        f"postgresql://127.0.0.1:{postgres.port}/{name}?{query}",
        f"postgresql://127.0.0.1:1,127.0.0.1:{postgres.port}/{name}?{query}&sslmode=prefer",
    ]
    for number, form in enumerate(forms):
        assert Database(read_database_url(form, tmp_path)).round_trip().total_seconds() > 0
        separator = "&" if "://" in form else " "
        store = open_store(f"{form}{separator}schema=form{number}")
        store.close()
        assert postgres.execute(f"SELECT count(*) FROM form{number}.meta", name) != []


@pytest.fixture
def start_up() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """A port that keeps what each client says as it connects, and refuses it."""
    seen: list[dict[str, str]] = []
    server = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                size, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
                while code in {80877103, 80877104}:  # asks for TLS or GSS
                    client.sendall(b"N")
                    size, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
                said = client.recv(size - 8, socket.MSG_WAITALL).decode().split("\0")
                seen.append(dict(zip(said[::2], said[1::2], strict=False)))
                fault = b"SFATAL\0VFATAL\0C28000\0Mno\0\0"
                client.sendall(b"E" + struct.pack("!I", len(fault) + 4) + fault)

    thread = threading.Thread(target=refuse)
    thread.start()
    yield server.getsockname()[1], seen
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_the_user_of_a_parameter_is_the_user(
    start_up: tuple[int, list[dict[str, str]]], tmp_path: Path
) -> None:
    port, seen = start_up
    text = f"postgresql://127.0.0.1:{port}/db?user=site&password=hunter22&application_name=mine"

    with pytest.raises(JobctlError):
        Database(read_database_url(text, tmp_path)).round_trip()
    with pytest.raises(StoreError):
        open_store(text)
    assert {one["user"] for one in seen} == {"site"}
    assert {one["application_name"] for one in seen} == {"mine"}
