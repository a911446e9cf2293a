"""``kill -9`` at the moments that matter most."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import jobctl.store
from jobctl.store.sqlite_open import APPLICATION_ID
from tests.faults.audit import audit, jobs_that_tell, told
from tests.faults.budget import many
from tests.support.project import Site, marked, send, until

SCHEMA = sorted((Path(jobctl.store.__file__).parent / "schema/sqlite").glob("*.sql"))
LONG_AGO_MS = 40 * 86_400_000
OLD = (
    "INSERT INTO runs (id, job_id, status, trigger, started_at, finished_at, duration_ms, host)"
    " VALUES (?, 'a', 'completed', 'manual', ?, ?, 1, 'here')"
)


def store_of(site: Site) -> Path:
    return site.folder / ".jobctl" / "jobctl.db"


def kill_all(site: Site) -> None:
    """All at once, until no process comes up any more."""
    while found := marked(site.mark):
        send(found, signal.SIGKILL)


def soon(look: Callable[[], object]) -> bool:
    """Look without a pause: what is waited for lasts milliseconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if look():
            return True
    return False


def test_between_claim_and_start(site: Site) -> None:
    """No worker comes up before the scheduler is dead."""
    jobs_that_tell(site, {"job": 0.01})
    site.write(
        "sitecustomize.py",
        "import pathlib, sys, time\n"
        "while 'jobctl.execution.worker' in sys.orig_argv and not pathlib.Path('gate').exists():\n"
        "    time.sleep(0.01)\n",
    )
    scheduler = site.popen("run", env={"PYTHONPATH": str(site.folder)})
    until(lambda: [run for run in site.runs() if run["status"] == "running"])

    scheduler.kill()
    scheduler.wait()

    assert site.json("status", "job")["jobs"][0]["status"] == "failed"
    (site.folder / "gate").touch()
    (lost,) = [run for run in audit(site, reasons={"lost"}) if run["status"] != "skipped"]
    assert lost["reason"] == "lost"
    assert told(site, "job", "begin") == 0
    assert site.call("trigger", "job").returncode == 0
    assert told(site, "job") == 1


def test_between_end_and_record(site: Site) -> None:
    """The store is held while the job ends."""
    jobs_that_tell(site, {"job": 1.0})
    scheduler = site.run()
    until(lambda: told(site, "job", "begin"))
    with closing(sqlite3.connect(store_of(site), isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        until(lambda: told(site, "job") == told(site, "job", "begin"))
        threading.Event().wait(0.3)
        scheduler.kill()
        scheduler.wait()
        other.execute("ROLLBACK")

    runs = audit(site, reasons={"lost"})
    assert runs[-1]["reason"] == "lost"
    assert site.call("trigger", "job").returncode == 0
    audit(site, reasons={"lost"})


def test_while_it_makes_its_store(site: Site) -> None:
    jobs_that_tell(site, {"job": 0.01})
    chance, pause = random.Random(), threading.Event()
    for _ in range(many(2, 60)):
        shutil.rmtree(site.folder / ".jobctl", ignore_errors=True)
        scheduler = site.popen("run")
        soon((site.folder / ".jobctl").exists)
        pause.wait(chance.choice((0, 0.003, 0.03, 0.1)) * chance.random())
        scheduler.kill()
        scheduler.wait()

        done = site.call("trigger", "job")
        assert (done.returncode, "set aside" in done.stderr) == (0, False), done
    site.nothing_left()


def add_old_runs(site: Site, number: int) -> None:
    """Completed 40 days ago, each with its log."""
    logs = site.folder / ".jobctl" / "logs" / "a"
    logs.mkdir(parents=True, exist_ok=True)
    at = time.time_ns() // 1_000_000 - LONG_AGO_MS
    ids = [os.urandom(8).hex() for _ in range(number)]
    with closing(sqlite3.connect(store_of(site))) as store, store:
        store.executemany(OLD, [(one, at + n, at + n) for n, one in enumerate(ids)])
        store.execute(
            "UPDATE jobs SET completed = completed + ?, timed = timed + ? WHERE id = 'a'", (number, number)
        )
    for one in ids:
        (logs / f"{one}.log").touch()


def kept(site: Site) -> set[str]:
    with closing(sqlite3.connect(store_of(site))) as store:
        return {row[0] for row in store.execute("SELECT id FROM runs WHERE job_id = 'a'")}


def test_while_it_prunes(site: Site) -> None:
    site.write("jobctl.toml", '[jobs.repository-sync]\nenabled = false\n[jobs.a]\ncommand = ["true"]\n')
    assert site.call("trigger", "a").returncode == 0
    chance, pause, total = random.Random(), threading.Event(), 1
    for _ in range(many(1, 20)):
        add_old_runs(site, 6000)
        total += 6000
        before = len(kept(site))
        site.popen("trigger", "analytics-cache-cleanup", stdout=subprocess.DEVNULL)
        assert soon(lambda before=before: len(kept(site)) < before)  # type: ignore[misc]
        pause.wait(chance.uniform(0, 0.05))
        kill_all(site)

        logs = {file.stem for file in (site.folder / ".jobctl" / "logs" / "a").iterdir()}
        assert logs <= kept(site), "a log that no run belongs to"
        (a,) = site.json("metrics", "a")["jobs"]
        assert a["successful_jobs"] == total
    assert site.call("trigger", "analytics-cache-cleanup").returncode == 0
    assert len(kept(site)) == 1001  # the newest, and the one that really ran
    site.nothing_left()


@pytest.fixture
def first_store(site: Site) -> Path:
    """A run store as the first jobctl made them, with a past."""
    store_of(site).parent.mkdir(mode=0o700)
    path = site.folder.parent / "first.db"
    at = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(path)) as store:
        store.executescript(SCHEMA[0].read_text())
        store.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        store.execute("PRAGMA user_version = 1")
        store.execute(
            "INSERT INTO jobs (id, name, schedule, timezone, anchor, completed)"
            " VALUES ('a', 'A', '', 'UTC', 0, 20000)"
        )
        store.executemany(OLD, [(os.urandom(8).hex(), at + n, at + n) for n in range(20_000)])
        store.commit()
        store.execute("PRAGMA journal_mode = WAL")
    return path


def test_while_it_migrates(site: Site, first_store: Path) -> None:
    site.jobs('[jobs.a]\ncommand = ["true"]\n')
    chance, pause = random.Random(), threading.Event()
    versions = set()
    for _ in range(many(2, 60)):
        for file in store_of(site).parent.iterdir():
            file.unlink()
        shutil.copyfile(first_store, store_of(site))
        looking = site.popen("status", stdout=subprocess.DEVNULL)
        soon((store_of(site).parent / "jobctl.lock").exists)
        pause.wait(chance.uniform(0, 0.06))
        looking.kill()
        looking.wait()

        with closing(sqlite3.connect(store_of(site))) as store:
            versions.update(store.execute("PRAGMA user_version").fetchone())
            assert store.execute("PRAGMA quick_check").fetchone() == ("ok",)
        (a,) = site.json("metrics", "a")["jobs"]
        assert a["successful_jobs"] == 20_000
        assert len(kept(site)) == 20_000
        with closing(sqlite3.connect(store_of(site))) as store:
            assert store.execute("PRAGMA user_version").fetchone()[0] == len(SCHEMA)
    print(f"killed at versions {sorted(versions)}")
    assert versions <= set(range(1, len(SCHEMA) + 1))
    site.nothing_left()
