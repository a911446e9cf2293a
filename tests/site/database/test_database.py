"""What the database may do to a job: be away, come back, refuse, lack a table, deadlock, be slow."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.errors import ConfigurationError, PermanentJobError, ServiceError
from jobctl.execution.calling import call
from jobctl.settings.environment import Environment
from jobctl.site.database import tables
from jobctl.site.database.errors import MissingError
from jobctl.site.database.session import Database, read_database_url
from tests.support.postgres import PASSWORD, Postgres
from tests.support.site_database import NOW, OnPostgres, SiteDatabase
from tests.support.terminal import Cli


def opened(url: str, folder: Path, **more: str) -> Database:
    return Database.open(Environment.load(folder, {"DATABASE_URL": url, **more}), folder)


def test_the_tables_are_as_the_sites_migrations_make_them(database: SiteDatabase, tmp_path: Path) -> None:
    opened(database.url, tmp_path).demand_tables()


def test_instants_are_kept_in_utc_whatever_the_servers_zone(database: SiteDatabase, tmp_path: Path) -> None:
    here = opened(database.url, tmp_path)
    here.transact(
        lambda connection: connection.execute(
            insert(tables.users).values(id="u", email="e@x.y", tenant_id="t1", created_at=NOW, updated_at=NOW)
        )
    )
    database.user(NOW, id="seen")
    query = select(tables.users.c.id).where(tables.users.c.created_at == NOW)

    found = here.read(lambda connection: connection.execute(query).scalars().all())

    assert sorted(found) == ["seen", "u"]
    stored = here.read(
        lambda connection: connection.execute(text("SELECT created_at FROM users")).scalars().all()
    )
    assert {str(one)[:19] for one in stored} == {f"{NOW:%Y-%m-%d %H:%M:%S}"}


@pytest.mark.parametrize("name", ["users", "votes", "subscriptionHistory"])
def test_a_missing_table_is_reported_by_name(database: SiteDatabase, tmp_path: Path, name: str) -> None:
    database.execute(f'DROP TABLE "{name}"' + (" CASCADE" if database.engine == "postgresql" else ""))
    table = {one.name: one for one in tables.METADATA.sorted_tables}[name]

    with pytest.raises(MissingError) as told:
        opened(database.url, tmp_path, TENANT_ID="t1").read(
            lambda connection: connection.execute(select(table)).all()
        )
    assert f'has no table "{name}"' in str(told.value)
    assert told.value.hint == "jobctl changes no schema: run the site's own migrations"


def test_missing_columns_are_all_reported_by_name(database: SiteDatabase, tmp_path: Path) -> None:
    database.execute("ALTER TABLE comments DROP COLUMN deleted_at")
    database.execute("ALTER TABLE subscriptions DROP COLUMN cancel_reason")

    with pytest.raises(MissingError) as told:
        opened(database.url, tmp_path).read(
            lambda connection: connection.execute(select(tables.comments)).all()
        )
    for column in ('"comments"."deleted_at"', '"subscriptions"."cancel_reason"'):
        assert f"no column {column}" in str(told.value)


@pytest.mark.slow
def test_no_tenant(database: SiteDatabase, tmp_path: Path) -> None:
    database.execute("UPDATE tenant SET status = 'inactive'")

    with pytest.raises(PermanentJobError, match="has no active tenant") as told:
        _ = opened(database.url, tmp_path).tenant_id
    assert told.value.hint == "set TENANT_ID, or make one active"
    with pytest.raises(PermanentJobError, match='has no tenant "mine"') as told:
        opened(database.url, tmp_path, TENANT_ID="mine").tenant_id  # noqa: B018
    assert "TENANT_ID" in str(told.value.hint)
    database.tenant("mine", "inactive")
    assert opened(database.url, tmp_path, TENANT_ID="mine").tenant_id == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(("tenant_id", "words"), [("mine", 'no tenant "mine"'), (None, "no active tenant")])
def test_a_missing_tenant_is_reported_by_each_job_and_by_check(
    database: SiteDatabase,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    cli: Cli,
    tenant_id: str | None,
    words: str,
) -> None:
    del here
    database.execute("DELETE FROM tenant")
    monkeypatch.setenv("DATABASE_URL", database.url)
    if tenant_id:
        monkeypatch.setenv("TENANT_ID", tenant_id)
    targets = {str(one.settings["call"]) for one in BUILT_IN if "database" in one.needs}

    endings = {target: call(target, {}, trace=True) for target in targets}
    checked = cli("check", "database")

    assert len(endings) >= 11
    for target, ending in endings.items():
        assert words in str(ending.error), target
        assert (ending.reason, ending.retry) == ("error", False), target
    assert checked.code == 2
    assert words in checked.stdout


def test_a_wrong_password_is_reported_and_never_shown(postgres: Postgres, tmp_path: Path) -> None:
    name = postgres.create()

    with pytest.raises(PermanentJobError) as told:
        opened(postgres.url(name, password="not-this-one"), tmp_path).round_trip()
    assert (
        str(told.value)
        == f'the database at 127.0.0.1:{postgres.port}/{name} refused the login of user "site"'
    )
    shown = f"{told.value!r} {told.value.__cause__} {told.value.__context__}"
    assert "not-this-one" not in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize("password", ["pa@hidden", "pa%40hidden", "pa:se@hid/den", "50%@hidden"])
def test_an_at_sign_in_a_password_shows_nothing_of_it(tmp_path: Path, password: str) -> None:
    with pytest.raises((ServiceError, ConfigurationError, PermanentJobError)) as told:
        opened(f"postgresql://site:{password}@127.0.0.1:1/db", tmp_path).round_trip()
    assert "hid" not in str(told.value)
    assert "den" not in str(told.value)


def test_an_at_sign_in_a_password_works(tmp_path: Path) -> None:
    url = read_database_url("postgres://site:p@ss:w%C3%B6rd@host:6543/db?sslmode=require", tmp_path)

    wanted = {"user": "site", "password": "p@ss:wörd", "host": "host", "port": "6543", "dbname": "db"}
    assert url.translate_connect_args() | url.query == wanted | {"sslmode": "require"}


def test_no_such_database_and_no_server(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(PermanentJobError, match="does not exist on that server"):
        opened(postgres.url("nothing"), tmp_path).round_trip()
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:1/x did not answer: the connection was refused"):
        opened("postgresql://a:b@127.0.0.1:1/x", tmp_path).round_trip()
    with pytest.raises(ServiceError, match="there is no such host"):
        opened("postgresql://a:b@no-such-host.invalid/x", tmp_path).round_trip()


@pytest.mark.faults
def test_lost_in_the_middle_and_back(tmp_path: Path) -> None:
    server = Postgres()
    try:
        database = OnPostgres(server)
        database.tenant()
        here = opened(database.url, tmp_path)
        tries = []
        back = threading.Timer(0.2, server.start)

        def work(connection: Connection) -> int:
            tries.append(1)
            connection.execute(update(tables.tenant).values(name="changed"))
            if len(tries) == 1:
                server.stop("fast")
                back.start()
            return len(connection.execute(select(tables.tenant)).all())

        assert here.transact(work) == 1
        back.join()
        assert len(tries) >= 2
        database.close()
        assert server.execute("SELECT name FROM tenant", database.name) == [("changed",)]
    finally:
        server.close()


@pytest.mark.faults
def test_a_connection_lost_for_good_is_reported(tmp_path: Path) -> None:
    server = Postgres()
    here = opened(server.url(server.create()), tmp_path)
    here.round_trip()
    server.close()

    with pytest.raises(ServiceError, match="did not answer: the connection was refused"):
        here.round_trip()


def test_a_deadlock_is_tried_again(postgres: Postgres, tmp_path: Path) -> None:
    database = OnPostgres(postgres)
    for name in ("t1", "t2"):
        database.tenant(name)
    both = threading.Barrier(2, timeout=20)
    tries: list[str] = []
    failures: list[BaseException] = []

    def work(first: str, second: str) -> None:
        def cross(connection: Connection) -> None:
            tries.append(first)
            for number, one in enumerate((first, second)):
                connection.execute(update(tables.tenant).where(tables.tenant.c.id == one).values(name=first))
                if number == 0 and tries.count(first) == 1:
                    both.wait()

        try:
            opened(database.url, tmp_path).transact(cross)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in (("t1", "t2"), ("t2", "t1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()

    assert failures == []
    assert len(tries) == 3  # one of them was the victim, and went again


def test_a_statement_that_takes_too_long_is_broken_off(postgres: Postgres, tmp_path: Path) -> None:
    url = read_database_url(postgres.url(postgres.create()), tmp_path)
    here = Database(url, "t1", statement_timeout=timedelta(milliseconds=50))

    with pytest.raises(ServiceError, match="exceeded the time limit of a statement"):
        here.read(lambda connection: connection.execute(text("SELECT pg_sleep(20)")))
    here.round_trip()


def test_what_a_pooler_needs(postgres: Postgres, tmp_path: Path) -> None:
    """Nothing outlives a transaction: no prepared statement, no setting; unknown parameters are left out."""
    url = postgres.url(postgres.create()) + "?pgbouncer=true&connection_limit=1&schema=public&sslmode=prefer"
    here = opened(url, tmp_path)

    def look(connection: Connection) -> tuple[int, str]:
        for _ in range(10):
            connection.execute(text("SELECT 1"))
        prepared = connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
        return prepared, connection.execute(text("SHOW statement_timeout")).scalar_one()

    assert here.read(look) == (0, "1min")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "postgresql://host/d?sslmode=wrong",
            'has sslmode "wrong"',
        ),
        ("postgresql://", "names no database"),
        ("postgresql://host", "names no database"),
        ("postgresql://u:p@host:port/x", "cannot be read as an address"),
        ("sqlite:", "names no file"),
    ],
)
def test_an_address_that_cannot_be(tmp_path: Path, address: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as told:
        opened(address, tmp_path)
    assert told.value.hint is not None


def test_another_kind_of_database_is_reported_with_its_place(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("\nDATABASE_URL=mysql://root:hidden@host/x\n")

    with pytest.raises(ConfigurationError) as told:
        Environment.load(tmp_path, {}).require()
    assert told.value.where == ".env.local:2"
    assert "expected postgresql://… or sqlite:///file" in str(told.value)
    assert "hidden" not in str(told.value)


def test_without_the_driver_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PermanentJobError, match="needs the package psycopg") as told:
        opened("postgresql://host/x", tmp_path)
    assert told.value.hint == 'pip install "ever-jobctl[postgres]"'


@pytest.mark.slow
@pytest.mark.parametrize("make", ["missing", "folder", "text", "locked"])
def test_a_sqlite_file_that_cannot_be_used(
    tmp_path: Path, make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.db"
    if make == "folder":
        file.mkdir()
    elif make == "text":
        file.write_text("this is no database, however long it may be. " * 50)
    words = {
        "missing": "does not exist",
        "folder": "does not exist",
        "text": "is damaged, or not an SQLite file",
    }
    if make == "locked":
        import sqlite3

        monkeypatch.setattr("jobctl.site.database.session.CONNECT_TIMEOUT_S", 0.05)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("CREATE TABLE tenant (id)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceError, match="is locked by another program"):
            opened("sqlite:///site.db", tmp_path).transact(
                lambda connection: connection.execute(text("SELECT 1"))
            )
        holder.close()
        return
    with pytest.raises(PermanentJobError, match=words[make]):
        opened("sqlite:///site.db", tmp_path).read(
            lambda connection: connection.execute(text("SELECT * FROM tenant"))
        )
    assert make != "missing" or not file.exists()


@pytest.mark.parametrize(
    "form", ["sqlite:///{}", "sqlite:{}", "file:{}", "sqlite:///site.db", "file:./site.db"]
)
def test_forms_of_a_sqlite_address(tmp_path: Path, form: str) -> None:
    (tmp_path / "site.db").touch()

    assert opened(form.format(tmp_path / "site.db"), tmp_path).round_trip() > timedelta(0)
