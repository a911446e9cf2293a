"""The files of logs: only an id names one, no link is followed, and those of a job have a limit together."""

import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.execution.run_log import RunLog
from jobctl.model import RunStatus, Trigger
from jobctl.scheduler import process_identity
from jobctl.scheduler.liveness import Liveness, fail_lost_runs
from jobctl.scheduler.process_identity import this_process
from jobctl.settings.masking import Mask
from jobctl.store import logs as run_logs
from jobctl.store.logs import LogLimit, append, delete, log_usage, read
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Ending, Registration

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
HOSTILE = ["../../x", "..", ".", "", "/etc/passwd", "a/b", "a\0b", "a\n", "é", "x" * 300, "-\u202e", "a.b"]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "state" / "logs"


def write(logs: Path, run_id: str, size: int, kept: LogLimit | None = None, *, age: float = 0) -> None:
    file = append(logs, "job", run_id)
    os.write(file, b"x" * size)
    os.utime(file, (NOW.timestamp() - age, NOW.timestamp() - age))
    os.close(file)
    if kept is not None:
        kept.add("job", run_id, size)


def there(logs: Path) -> set[str]:
    return {one.stem for one in (logs / "job").glob("*.log")}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_has_not_the_form_of_an_id_names_no_file(logs: Path, hostile: str) -> None:
    write(logs, "run1", 1)
    Path(logs.parent / "x.log").touch()

    for job_id, run_id in ((hostile, "run1"), ("job", hostile)):
        for use in (append, read, delete):
            with pytest.raises(OSError, match="is not a valid id"):
                use(logs, job_id, run_id)
        log = RunLog(logs, job_id, run_id, Mask())
        log.feed(b"text\n", NOW)
        assert "could not be kept" in log.close(NOW)[-1]

    found = {str(one.relative_to(logs.parent)) for one in logs.parent.rglob("*") if one.is_file()}
    assert found == {".gitignore", "x.log", "logs/job/run1.log"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_store_with_hostile_ids_leads_nowhere(
    tmp_path: Path, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "KEEP_PER_JOB", 1)
    state = tmp_path / "a" / "state"
    victims = [tmp_path / "x.log", tmp_path / "a" / "x.log", tmp_path / "a" / "x", tmp_path / "x"]
    for victim in victims:
        victim.parent.mkdir(exist_ok=True)
        victim.touch()
    with closing(open_store(state)) as store:
        dead = replace(this_process("scheduler", NOW), id=hostile, pid=2**30)
        store.register_process(dead)
        for number, job_id in enumerate(("job", hostile)):
            store.register([Registration(job_id, "Job", "", "UTC")], NOW)
            for run_id in (number * "../" + hostile, f"run{number}", f"../run{number}"):
                store.claim(dead, [Claim(run_id, job_id, Trigger.MANUAL, NOW, force=True)])
                store.finish([Ending(run_id, job_id, RunStatus.COMPLETED, NOW, NOW, timedelta(0))])
        store.claim(dead, [Claim("last", "job", Trigger.MANUAL, NOW, force=True)])

        lost = fail_lost_runs(store, store.owners(), state, Liveness(store, state, SystemClock()), NOW)
        removed = run_logs.prune_runs_and_logs(store, state / "logs", NOW + timedelta(days=60))
        process_identity.sweep(state, {one.id for one in store.owners()})

    assert [one.id for one in lost] == ["last"]
    assert removed
    assert all(victim.exists() for victim in victims)


def test_a_link_or_a_pipe_in_place_of_a_log_is_not_read(logs: Path, tmp_path: Path) -> None:
    write(logs, "run1", 3)
    (tmp_path / "secret.log").write_text("secret")
    (logs / "job" / "linked.log").symlink_to(tmp_path / "secret.log")
    (logs / "linked").symlink_to(tmp_path)
    os.mkfifo(logs / "job" / "pipe.log")

    for job_id, run_id in (("job", "linked"), ("linked", "secret"), ("job", "pipe")):
        with pytest.raises(OSError, match=r"."):
            read(logs, job_id, run_id)
    assert read(logs, "job", "none") is None
    assert read(logs, "none", "none") is None
    file = read(logs, "job", "run1")
    assert file is not None
    with file:
        assert file.read() == b"xxx"


def test_the_oldest_logs_of_a_job_go_where_they_are_too_many(logs: Path) -> None:
    for number in range(8):
        write(logs, f"old{number}", 100, age=100 - number)
    (logs / "job" / "notes.txt").write_text("x" * 5000)

    write(logs, "new", 100, LogLimit(logs, 500), age=1)

    assert there(logs) == {"old5", "old6", "old7", "new"}
    assert (logs / "job" / "notes.txt").exists()
    found = log_usage(logs, "job", 500)
    assert (found.size, found.limit) == (400, 500)
    assert found.deleted_at is not None


def test_a_few_logs_stay_and_nothing_is_said(logs: Path) -> None:
    kept = LogLimit(logs, 1000)
    for number in range(8):
        write(logs, f"run{number}", 100, kept, age=100 - number)

    assert len(there(logs)) == 8
    assert log_usage(logs, "job", 1000) == run_logs.LogUsage(800, 1000)
    assert log_usage(logs, "never", 1000) == run_logs.LogUsage(0, 1000)


def test_however_many_runs_print_the_limit_holds(logs: Path) -> None:
    kept = LogLimit(logs, 1000)
    for number in range(100):
        write(logs, f"run{number}", 7 * (1 + number % 13), kept, age=100 - number)

        assert log_usage(logs, "job", 1000).size <= 1000
    assert f"run{99}" in there(logs)
    assert log_usage(logs, "job", 1000).size > 700


def test_neither_the_log_just_written_nor_a_newer_one_goes(logs: Path) -> None:
    write(logs, "old", 100, age=50)
    write(logs, "running", 5000, age=0)

    write(logs, "ended", 5000, LogLimit(logs, 1000), age=10)

    assert there(logs) == {"ended", "running"}
