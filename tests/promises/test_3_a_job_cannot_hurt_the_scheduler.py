"""Promise 3: whatever a job does, its run says so, nothing of it is left, and the others are on time.

All that we could think of that a job may do is in ``faults/test_hostile_jobs``.
"""

import pytest

from tests.support.project import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CODE = """
import os, subprocess
def hangs():
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    while True: pass
def crashes():
    os.abort()
def tick():
    pass
"""


def test_one_hangs_one_crashes_and_the_third_is_on_time(site: Site) -> None:
    site.jobs(
        '[jobs.hangs]\nevery = "1h"\ntimeout = "2s"\ncall = "work:hangs"\n'
        '[jobs.crashes]\nevery = "1h"\ncall = "work:crashes"\n'
        '[jobs.tick]\nevery = "1s"\ncall = "work:tick"\n',
        CODE,
    )
    scheduler = site.run()
    until(lambda: len(site.runs("--failed")) == 2)
    scheduler.terminate()
    assert scheduler.wait() == 0

    failed = {run["job_id"]: (run["reason"], run["error"]) for run in site.runs("--failed")}
    assert failed["hangs"] == ("timeout", "timed out after 2s")
    assert failed["crashes"] == ("crashed", "the worker was killed by signal SIGABRT before the job returned")
    assert {run["status"] for run in site.runs("tick")} == {"completed"}
    assert site.json("metrics", "tick")["skipped"] == 0
    site.nothing_left()
