"""Several schedulers on one store, each killed and started again; and machines that die.

A machine is a pid namespace of its own: no other process sees its processes, and all of them die with it.
"""

import shutil

import pytest

from tests.faults.audit import KILLED, audit, jobs_that_tell, settled
from tests.faults.budget import many, seconds
from tests.faults.kills import Kills
from tests.support.machine import boot, has_machines
from tests.support.postgres import Postgres
from tests.support.project import Site, until

JOBS = {"quick": 0.01, "medium": 0.4, "long": 1.5}


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_schedulers_killed_at_random_lose_nothing(
    site: Site, store: str, request: pytest.FixtureRequest
) -> None:
    """On one machine: the others record at once what a killed scheduler leaves."""
    if store == "postgresql":
        site.environment["JOBCTL_STATE"] = request.getfixturevalue("postgres").schema()
    jobs_that_tell(site, JOBS)
    kills = Kills(site, many(3, 5), list(JOBS))

    kills.go_on(seconds(4))
    settled(site)

    runs = audit(site, reasons={*KILLED, "error"})
    print(f"{kills.rounds} rounds, {len(runs)} runs")
    assert kills.rounds


@pytest.mark.skipif(not has_machines(), reason="pid namespaces cannot be made here")
def test_a_machine_that_dies_frees_its_jobs_when_its_lease_has_passed(site: Site, postgres: Postgres) -> None:
    site.environment["JOBCTL_STATE"] = postgres.schema()
    site.jobs(
        '[jobs.hang]\nevery = "1s"\ncall = "work:hang"\n',
        "import time\nfrom pathlib import Path\ndef hang():\n    if not Path('healed').exists():\n        time.sleep(300)\n",
    )
    first = boot(site, "run")
    try:
        (held,) = until(lambda: [run for run in site.runs("hang") if run["status"] == "running"])
        assert site.call("trigger", "hang").returncode == 3
    finally:
        first.kill()
        first.wait()
    (site.folder / "healed").touch()
    shutil.rmtree(site.folder / ".jobctl" / "processes")  # its lock, which another machine would not see

    assert site.call("trigger", "hang").returncode == 3, "its lease has not passed"
    schema = site.environment["JOBCTL_STATE"].rpartition("=")[2]
    postgres.silent_for(schema, 117)  # of the 120 for which processes that live too short to watch it wait
    until(lambda: site.call("trigger", "hang").returncode == 0)

    (lost,) = [run for run in site.runs("hang") if run["run_id"] == held["run_id"]]
    assert (lost["status"], lost["reason"]) == ("failed", "lost")
