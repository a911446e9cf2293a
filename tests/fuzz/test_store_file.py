"""Any bytes as the run store's file, and any values in it: reported as damage, never taken for new, never overwritten."""

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.errors import StoreError
from jobctl.model import Trigger
from jobctl.store.base import RunStore
from jobctl.store.logs import KEEP, KEEP_PER_JOB
from jobctl.store.open import open_existing_store, open_store
from jobctl.store.records import Claim, Owner, Registration, new_run_id
from tests.support.fuzzing import anything, bounded, check_message, examples
from tests.support.terminal import Cli, Past

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PATIENCE = timedelta(seconds=1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with a past."""
    folder = tmp_path_factory.mktemp("store")
    past = Past(folder)
    for job_id in ("hello", "bad"):
        past.ran(job_id)
    past.ran("bad", error="it failed", result={"a": [1]})
    past.begin("nightly")
    past.store.cache_put({"user_growth_12": [1]}, NOW, NOW)
    past.store.close()
    with closing(sqlite3.connect(folder / ".jobctl" / "jobctl.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / ".jobctl" / "jobctl.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def put(folder: Path, data: bytes) -> Path:
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "jobctl.db").write_bytes(data)
    return folder / "jobctl.db"


def look(store: RunStore) -> None:
    """Read all that there is."""
    for job_id in store.jobs():
        store.job(job_id)
    for run in store.runs():
        store.run(run.id)
    store.metrics(), store.owners(), store.unfinished(), store.cached(), store.change_token()


def work(store: RunStore) -> None:
    """What a scheduler does."""
    owner = Owner("owner-1", "scheduler", "here", 1, "1", "boot", NOW)
    store.register_process(owner)
    store.register([Registration("new", "new", "every 1m", "UTC")], NOW)
    store.claim(owner, [Claim(new_run_id(), "new", Trigger.MANUAL, NOW)])
    store.prune(NOW, KEEP, KEEP_PER_JOB)
    store.clock_generation()
    store.fail_lost_runs(owner.id, NOW)


def tried(call: Any, store: RunStore) -> None:
    try:
        call(store)
    except StoreError as error:
        check_message(error)


places = st.lists(
    st.tuples(st.integers(0, 200_000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=20
)


@pytest.mark.slow
@examples(40)
@given(places, st.none() | st.integers(0, 100_000), st.booleans(), st.binary(max_size=64))
@example([(0, b"\0")], 0, False, b"")
def test_a_damaged_file_is_reported_and_kept(
    folder: Path, sound: Path, places: list[tuple[int, bytes]], cut: int | None, verify: bool, log: bytes
) -> None:
    data = bytearray(sound.read_bytes()[:cut])
    for at, patch in places:
        start = at % max(1, len(data))
        data[start : start + len(patch)] = patch
    file = put(folder, bytes(data))
    if log:
        file.with_name("jobctl.db-wal").write_bytes(log)

    with bounded():
        with suppress(StoreError):
            store = open_existing_store(folder, busy_timeout=PATIENCE)
            assert store is not None
            with closing(store):
                tried(look, store)
        try:
            store = open_store(folder, busy_timeout=PATIENCE, verify=verify)
        except StoreError as error:
            check_message(error)
            assert file.exists()
            return
        with closing(store):
            if store.warning is not None:
                aside = [
                    one
                    for one in folder.iterdir()
                    if ".damaged-" in one.name and "-wal" not in one.name and "-shm" not in one.name
                ]
                assert [one.read_bytes() for one in aside] == [bytes(data)]
                assert store.jobs() == {}
            tried(look, store)
            tried(work, store)


@pytest.mark.slow
@examples(30)
@given(
    st.binary(max_size=200)
    | st.binary(max_size=40).map(lambda end: b"SQLite format 3\0" + end)
    | anything.map(lambda one: one.encode("utf-8", "replace"))
)
@example(b"")
def test_what_is_no_store_is_set_aside_whole(folder: Path, data: bytes) -> None:
    file = put(folder, data)

    with bounded():
        with pytest.raises(StoreError) as caught:
            open_existing_store(folder, busy_timeout=PATIENCE)
        check_message(caught.value)
        assert file.read_bytes() == data
        with closing(open_store(folder, busy_timeout=PATIENCE)) as store:
            assert store.warning is not None
            work(store)
            look(store)
    (aside,) = [one for one in folder.iterdir() if ".damaged-" in one.name]
    assert aside.read_bytes() == data


def change(table: str, names: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(table), st.sampled_from(names.split()), st.none() | values)


texts = anything.map(lambda one: one.encode("utf-8", "replace").decode()) | st.sampled_from(
    ["running", "[" * 5000, "9" * 5000, '{"a": NaN}', "every 5m", "UTC", ""]
)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.sampled_from([2**62])
changes_of_a_value = st.one_of(
    change(
        "runs", "id job_id status reason trigger error result owner host grouped arguments progress", texts
    ),
    change("runs", "scheduled_for started_at finished_at duration_ms pid attempt", numbers),
    change("jobs", "id name schedule timezone stop_reason", texts),
    change("jobs", "anchor cursor next_run stopped last_run missed timed total_ms max_ms failed", numbers),
    change("owners", "id kind host start boot", texts),
    change("owners", "pid since beat ended killed", numbers),
    change("cache", "key value", texts),
    change("cache", "computed_at expires_at", numbers),
    change("meta", "value", numbers),
)
LOOKS = ("status", "status hello --json", "runs", "runs --json", "metrics", "logs bad --json")


@pytest.mark.slow
@examples(30)
@given(st.lists(changes_of_a_value, min_size=1, max_size=3))
@example([("runs", "status", "cnmpleted")])
@example([("runs", "started_at", 2**62)])
@example([("runs", "result", "[" * 5000)])
@example([("runs", "arguments", "[1]")])
@example([("runs", "progress", '["1", 2, ""]')])
@example([("jobs", "id", None)])
@example([("cache", "value", "{")])
@example([("meta", "value", 2.0**63)])
@example([("runs", "duration_ms", 8.64e13)])
def test_any_values_in_it_are_shown_or_reported_as_damage(
    cli: Cli, here: Path, sound: Path, changes: list[tuple[str, str, Any]]
) -> None:
    file = put(here / ".jobctl", sound.read_bytes())
    with closing(sqlite3.connect(file)) as connection:
        for table, column, value in changes:
            with suppress(sqlite3.Error), connection:
                connection.execute(f"UPDATE {table} SET {column} = ?", (value,))

    for words in LOOKS:
        with bounded():
            told = cli(*words.split())
        assert told.code == 0 or (told.code, "the run store" in told.stdout + told.stderr) == (70, True), (
            told.stderr
        )
    with bounded(), closing(open_store(here / ".jobctl", busy_timeout=PATIENCE)) as store:
        tried(look, store)
        tried(work, store)
