"""Real processes and threads on one store: many writers, kills, forks, full and read-only disks."""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.errors import StoreError
from jobctl.model import Reason, RunStatus, Trigger
from jobctl.store.base import RunStore
from jobctl.store.open import open_existing_store, open_store
from jobctl.store.records import Claim, Claimed, Ending, Owner, Registration, new_run_id
from jobctl.store.sqlite import SQLiteRunStore
from tests.support.disks import read_only, resize, small_disk

pytestmark = pytest.mark.faults

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OWNER = Owner("owner-1", "scheduler", "here", 1, "1", "boot", NOW)

BEGIN = """
import os, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from jobctl.errors import StoreError
from jobctl.model import RunStatus, Trigger
from jobctl.store.open import open_existing_store, open_store
from jobctl.store.records import Claim, Claimed, Ending, Owner, Registration, new_run_id

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
folder = Path(sys.argv[1])
me = f"owner-{os.getpid()}"
owner = Owner(me, "scheduler", "here", os.getpid(), "1", "boot", NOW)

def claim(store, job, slot=None):
    (answer,) = store.claim(owner, [Claim(new_run_id(), job, Trigger.SCHEDULE, NOW, slot=slot)])
    return answer

def ready():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def processes(script: str, folder: Path, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """So many of them, each arrived at ``ready()``; all killed at the end if they live."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + script, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


def go(started: list[subprocess.Popen[str]]) -> list[str]:
    """Let all go on at once, and hear what each says."""
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return [one.communicate(timeout=100)[0].strip() for one in started]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[RunStore]:
    with closing(open_store(folder)) as store:
        store.register_process(OWNER)
        store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
        yield store


@pytest.mark.slow
def test_thirty_processes_make_one_store_and_write_at_once(folder: Path) -> None:
    script = """
ready()
store = open_store(folder)
store.register_process(owner)
store.register([Registration(me, me, "every 1m", "UTC")], NOW)
for minute in range(20):
    run = claim(store, me, NOW + timedelta(minutes=minute)).run
    store.finish([Ending(run.id, run.job_id, RunStatus.COMPLETED, NOW, NOW, timedelta(0))])
store.close()
print(store.warning)
"""
    with processes(script, folder, 30) as started:
        assert go(started) == ["None"] * 30
    with closing(open_store(folder, verify=True)) as store:
        assert store.warning is None
        assert {totals.successful_jobs for totals in store.metrics().jobs} == {20}
        assert store.metrics().total_executions == len(store.runs(limit=None)) == 600


@pytest.mark.slow
def test_twenty_processes_race_for_one_slot(folder: Path, store: RunStore) -> None:
    script = """
store = open_store(folder)
store.register_process(owner)
ready()
print(type(claim(store, "job", NOW)).__name__)
"""
    with processes(script, folder, 20) as started:
        said = go(started)
    assert sorted(said) == ["Claimed"] + ["SlotTaken"] * 19
    assert len(store.runs(limit=None)) == 1


def test_a_writer_killed_inside_its_transaction_leaves_nothing(folder: Path, store: RunStore) -> None:
    script = """
store = open_store(folder)
store.register_process(owner)
class Claims(list):
    def __iter__(self):
        yield from super().__iter__()
        ready()  # the first claim is written, nothing is committed
store.claim(owner, Claims([Claim(new_run_id(), "job", Trigger.SCHEDULE, NOW, slot=NOW)]))
"""
    with processes(script, folder) as (writer,):
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    assert store.runs() == []
    (answer,) = store.claim(OWNER, [Claim(new_run_id(), "job", Trigger.SCHEDULE, NOW, slot=NOW)])
    assert isinstance(answer, Claimed)


def test_what_a_killed_writer_had_recorded_is_kept(folder: Path, store: RunStore) -> None:
    script = """
store = open_store(folder)
store.register_process(owner)
claim(store, "job", NOW)
ready()
"""
    with processes(script, folder) as (writer,):
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    ((run, owner),) = store.unfinished()
    assert owner.pid == writer.pid
    (lost,) = store.fail_lost_runs(owner.id, NOW)
    assert (lost.id, lost.status, lost.reason) == (run.id, RunStatus.FAILED, Reason.LOST)


def test_a_forked_child_gets_connections_of_its_own(folder: Path, store: RunStore) -> None:
    script = """
ready()
store = open_store(folder)
store.register_process(owner)
mine = store._connections.get()
child = os.fork()
if not child:
    assert store._connections.get() is not mine
    claim(store, "job", NOW)
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store._connections.get() is mine
print(type(claim(store, "job", NOW)).__name__)
"""
    with processes(script, folder) as started:
        assert go(started) == ["SlotTaken"]
    assert len(store.runs()) == 1


def test_threads_write_at_once_and_let_go_of_their_connections(folder: Path, store: RunStore) -> None:
    jobs = [f"job-{n}" for n in range(8)]
    store.register([Registration(one, one, "every 1m", "UTC") for one in jobs], NOW)
    barrier = threading.Barrier(len(jobs))

    def work(job: str) -> None:
        barrier.wait(20)
        for minute in range(25):
            slot = NOW + timedelta(minutes=minute)
            (answer,) = store.claim(OWNER, [Claim(new_run_id(), job, Trigger.SCHEDULE, slot, slot=slot)])
            assert isinstance(answer, Claimed)
            store.finish([Ending(answer.run.id, job, RunStatus.COMPLETED, slot, slot, timedelta(0))])

    def files() -> int:
        here = Path("/proc/self/fd")
        return sum(str(folder) in str(one.readlink()) for one in here.iterdir() if one.is_symlink())

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(work, jobs))
    assert store.metrics().successful_jobs == 200
    after = files()
    for _ in range(20):
        look = threading.Thread(target=store.jobs)
        look.start()
        look.join()
    assert files() <= after, "the threads' connections are still open"


# Full disks


def fill(store: RunStore) -> int:
    """Run a job until the disk is full; how many runs were recorded whole."""
    for minute in range(10_000):
        slot = NOW + timedelta(minutes=minute)
        try:
            (answer,) = store.claim(OWNER, [Claim(new_run_id(), "job", Trigger.SCHEDULE, slot, slot=slot)])
            assert isinstance(answer, Claimed)
            ended = Ending(
                answer.run.id, "job", RunStatus.FAILED, slot, slot, timedelta(0), Reason.ERROR, "x" * 2000
            )
            store.finish([ended])
        except StoreError as error:
            told = error
            break
    else:
        raise AssertionError("the disk was never full")
    assert "the disk is full" in str(told)
    assert told.hint
    return minute


def test_a_full_file_stops_starts_and_loses_nothing(folder: Path) -> None:
    with closing(open_store(folder)) as store:
        store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
        store.register_process(OWNER)
        assert isinstance(store, SQLiteRunStore)
        connection = store._connections.get()
        connection.execute("PRAGMA max_page_count = 60")
        done = fill(store)
        assert store.metrics().failed_jobs == done > 0
        assert len(store.runs(limit=None, statuses=[RunStatus.FAILED])) == done
        connection.execute("PRAGMA max_page_count = 10000")
        for run, _ in store.unfinished():
            assert store.finish(
                [Ending(run.id, run.job_id, RunStatus.COMPLETED, NOW, NOW, timedelta(0))]
            ) == [True]
        slot = NOW + timedelta(days=90)
        (answer,) = store.claim(OWNER, [Claim(new_run_id(), "job", Trigger.SCHEDULE, slot, slot=slot)])
        assert isinstance(answer, Claimed)


def test_a_full_disk_stops_starts_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "512k"):
        with closing(open_store(disk / "state")) as store:
            store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
            store.register_process(OWNER)
            done = fill(store)
            assert store.metrics().failed_jobs == done > 0
            resize(disk, "4m")
            slot = NOW + timedelta(days=90)
            for run, _ in store.unfinished():
                store.finish([Ending(run.id, run.job_id, RunStatus.COMPLETED, NOW, NOW, timedelta(0))])
            (answer,) = store.claim(OWNER, [Claim(new_run_id(), "job", Trigger.SCHEDULE, slot, slot=slot)])
            assert isinstance(answer, Claimed)
        with closing(open_store(disk / "state", verify=True)) as store:
            assert store.warning is None


def test_no_space_for_a_new_store_is_reported(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "16k"):
        with pytest.raises(StoreError, match="the disk is full"):
            open_store(disk / "state")
        assert not list(disk.glob("state/*db*"))


# Read-only disks and other users


@pytest.mark.parametrize("closed", [True, False])
def test_a_store_on_a_read_only_disk_can_be_read(folder: Path, tmp_path: Path, closed: bool) -> None:
    script = f"""
store = open_store(folder)
store.register_process(owner)
store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
claim(store, "job", NOW)
if {closed}:
    store.close()
ready()
"""
    with processes(script, folder) as (writer,):
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    assert (folder / "jobctl.db-wal").exists() is not closed
    disk = tmp_path / "disk"
    with read_only(folder, disk):
        seen = open_existing_store(disk)
        assert seen is not None
        with closing(seen):
            assert seen.read_only
            assert [run.job_id for run in seen.runs()] == ["job"], "also what was not folded in yet"
            with pytest.raises(StoreError, match="read-only") as told:
                seen.stop(["job"], NOW)
            assert told.value.hint
        with pytest.raises(StoreError, match="read-only"):
            open_store(disk)


def test_a_store_of_another_user() -> None:
    # outside tmp_path, which other users cannot enter; modes bind whoever is not root
    script = """
import fcntl, sqlite3
import jobctl.store.sqlite_open, jobctl.files  # before another user may not read the interpreter's
def attempt(does):
    try:
        store = does(folder)
        print("read-only" if store.read_only else "writable", len(store.jobs()))
        store.close()
    except StoreError as error:
        print(error.problem.removeprefix(f"the run store {folder}/jobctl.db "), "|", error.hint)
store = open_store(folder)
store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
store.close()
folder.chmod(0o555)
ready()
os.path.exists(folder / "jobctl.db") or sys.exit("gone")
(folder / "jobctl.db").chmod(0o444)
if os.getuid() == 0:
    os.setuid(65534)
attempt(open_existing_store)
attempt(open_store)
"""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "state"
        with processes(script, folder) as started:
            looked, opened = go(started)[0].splitlines()
        folder.chmod(0o700)
    assert looked == "read-only 1"
    assert "permission denied" in opened or "read-only" in opened
    assert "JOBCTL_STATE" in opened or "it belongs to" in opened


def test_a_store_that_cannot_be_read() -> None:
    script = """
import fcntl, sqlite3
import jobctl.store.sqlite_open, jobctl.files  # before another user may not read the interpreter's
open_store(folder).close()
(folder / "jobctl.db").chmod(0)
folder.chmod(0o555)
ready()
if os.getuid() == 0:
    os.setuid(65534)
try:
    open_existing_store(folder)
except StoreError as error:
    print(error, "|", error.hint)
"""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "state"
        with processes(script, folder) as started:
            (said,) = go(started)
        folder.chmod(0o700)
    assert "permission denied" in said
    assert "it belongs to" in said
