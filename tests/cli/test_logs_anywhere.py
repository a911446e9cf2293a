"""``JOBCTL_LOGS=store``: what a run prints on one machine is read, and followed, on another."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.execution.run_log import HEAD, TAIL
from jobctl.store.open import open_store
from tests.support.postgres import Postgres
from tests.support.project import Site, until

pytestmark = pytest.mark.slow

JOBS = """
[jobs.steps]
call = "work:steps"
retries = 1
retry_delay = "10ms"
[jobs.torrent]
call = "work:torrent"
[jobs.silent]
call = "work:silent"
[jobs.tick]
every = "1s"
call = "work:silent"
"""
CODE = """
import os, time
from pathlib import Path

def until(name):
    while not Path(name).exists():
        time.sleep(0.02)

def silent():
    pass

def steps():
    if Path("again").exists():
        print("once more", flush=True)
        return
    print("one", os.environ["API_TOKEN"], flush=True)
    until("two")
    print("two", flush=True)
    until("fail")
    Path("again").touch()
    raise ValueError("not yet")

def torrent():
    for number in range(30_000):
        print(f"{number:06} {'x' * 92}")
"""
SECRET = "a-token-that-nobody-sees"


@pytest.fixture
def site(site: Site, postgres: Postgres) -> Site:
    """One machine, where runs are."""
    site.jobs(JOBS, CODE)
    site.environment |= {
        "JOBCTL_STATE": postgres.schema(), "JOBCTL_LOGS": "store", "API_TOKEN": SECRET
    }  # fmt: skip
    return site


@pytest.fixture
def other(site: Site, tmp_path: Path) -> Iterator[Site]:
    """Another machine: nothing but the run store is shared."""
    folder = tmp_path / "elsewhere" / "site"
    folder.mkdir(parents=True)
    other = Site(folder)
    other.jobs(JOBS, CODE)
    other.environment |= {name: site.environment[name] for name in ("JOBCTL_STATE", "JOBCTL_LOGS")}
    yield other
    other.clean_up()


def kept_text(site: Site, job_id: str) -> bytes:
    """The log of a job's newest run in the store."""
    with closing(open_store(site.environment["JOBCTL_STATE"])) as store:
        newest = store.runs(job_id, limit=1)
        assert store.stored_logs is not None
        file = store.stored_logs.open(newest[0].id) if newest else None
        if file is None:
            return b""
        with file:
            return file.read()


def files(site: Site, folder: str) -> list[Path]:
    return [path for path in (site.folder / ".jobctl" / folder).rglob("*") if path.is_file()]


def test_a_run_is_followed_from_another_machine_while_it_runs(site: Site, other: Site) -> None:
    site.popen("trigger", "steps")
    follow = other.popen("logs", "steps", "--follow", "--json", stderr=subprocess.DEVNULL)
    assert follow.stdout is not None
    assert json.loads(follow.stdout.readline())["line"] == "one ••••"
    site.write("two", "")
    assert json.loads(follow.stdout.readline())["line"] == "two"
    site.write("fail", "")

    rest = [json.loads(line) for line in follow.stdout]
    assert follow.wait() == 0
    assert rest[-2]["line"] == "once more"
    assert rest[-1]["run"]["status"] == "completed"
    lines = [each["line"] for each in rest[:-1]]
    assert "attempt 2" in lines
    assert "ValueError: not yet" in lines
    assert files(other, "logs") == []
    assert SECRET.encode() not in kept_text(other, "steps")
    assert other.call("logs", "steps").stdout == site.call("logs", "steps").stdout


def test_all_jobs_are_followed_from_another_machine(site: Site, other: Site) -> None:
    follow = other.popen("logs", "--follow", "--json", stderr=subprocess.DEVNULL)
    assert follow.stdout is not None
    site.popen("trigger", "steps")
    assert json.loads(follow.stdout.readline())["line"] == "one ••••"
    site.write("two", "")
    site.write("fail", "")
    lines = []
    while "once more" not in lines:
        lines.append(json.loads(follow.stdout.readline())["line"])
    follow.send_signal(signal.SIGINT)
    assert follow.wait() == 130
    assert lines[0] == "two"


def test_a_log_in_the_store_is_bounded_as_its_file(site: Site, other: Site) -> None:
    assert site.call("trigger", "torrent").returncode == 0

    (file,) = files(site, "logs")
    assert kept_text(other, "torrent") == file.read_bytes()
    kept = sum(len(line.partition(b"] ")[2]) + 1 for line in file.read_bytes().splitlines())
    assert HEAD < kept < HEAD + TAIL + 1000
    assert other.call("logs", "torrent", "--tail", "1").stdout == f"029999 {'x' * 92}\n"
    assert files(site, "unsent-logs") == []


def test_a_run_that_prints_nothing_sends_nothing(site: Site, other: Site) -> None:
    assert site.call("trigger", "silent").returncode == 0

    assert "printed nothing" in other.call("logs", "silent").stderr
    assert kept_text(other, "silent") == b""
    assert files(site, "unsent-logs") == []


def test_what_is_printed_while_the_store_is_away_is_sent_later(
    site: Site, other: Site, postgres: Postgres
) -> None:
    site.run()
    trigger = site.popen("trigger", "steps")
    until(lambda: b"one" in kept_text(other, "steps"))
    postgres.stop("fast")
    try:
        site.write("two", "")
        (log,) = until(lambda: files(site, "logs"))
        until(lambda: b"two" in log.read_bytes())  # no run waits for the store
    finally:
        postgres.start()

    until(lambda: b"two" in kept_text(other, "steps"))
    site.write("fail", "")
    until(lambda: b"once more" in kept_text(other, "steps"))
    assert trigger.wait() == 0
    assert kept_text(other, "steps") == log.read_bytes()
    until(lambda: files(site, "unsent-logs") == [])


def test_what_a_killed_process_has_not_sent_is_sent_by_the_next(site: Site, other: Site) -> None:
    """Its output goes on after the kill of what would send it, up to the end of its worker."""
    trigger = site.popen("trigger", "steps")
    until(lambda: b"one" in kept_text(other, "steps"))
    os.kill(trigger.pid, signal.SIGKILL)
    trigger.wait()
    (log,) = files(site, "logs")
    with log.open("ab") as file:
        file.write(b"2026-11-29T00:00:00.000Z [steps] not sent\n")
    assert [path.name for path in files(site, "unsent-logs")] == [f"{log.stem}.steps"]

    site.call("status")  # records that the run is lost, where its pid can be seen
    until(lambda: [run["status"] for run in site.runs("steps")] == ["failed"], 90)
    assert site.call("trigger", "silent").returncode == 0
    until(lambda: site.call("trigger", "silent").returncode == 0 and not files(site, "unsent-logs"))

    assert kept_text(other, "steps") == log.read_bytes()
    assert "not sent" in other.call("logs", log.stem).stdout


def test_a_store_in_a_file_is_refused(site: Site) -> None:
    done = site.call("trigger", "silent", env={"JOBCTL_STATE": ".jobctl"})

    assert done.returncode == 2
    assert 'JOBCTL_LOGS is "store", but the run store is not on Postgres' in done.stderr
    assert "set JOBCTL_STATE to postgresql://" in done.stderr
    assert site.call("status", env={"JOBCTL_STATE": ".jobctl"}).returncode == 0


def test_without_it_nothing_is_sent(site: Site, other: Site) -> None:
    site.environment["JOBCTL_LOGS"] = "files"
    assert site.call("trigger", "torrent").returncode == 0

    assert kept_text(other, "torrent") == b""
    assert files(site, "unsent-logs") == []
