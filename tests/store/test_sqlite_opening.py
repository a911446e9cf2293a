"""The file: made complete, for its owner only; a damaged one is set aside and reported; others are not changed."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.errors import StoreBusyError, StoreDamagedError, StoreError, StoreLostError
from jobctl.model import Trigger
from jobctl.store import sqlite_open
from jobctl.store.open import open_existing_store, open_store
from jobctl.store.records import Claim, Owner, Registration, new_run_id
from jobctl.store.sqlite import SQLiteRunStore
from jobctl.store.sqlite_open import APPLICATION_ID
from tests.store.migrations import ROWS_OF_VERSION_1, assert_rows_of_version_1

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OWNER = Owner("owner-1", "scheduler", "here", 1, "1", "boot", NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@contextmanager
def opened(folder: Path | str, *, verify: bool = False, patience: float = 5) -> Iterator[SQLiteRunStore]:
    with closing(open_store(folder, busy_timeout=timedelta(seconds=patience), verify=verify)) as store:
        assert isinstance(store, SQLiteRunStore)
        yield store


def fill(store: SQLiteRunStore, jobs: int = 1) -> None:
    ids = [f"job-{n}" for n in range(jobs)]
    store.register([Registration(one, one, "every 1m", "UTC") for one in ids], NOW)
    store.register_process(OWNER)
    store.claim(OWNER, [Claim(new_run_id(), one, Trigger.MANUAL, NOW) for one in ids])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".gitignore", "jobctl.lock"}


# Making one


def test_a_new_store_is_for_its_owner_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        with opened(folder) as store:
            fill(store)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    finally:
        os.umask(before)
    assert modes.pop("state") == 0o700
    assert {"jobctl.db", "jobctl.db-wal", "jobctl.db-shm", "jobctl.lock", ".gitignore"} == set(modes)
    assert set(modes.values()) == {0o600}


def test_a_new_store_says_what_it_is(folder: Path) -> None:
    with opened(folder / "deep" / "down") as store:
        assert store.warning is None
        assert not store.read_only
    assert names(folder / "deep" / "down") == {"jobctl.db"}
    head = (folder / "deep" / "down" / "jobctl.db").read_bytes()[:100]
    assert head[68:72] == b"jobc"
    assert int.from_bytes(head[60:64]) == len(sqlite_open._migrations())


def test_opening_an_existing_store_makes_nothing(folder: Path, tmp_path: Path) -> None:
    assert open_existing_store(folder) is None
    assert not folder.exists()
    (tmp_path / "file").touch()
    assert open_existing_store(tmp_path / "file") is None


def test_opening_an_existing_store_reads_it(folder: Path) -> None:
    with opened(folder) as store:
        fill(store)
        seen = open_existing_store(folder)
        assert seen is not None
        with closing(seen):
            assert seen.runs() == store.runs() != []


def test_what_a_killed_maker_left_is_no_hindrance(folder: Path) -> None:
    folder.mkdir()
    for name in (".jobctl.db-0123abcd.new", ".jobctl.db-0123abcd.new-wal", ".jobctl.db.new", "mine"):
        (folder / name).write_bytes(b"half")
    with opened(folder) as store:
        fill(store)
    assert names(folder) == {"jobctl.db", ".jobctl.db.new", "mine"}


def test_a_store_that_appeared_meanwhile_is_not_overwritten(folder: Path) -> None:
    with opened(folder) as store:
        fill(store)
        sqlite_open._create(folder / "jobctl.db")
        assert len(store.runs()) == 1
    assert names(folder) == {"jobctl.db"}


# Damage


def text(path: Path) -> None:
    path.write_text("This was never a run store.\n" * 500)


def header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(100))


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    os.truncate(path, 5000)


def another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (x)")


def without_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {sqlite_open.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.faults
@pytest.mark.parametrize("damage", [text, header, nothing, cut_short, another_program, without_tables])
def test_a_damaged_file_is_set_aside_whole(folder: Path, damage: Callable[[Path], None]) -> None:
    with opened(folder) as store:
        fill(store)
    damage(folder / "jobctl.db")
    left = (folder / "jobctl.db").read_bytes()

    with pytest.raises(StoreDamagedError, match=r"jobctl\.db") as told:
        open_existing_store(folder)
    assert told.value.hint
    assert (folder / "jobctl.db").read_bytes() == left, "looking changed it"
    with opened(folder) as store:
        (aside,) = names(folder) - {"jobctl.db", "jobctl.db-wal", "jobctl.db-shm"}
        assert aside.startswith("jobctl.db.damaged-")
        assert (folder / aside).read_bytes() == left
        assert store.warning is not None
        assert aside in store.warning
        assert store.runs() == []
        fill(store)
    with opened(folder) as store:
        assert store.warning is None
        assert len(store.runs()) == 1


@pytest.mark.faults
def test_its_write_ahead_log_goes_with_it(folder: Path) -> None:
    with opened(folder):
        pass
    nothing(folder / "jobctl.db")
    (folder / "jobctl.db-wal").write_bytes(b"log")
    (folder / "jobctl.db-shm").write_bytes(b"shared")
    with opened(folder) as store:
        fill(store)
    kept = {name.partition("damaged-")[2][15:]: (folder / name) for name in names(folder) - {"jobctl.db"}}
    assert kept.keys() == {"", "-wal", "-shm"}
    assert kept["-wal"].read_bytes() == b"log"


@pytest.mark.faults
def test_damage_after_damage_overwrites_nothing(folder: Path) -> None:
    folder.mkdir()
    for content in ("first", "second", "third"):
        (folder / "jobctl.db").write_text(content)
        opened_now = open_store(folder)
        opened_now.close()
    kept = [(folder / name).read_text() for name in names(folder) if "damaged" in name]
    assert sorted(kept) == ["first", "second", "third"]


@pytest.mark.faults
def test_damage_in_the_middle_is_reported_when_it_is_read(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, 500)
    path = folder / "jobctl.db"
    with path.open("r+b") as file:
        pages = path.stat().st_size // 4096
        for page in range(pages // 2, pages):  # rows; the schema is in the first pages
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with opened(folder) as store:
        with pytest.raises(StoreDamagedError, match=r"jobctl\.db"):
            store.runs(limit=None)
        with pytest.raises(StoreDamagedError):
            store.claim(OWNER, [Claim(new_run_id(), "job-7", Trigger.MANUAL, NOW, force=True)])
    with opened(folder, verify=True) as store:
        assert "set aside" in (store.warning or "")
        assert store.runs() == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "look"),
    [
        ("runs SET status = 'dancing'", SQLiteRunStore.runs),
        ("runs SET started_at = 9e300", SQLiteRunStore.unfinished),
        ("runs SET result = '{'", SQLiteRunStore.jobs),
        ("owners SET since = x'00'", SQLiteRunStore.owners),
        ("jobs SET completed = 'many'", SQLiteRunStore.metrics),
    ],
)
def test_values_that_cannot_be_decoded_are_damage(
    folder: Path, change: str, look: Callable[[SQLiteRunStore], object]
) -> None:
    with opened(folder) as store:
        fill(store)
        with closing(sqlite3.connect(folder / "jobctl.db")) as connection, connection:
            connection.execute(f"UPDATE {change}")
        with pytest.raises(StoreDamagedError, match="cannot be read") as told:
            look(store)
        assert told.value.hint


@pytest.mark.faults
def test_a_damaged_file_that_is_in_use_is_left_alone(folder: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom jobctl.store.open import open_store\n"
        "store = open_store(Path(sys.argv[1]))\nstore.jobs()\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "open\n"
        path = folder / "jobctl.db"
        good = path.read_bytes()[:100]
        header(path)
        with pytest.raises(StoreDamagedError, match="another process has it open"):
            open_store(folder)
        with path.open("r+b") as file:
            file.write(good)
        other.stdin.close()
        assert other.wait(20) == 0
    with opened(folder) as store:
        assert store.warning is None


@pytest.mark.faults
def test_a_damaged_file_that_this_process_uses_is_left_alone(folder: Path) -> None:
    with opened(folder) as store:
        store.jobs()
        header(folder / "jobctl.db")
        with pytest.raises(StoreDamagedError, match="has it open"):
            open_store(folder)


def test_a_newer_store_is_left_alone(folder: Path) -> None:
    with opened(folder) as store:
        fill(store)
    with closing(sqlite3.connect(folder / "jobctl.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (folder / "jobctl.db").read_bytes()
    for attempt in (open_store, open_existing_store):
        with pytest.raises(StoreError, match="newer jobctl") as told:
            attempt(folder)
        assert not isinstance(told.value, StoreDamagedError)
        assert told.value.hint
    assert (folder / "jobctl.db").read_bytes() == before
    assert names(folder) == {"jobctl.db"}


def migrate_to(patch: pytest.MonkeyPatch, place: Path, *further: str) -> None:
    """As if this jobctl knew further versions of the schema."""
    steps = sqlite_open._migrations()
    for number, script in enumerate(further):
        steps.append(place / f"further-{number}.sql")
        steps[-1].write_text(script)
    patch.setattr(sqlite_open, "_migrations", lambda: steps)


def test_an_older_store_is_brought_up_to_date(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as store:
        fill(store)
    migrate_to(
        monkeypatch,
        tmp_path,
        "ALTER TABLE jobs ADD COLUMN note TEXT; UPDATE jobs SET note = 'x'",
        "ALTER TABLE jobs ADD COLUMN more TEXT",
    )
    for _ in range(2):
        with opened(folder) as store, store._reading() as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_open._migrations()),)
            assert connection.execute("SELECT note, more FROM jobs").fetchall() == [("x", None)]
            assert len(store.runs()) == 1


@pytest.mark.parametrize("version", range(1, len(sqlite_open._migrations())))
def test_a_store_of_every_older_version_is_migrated_with_what_is_in_it(folder: Path, version: int) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "jobctl.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        first, *others = (step.read_text() for step in sqlite_open._migrations()[:version])
        connection.executescript(first + ROWS_OF_VERSION_1)
        for script in others:
            connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA journal_mode = WAL")
    with opened(folder) as store:
        assert_rows_of_version_1(store)


def test_a_migration_that_fails_changes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as store:
        fill(store)
    with monkeypatch.context() as patch:
        migrate_to(patch, tmp_path, "ALTER TABLE jobs ADD COLUMN note TEXT; SELECT no_such_function()")
        with pytest.raises(StoreError):
            open_store(folder)
    with opened(folder) as store, store._reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_open._migrations()),)
        assert "note" not in {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}


# Places that cannot be used


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("mine")
    with pytest.raises(StoreError, match="is a file") as told:
        open_store(tmp_path / "state")
    assert told.value.hint
    with pytest.raises(StoreError):
        open_store(tmp_path / "state" / "deeper")
    assert (tmp_path / "state").read_text() == "mine"


def test_a_folder_in_the_place_of_the_file(folder: Path) -> None:
    (folder / "jobctl.db").mkdir(parents=True)
    for attempt in (open_store, open_existing_store):
        with pytest.raises(StoreError, match="is not a file"):
            attempt(folder)
    assert (folder / "jobctl.db").is_dir()


def test_a_link_to_nowhere_in_the_place_of_the_file(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "jobctl.db").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is not a file"):
        open_store(folder)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.faults
def test_a_file_that_was_moved_away_is_reported_and_not_written_to(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        fill(store)
        for name in ("jobctl.db", "jobctl.db-wal", "jobctl.db-shm"):
            (folder / name).rename(tmp_path / name)
        with pytest.raises(StoreError, match="was moved while it was in use"):
            store.stop(["job-0"], NOW)
        assert store.restore() is None, "it may come back"
        with opened(folder) as other:
            assert other.runs() == []
            with pytest.raises(StoreLostError, match="deleted or replaced"):
                store.stop(["job-0"], NOW)


def delete(folder: Path, spare: Path) -> None:
    del spare
    shutil.rmtree(folder)


def restore_a_backup(folder: Path, spare: Path) -> None:
    with opened(spare) as store:
        fill(store, 3)
    for path in folder.glob("jobctl.db*"):
        path.unlink()
    (spare / "jobctl.db").rename(folder / "jobctl.db")


@pytest.mark.parametrize(("lose", "jobs"), [(delete, 0), (restore_a_backup, 3)])
def test_a_store_that_was_lost_can_be_opened_again(
    folder: Path, tmp_path: Path, lose: Callable[[Path, Path], None], jobs: int
) -> None:
    with opened(folder) as store:
        fill(store)
        lose(folder, tmp_path / "spare")
        with pytest.raises(StoreLostError, match="deleted or replaced"):
            store.stop(["job-0"], NOW)

        assert "deleted or replaced" in (store.restore() or "")

        assert len(store.jobs()) == jobs
        store.stop(["job-0"], NOW)
        assert store.restore() is None


def test_a_closed_store_says_so(folder: Path) -> None:
    with opened(folder) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        store.jobs()


def test_a_store_that_is_held_is_busy(folder: Path) -> None:
    with opened(folder, patience=0.05) as store:
        fill(store)
        with closing(sqlite3.connect(folder / "jobctl.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError, match="locked by another process"):
                store.stop(["job-0"], NOW)
            assert len(store.jobs()) == 1, "looking does not wait for a writer"
            connection.execute("ROLLBACK")
        store.stop(["job-0"], NOW)
