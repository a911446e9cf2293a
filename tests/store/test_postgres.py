"""What is Postgres' own: the schema made on first use, connections lost at any moment, leases."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from jobctl.errors import ConfigurationError, StoreBusyError, StoreError, StoreLostError
from jobctl.model import RunStatus, Trigger
from jobctl.store import postgres_pool
from jobctl.store.base import RunStore
from jobctl.store.open import open_existing_store, open_store
from jobctl.store.postgres import _MIGRATIONS, VERSION, PostgresRunStore
from jobctl.store.postgres_pool import InDoubtError, ServerError
from jobctl.store.records import Claim, Claimed, Owner, Registration, new_run_id
from jobctl.urls import read_store_address
from tests.store.migrations import ROWS_OF_VERSION_1, assert_rows_of_version_1
from tests.support.postgres import PASSWORD, Postgres
from tests.support.proxy import Proxy, proxied

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OWNER = Owner("owner-1", "scheduler", "here", 4711, "77", "boot", NOW)


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.schema()


@pytest.fixture
def store(address: str) -> Iterator[RunStore]:
    with closing(open_store(address, busy_timeout=timedelta(seconds=5))) as store:
        store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
        store.register_process(OWNER)
        yield store


def wish() -> Claim:
    return Claim(new_run_id(), "job", Trigger.MANUAL, NOW)


def schema_of(address: str) -> str:
    return address.rpartition("=")[2]


# Opening


def test_opening_an_existing_store_makes_nothing(address: str, postgres: Postgres) -> None:
    assert open_existing_store(address) is None
    assert postgres.execute(f"SELECT to_regnamespace('{schema_of(address)}')") == [(None,)]


@pytest.mark.slow
def test_ten_processes_at_once_make_one_store(address: str) -> None:
    code = (
        "import sys\nfrom jobctl.store.open import open_store\nsys.stdin.readline()\n"
        "with __import__('contextlib').closing(open_store(sys.argv[1])) as store:\n"
        "    store.count({'opened': 1})\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, address], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(10)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()

    told = [process.communicate(timeout=60)[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * 10, told
    with closing(open_store(address)) as store:
        assert store.counters() == {"opened": 10}


def test_tables_of_a_newer_jobctl_are_left_alone(address: str, store: RunStore, postgres: Postgres) -> None:
    postgres.execute(f"UPDATE {schema_of(address)}.meta SET value = 99 WHERE name = 'version'")

    with pytest.raises(StoreError, match="made by a newer jobctl"):
        open_store(address)


def test_tables_of_another_program_are_not_changed(address: str, postgres: Postgres) -> None:
    postgres.execute(f"CREATE SCHEMA {schema_of(address)}")
    postgres.execute(f"CREATE TABLE {schema_of(address)}.runs (mine int)")

    with pytest.raises(StoreError, match="not those of jobctl"):
        open_store(address)
    assert postgres.execute(f"SELECT * FROM {schema_of(address)}.runs") == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgresql://u:p@db.example/app", "db.example:5432/app"),
        ("postgres://u:p@a@b@db.example:6543/app?schema=staging&pgbouncer=true", "db.example:6543/app, schema staging"),
        ("postgresql://u:p%40w@[::1]:5433/app?sslmode=require", "[::1]:5433/app"),
    ],
)  # fmt: skip
def test_an_address_is_read(text: str, place: str) -> None:
    found = read_store_address(text)

    assert found.place == place
    assert "pgbouncer" not in found.parameters


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hunter2@db", "postgresql://u:hunter2@db:port/x", "postgresql://u:hunter2@db/x?schema=a;b",
        "mysql://u:hunter2@db/x", "postgresql://u:hunter2@[::1/x",
    ],
)  # fmt: skip
def test_an_invalid_address_is_reported_without_its_password(text: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        open_store(text)
    assert "hunter2" not in f"{told.value} {told.value.hint}"


def test_a_refusal_of_the_server_is_reported_without_the_password(postgres: Postgres) -> None:
    for url in (
        postgres.url("postgres", password="hunter2"),
        postgres.url("nowhere"),
        "postgresql://u:hunter2@127.0.0.1:1/x",
    ):
        with pytest.raises(StoreError, match="cannot be reached") as told:
            open_store(url)
        assert told.value.exit_code == 5
        assert "hunter2" not in f"{told.value}"
        assert PASSWORD not in f"{told.value}"


# Losses


def test_a_connection_that_was_lost_while_idle_is_replaced(
    address: str, store: RunStore, postgres: Postgres
) -> None:
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jobctl'"
    )

    assert store.jobs().keys() == {"job"}
    (answer,) = store.claim(OWNER, [wish()])
    assert isinstance(answer, Claimed)


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with proxied(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def far(address: str, store: RunStore, postgres: Postgres, proxy: Proxy) -> Iterator[RunStore]:
    """The store, through the proxy."""
    url = address.replace(f":{postgres.port}/", f":{proxy.port}/")
    with closing(open_store(url, busy_timeout=timedelta(seconds=3))) as far:
        yield far


def test_a_loss_before_the_end_undoes_it_all(far: RunStore, store: RunStore, proxy: Proxy) -> None:
    proxy.cut_at, proxy.answer = b"INSERT INTO runs", False

    with pytest.raises(StoreError):
        far.claim(OWNER, [wish()])

    assert proxy.cuts == 1
    assert list(store.runs()) == []
    (answer,) = far.claim(OWNER, [wish()])
    assert isinstance(answer, Claimed)


def test_a_commit_whose_answer_is_lost_is_asked_for(far: RunStore, store: RunStore, proxy: Proxy) -> None:
    wanted = wish()
    proxy.cut_at = b"COMMIT\0"

    (answer,) = far.claim(OWNER, [wanted])

    assert proxy.cuts == 1
    assert isinstance(answer, Claimed)
    assert [run.id for run in store.runs()] == [wanted.run_id]


def test_a_commit_that_never_arrived_is_reported(far: RunStore, store: RunStore, proxy: Proxy) -> None:
    proxy.cut_at, proxy.answer = b"COMMIT\0", False

    with pytest.raises(StoreError):
        far.claim(OWNER, [wish()])

    assert list(store.runs()) == []


@pytest.mark.slow
def test_a_claim_in_doubt_never_blocks_its_job(far: RunStore, store: RunStore, proxy: Proxy) -> None:
    """The server commits, and is out of reach for as long as anybody asks."""
    proxy.cut_at = b"COMMIT\0"
    proxy.down = True  # what is connected already goes on

    with pytest.raises(InDoubtError):
        far.claim(OWNER, [wish()])
    proxy.down = False
    assert [run.status for run in store.runs()] == [RunStatus.RUNNING]
    (answer,) = far.claim(OWNER, [wish()])

    assert isinstance(answer, Claimed)
    assert sorted(run.status.value for run in store.runs()) == ["failed", "running"]
    assert store.metrics().failed_jobs == 1


def test_a_server_that_starts_again_is_found_again(postgres: Postgres) -> None:
    address = postgres.schema()
    with closing(open_store(address, busy_timeout=timedelta(seconds=1))) as store:
        store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
        postgres.stop("fast")
        try:
            with pytest.raises(StoreError):
                store.jobs()
        finally:
            postgres.start()
        assert store.jobs().keys() == {"job"}


def test_a_store_that_is_locked_too_long_is_reported(
    address: str, store: RunStore, postgres: Postgres
) -> None:
    with (
        closing(open_store(address, busy_timeout=timedelta(milliseconds=200))) as impatient,
        psycopg.connect(postgres.url("postgres")) as holder,
    ):
        holder.execute(f"SELECT * FROM {schema_of(address)}.meta FOR UPDATE")
        with pytest.raises(StoreBusyError):
            impatient.claim(OWNER, [wish()])
        assert impatient.jobs().keys() == {"job"}


def test_a_forked_child_gets_connections_of_its_own(address: str, store: RunStore) -> None:
    code = (
        "import os, sys\nfrom jobctl.store.open import open_store\nstore = open_store(sys.argv[1])\n"
        "assert store.jobs()\nchild = os.fork()\nassert store.jobs()\nstore.count({'counted': 1})\n"
        "if child:\n    _, code = os.waitpid(child, 0)\n    assert code == 0\n    assert store.jobs()\n"
        "else:\n    os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, address], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert store.counters() == {"counted": 2}


# Clocks and leases


def test_one_machine_whose_clock_is_set_back_begins_no_clock_generation_for_the_others(
    store: RunStore,
) -> None:
    store.register_process(replace(OWNER, id="owner-2", host="there"))

    assert store.next_clock_generation(1) == 1
    store.sign_off("owner-2", NOW)
    assert store.next_clock_generation(1) == 2


def test_a_heartbeat_waits_for_no_writer(store: RunStore, address: str) -> None:
    """All writers wait for the row that counts changes; a lease must not."""
    with closing(open_store(address)) as other:
        assert isinstance(other, PostgresRunStore)
        with other._writing():
            assert store.heartbeat(OWNER.id)


@pytest.mark.parametrize("default", ["serializable", "repeatable read"])
def test_the_default_isolation_of_a_database_does_not_matter(
    address: str, store: RunStore, postgres: Postgres, default: str
) -> None:
    """Under these, transactions that meet would fail: 35 of 40 triggers did."""
    user = conninfo_to_dict(address.partition("?")[0])["user"]
    postgres.execute(f"ALTER ROLE {user} SET default_transaction_isolation = '{default}'")
    try:
        stores = [open_store(address) for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: stores[number % 4].count({"n": 1}), range(80)))
        for opened in stores:
            opened.close()
    finally:
        postgres.execute(f"ALTER ROLE {user} RESET default_transaction_isolation")
    assert store.counters() == {"n": 80}


def test_a_server_that_does_not_answer_is_waited_for_so_long(
    address: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that swallows what is sent: nothing but our own clock ends that."""
    monkeypatch.setattr(postgres_pool, "_MIN_STATEMENT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(postgres_pool, "_RESPONSE_MARGIN_S", 0.5)
    with proxied(postgres.port) as proxy:
        far = address.replace(f":{postgres.port}/", f":{proxy.port}/")
        with closing(open_store(far, busy_timeout=timedelta(seconds=0.5))) as store:
            store.jobs()
            proxy.hang()
            with pytest.raises(ServerError, match="has not responded in time"):
                store.jobs()
            proxy.resume()
            assert store.jobs() == {}


def test_tables_that_were_dropped_are_made_again(address: str, store: RunStore, postgres: Postgres) -> None:
    postgres.execute(f"DROP SCHEMA {schema_of(address)} CASCADE")
    with pytest.raises(StoreLostError, match="lost its tables"):
        store.claim(OWNER, [wish()])

    assert "lost its tables" in (store.restore() or "")

    assert store.jobs() == {}
    assert store.restore() is None


@pytest.mark.parametrize("version", range(1, VERSION))
def test_tables_of_every_older_version_are_migrated_with_what_is_in_them(
    address: str, postgres: Postgres, version: int
) -> None:
    schema = schema_of(address)
    first, *others = (script.read_text() for script in _MIGRATIONS[:version])
    postgres.execute(
        f"CREATE SCHEMA {schema}; SET search_path TO {schema}; {first} {ROWS_OF_VERSION_1} {' '.join(others)}"
        f"INSERT INTO meta (name, value) VALUES ('version', {version})"
    )
    with closing(open_store(address)) as store:
        assert_rows_of_version_1(store)
    assert postgres.execute(f"SELECT value FROM {schema}.meta WHERE name = 'version'") == [(VERSION,)]


@pytest.mark.parametrize("in_use", [True, False])
def test_tables_of_which_some_are_missing_are_set_aside_whole(
    address: str, store: RunStore, postgres: Postgres, in_use: bool
) -> None:
    schema = schema_of(address)
    store.count({"kept": 1})
    postgres.execute(f"DROP TABLE {schema}.runs CASCADE")

    if in_use:
        said = store.restore() or ""
    else:
        with closing(open_store(address)) as again:
            said = again.warning or ""

    assert "were missing" in said
    aside = said.rpartition(" ")[2]
    assert postgres.execute(f"SELECT name FROM {aside}.counters") == [("kept",)]
    assert store.jobs() == {}
    assert store.restore() is None
