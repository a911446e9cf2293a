"""Machines that are frozen, die, restart, or cannot reach the run store: nothing runs twice, and others take over.

A machine is a PID namespace of its own: others cannot see its processes. Leases here last a tenth of the usual, by a
seam that every process of the site loads.
"""

import os
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

from tests.faults.audit import audit, jobs_that_tell, told
from tests.faults.test_clock_set import FAKETIME
from tests.support.machine import boot, has_machines, pid_one
from tests.support.postgres import Postgres
from tests.support.project import Site, frozen, marked, until
from tests.support.proxy import proxied

pytestmark = pytest.mark.skipif(not has_machines(), reason="pid namespaces cannot be made here")

LEASE_S = 6.0
SHORT = f"""
from datetime import timedelta
from jobctl.store import records
records.LEASE = timedelta(seconds={LEASE_S})
records.LEASE_LIMIT = timedelta(seconds={0.75 * LEASE_S})
from jobctl.scheduler import lease
lease.HEARTBEAT_S, lease._LONGEST_GAP_S, lease._RETRY_S = 1.0, 4.0, 0.2  # a busy machine is late
"""
LONG = "def long():\n    work('long', 1000 if not os.path.exists('healed') else 0.1)\n"


class Machines:
    """Several machines that work on one site.

    Attributes:
        job: runs for a very long time, until the machine that runs it is out of action.
    """

    def __init__(self, site: Site, *, postgres: bool) -> None:
        self.site = site
        self.postgres = postgres
        self._logs: dict[str, Path] = {}
        site.write("sitecustomize.py", SHORT)
        site.environment["PYTHONPATH"] = str(site.folder)
        jobs_that_tell(site, {"tick": 0.01}, '[jobs.long]\nevery = "1s"\ncall = "work:long"\n', LONG)

    def boot(self, name: str, **environment: str) -> subprocess.Popen[str]:
        """Start a scheduler on a machine of this name."""
        log = self._logs[name] = self.site.folder.parent / f"{name}.log"
        with log.open("a") as out:
            machine = boot(
                self.site,
                "run",
                "--grace",
                "2s",
                stdout=out,
                env={"JOBCTL_TEST_MACHINE": name, **environment},
            )
        until(lambda: "scheduler started" in self.log(name))
        return machine

    def log(self, name: str) -> str:
        return self._logs[name].read_text()

    def processes(self, name: str) -> list[int]:
        return sorted({*marked(f"JOBCTL_TEST_MACHINE={name}")} & {*marked(self.site.mark)})

    def see_each_other(self, count: int) -> None:
        """Wait until so many are leased: each has seen that another namespace uses the store."""
        if not self.postgres:  # where all are from the start
            until(lambda: leased_flags(self.site) == [(1,)] * count)

    def takes_over(self) -> None:
        """Another machine runs the long job, which can end now."""
        (self.site.folder / "healed").touch()
        until(lambda: told(self.site, "long") >= 2)

    def goes_on(self) -> None:
        before = told(self.site, "tick")
        until(lambda: told(self.site, "tick") >= before + 2)

    def stop(self, *machines: subprocess.Popen[str]) -> None:
        for machine in machines:
            os.kill(pid_one(machine), signal.SIGTERM)
        for machine in machines:
            assert machine.wait(60) in {0, 143}, "143: it had to end a run"

    def audit(self) -> None:
        """Whatever was declared dead ran nothing beside what others ran: its jobs' own journals say so."""
        audit(self.site, reasons={"lost", "crashed"})
        for journal in self.site.folder.glob("*.journal"):
            assert "beside another run" not in journal.read_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def machines(request: pytest.FixtureRequest, site: Site) -> Machines:
    postgres = request.param == "postgresql"
    if postgres:
        site.environment["JOBCTL_STATE"] = request.getfixturevalue("postgres").schema()
    return Machines(site, postgres=postgres)


STEPS = """
import os, select, time
def steps():
    with open("steps.log", "a", buffering=1) as log:
        for _ in range(4000):
            log.write(f"{os.environ['JOBCTL_TEST_MACHINE']} {time.monotonic()}\\n")
            select.select([], [], [], 0.05)
"""


def test_a_frozen_machine_is_replaced_and_does_nothing_when_it_thaws(machines: Machines) -> None:
    site = machines.site
    site.jobs('[jobs.steps]\nevery = "1s"\ncall = "steps:steps"\n')
    site.write("steps.py", STEPS)
    log = site.folder / "steps.log"

    def last() -> str:
        return log.read_text().splitlines()[-1].split()[0] if log.exists() else ""

    first = machines.boot("one")
    until(lambda: last() == "one")
    second = machines.boot("two")
    machines.see_each_other(2)
    with frozen(lambda: machines.processes("one")):
        until(lambda: last() == "two")
        threading.Event().wait(1)
        thawed = time.monotonic()
    until(lambda: "Registered again, jobs go on" in machines.log("one"))
    threading.Event().wait(1)
    machines.stop(first, second)
    steps = [line.split() for line in log.read_text().splitlines()]
    begun = next(float(at) for name, at in steps if name == "two")
    beside = [float(at) - thawed for name, at in steps if name == "one" and float(at) > begun]
    assert all(0 <= after < 0.5 for after in beside), "a run that thaws ends before it does anything long"
    site.nothing_left()


def test_a_frozen_scheduler_does_not_hold_up_the_end_of_its_runs(machines: Machines) -> None:
    """Its workers are not frozen: they end by themselves before others may take over."""
    first = machines.boot("one")
    until(lambda: told(machines.site, "long", "begin"))
    second = machines.boot("two")
    machines.see_each_other(2)
    with frozen(lambda: filter(is_scheduler, machines.processes("one"))):
        machines.takes_over()
    until(lambda: "Registered again, jobs go on" in machines.log("one"))
    machines.stop(first, second)
    machines.audit()


def is_scheduler(pid: int) -> bool:
    try:
        return b"jobctl.execution.worker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_container_that_restarts_takes_over_at_once(machines: Machines) -> None:
    """The same host name, pid 1 and volume: the kernel has released the lock of the one before."""
    first = machines.boot("one")
    until(lambda: told(machines.site, "long", "begin"))
    first.kill()
    first.wait()
    (machines.site.folder / "healed").touch()

    again = machines.boot("one")
    until(lambda: told(machines.site, "long"), seconds=5)

    machines.stop(again)
    machines.audit()


def test_clocks_that_differ_declare_no_process_dead(machines: Machines) -> None:
    if not FAKETIME:
        pytest.skip("libfaketime is not installed")
    clocks = {"one": "-1h", "two": "+2m", "three": "+0"}
    preload = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    running = [machines.boot(name, FAKETIME=by, **preload) for name, by in clocks.items()]
    threading.Event().wait(2 * LEASE_S)
    for name in clocks:
        assert "declared" not in machines.log(name)
    assert machines.site.runs("--failed") == []
    machines.stop(*running)
    machines.site.nothing_left()


def test_a_store_that_another_program_locks_declares_no_process_dead(site: Site) -> None:
    machines = Machines(site, postgres=False)
    first, second = machines.boot("one"), machines.boot("two")
    until(lambda: told(site, "long", "begin"))
    with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        threading.Event().wait(1.25 * LEASE_S)
        other.execute("ROLLBACK")
    machines.goes_on()
    threading.Event().wait(LEASE_S)
    assert told(site, "long", "begin") == 1, "its run went on"
    (site.folder / "healed").touch()
    for name in ("one", "two"):
        assert "declared" not in machines.log(name)
    machines.stop(first, second)
    site.nothing_left()


def test_a_machine_that_cannot_reach_the_store_is_replaced(site: Site, postgres: Postgres) -> None:
    """Its line swallows everything: it waits for an answer, and its runs end all the same."""
    address = site.environment["JOBCTL_STATE"] = postgres.schema()
    machines = Machines(site, postgres=True)
    with proxied(postgres.port) as proxy:
        far = address.replace(f":{postgres.port}/", f":{proxy.port}/")
        first = machines.boot("one", JOBCTL_STATE=far)
        until(lambda: told(site, "long", "begin"))
        second = machines.boot("two")
        proxy.hang()
        machines.takes_over()
        proxy.resume()
        until(lambda: "Registered again, jobs go on" in machines.log("one"))
        machines.goes_on()
        machines.stop(first, second)
    machines.audit()


def test_commands_that_read_do_not_wait_for_a_lock_that_is_held(site: Site) -> None:
    """Also where another namespace's process, which they cannot see, makes them ask for its lease."""
    machines = Machines(site, postgres=False)
    first, second = machines.boot("one"), machines.boot("two")
    machines.see_each_other(2)
    with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        for words in ("status", "runs", "metrics"):
            asked = site.popen(words)
            asked.communicate(timeout=20)  # the lock is held for as long as this takes
            assert asked.returncode == 0
        other.execute("ROLLBACK")
    (site.folder / "healed").touch()
    machines.stop(first, second)


def leased_flags(site: Site) -> list[tuple[int]]:
    with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", timeout=30)) as store:
        return store.execute("SELECT leased FROM owners WHERE ended IS NULL").fetchall()


def test_status_shows_a_scheduler_that_is_stopped(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    scheduler = site.run()
    assert site.call("status", "--exit-status").returncode == 0
    os.kill(scheduler.pid, signal.SIGSTOP)
    try:
        until(lambda: site.json("status")["scheduler"]["stopped"])
        done = site.call("status", "--exit-status")
        assert done.returncode == 3
        assert f"pid {scheduler.pid} on " in done.stderr
        assert "is stopped by a signal or a debugger" in done.stderr
    finally:
        os.kill(scheduler.pid, signal.SIGCONT)
    assert site.json("status")["scheduler"]["running"]
    scheduler.terminate()
    assert scheduler.wait(60) == 0


# A store that does not know its jobs any more


def delete(site: Site, server: Postgres | None) -> None:
    if server is None:
        shutil.rmtree(site.folder / ".jobctl")
    else:
        server.execute(f"DROP SCHEMA {site.environment['JOBCTL_STATE'].rpartition('=')[2]} CASCADE")


def forget(site: Site, server: Postgres | None) -> None:
    """As a backup from before the first run: the tables are there, and hold nothing."""
    tables = ("runs", "jobs", "owners")
    if server is None:
        with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", timeout=30)) as store, store:
            for table in tables:
                store.execute(f"DELETE FROM {table}")
    else:
        schema = site.environment["JOBCTL_STATE"].rpartition("=")[2]
        server.execute("; ".join(f"DELETE FROM {schema}.{table}" for table in tables))


@pytest.mark.parametrize("lose", [delete, forget])
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_scheduler_registers_its_jobs_again_where_the_store_lost_them(
    site: Site, store: str, lose: Callable[[Site, Postgres | None], None], request: pytest.FixtureRequest
) -> None:
    server: Postgres | None = None
    if store == "postgresql":
        server = request.getfixturevalue("postgres")
        site.environment["JOBCTL_STATE"] = server.schema()
    jobs_that_tell(site, {"tick": 0.01, "long": 300})
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2 and told(site, "long", "begin"))

    lose(site, server)

    until(lambda: "Registered again, jobs go on" in site.log(scheduler))
    before = told(site, "tick")
    until(lambda: told(site, "tick") >= before + 2)
    assert "1 run ended as lost" in site.log(scheduler)
    assert {run["job_id"] for run in site.runs()} == {"tick", "long"}
    scheduler.send_signal(signal.SIGINT)
    until(lambda: "scheduler stopping" in site.log(scheduler))  # two pending signals would be one
    scheduler.send_signal(signal.SIGINT)
    assert scheduler.wait(60) in {0, 130}
    site.nothing_left()
    assert "Traceback" not in site.log(scheduler)
    for journal in site.folder.glob("*.journal"):
        assert "beside another run" not in journal.read_text()


def test_an_idle_scheduler_notices_that_its_store_was_deleted(site: Site) -> None:
    site.jobs('[jobs.rare]\nevery = "1h"\ncommand = ["true"]\n')
    scheduler = site.run()
    until(lambda: site.runs("rare"))

    shutil.rmtree(site.folder / ".jobctl")

    until(lambda: "Registered again" in site.log(scheduler), seconds=5)
    assert site.json("status")["scheduler"]["pid"] == scheduler.pid
    scheduler.terminate()
    assert scheduler.wait(60) == 0
