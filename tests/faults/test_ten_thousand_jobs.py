"""Ten thousand jobs in one project, all due at once."""

from collections import Counter

from tests.faults.audit import audit
from tests.faults.budget import many
from tests.support.project import Site, until

MANY = many(2000, 10_000)


def test_each_runs_once_however_often_the_scheduler_is_started(site: Site) -> None:
    site.jobs(
        "".join(f'[jobs.job-{n}]\nevery = "1h"\ncall = "work:work"\n' for n in range(MANY)),
        "def work():\n    return 1\n",
    )
    first = site.popen("run", "-q")
    until(lambda: site.json("metrics")["successful_jobs"] > MANY / 10, 120)
    first.kill()
    first.wait()
    second = site.run()
    until(lambda: site.json("metrics")["total_executions"] == MANY, 300)
    second.terminate()
    assert second.wait(60) == 0
    assert site.call("trigger", f"job-{MANY - 1}").returncode == 0

    runs = audit(site, reasons={"lost"})
    each = Counter(run["job_id"] for run in runs if run["trigger"] == "schedule")
    assert len(each) == MANY
    assert set(each.values()) == {1}
    assert len(runs) == MANY + 1
