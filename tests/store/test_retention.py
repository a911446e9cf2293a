"""What a scheduler removes by itself, so that nothing else has to rotate its logs."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.execution.run_log import HEAD, TAIL
from jobctl.store.logs import KEEP, KEEP_PER_JOB
from tests.support.project import Site, until
from tests.support.terminal import Past

AGO = KEEP.total_seconds() + 3600


def log_of(site: Site, job: str, run_id: str) -> Path:
    return site.folder / ".jobctl" / "logs" / job / f"{run_id}.log"


@pytest.mark.slow
def test_a_running_scheduler_removes_old_runs_and_their_logs(site: Site) -> None:
    site.jobs('[jobs.hello]\ncommand = ["true"]\n')
    past = Past(site.folder)
    with closing(past.store):
        runs = [past.ran(ago=AGO - number) for number in range(KEEP_PER_JOB + 3)]
        for run in (*runs[:4], runs[-1]):
            past.log(run, ["hello"])

    scheduler = site.run()
    until(lambda: not log_of(site, "hello", runs[2].id).exists())
    scheduler.terminate()

    assert scheduler.wait(30) == 0
    there = [log_of(site, "hello", run.id).exists() for run in (*runs[:4], runs[-1])]
    assert there == [False, False, False, True, True]
    assert len(site.runs("hello")) == KEEP_PER_JOB


@pytest.mark.slow
def test_a_run_that_prints_without_end_leaves_a_small_log(site: Site) -> None:
    site.jobs(
        '[jobs.yes]\ncommand = ["sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 20000000"]\n'
    )
    run = site.json("trigger", "yes")

    text = log_of(site, "yes", run["run_id"]).read_text()
    printed = re.sub(r"^\S+ \[yes\] ", "", text, flags=re.MULTILINE)
    assert run["status"] == "completed"
    assert HEAD < len(printed) < HEAD + TAIL + 1000
