"""Very many ``jobctl trigger`` at once."""

from collections import Counter

from tests.faults.audit import audit
from tests.faults.budget import many
from tests.support.project import Site, until

MANY = many(12, 200)
GATE = "import pathlib, time\ndef gated():\n    while not pathlib.Path('go').exists():\n        time.sleep(0.05)\n"


def test_of_one_job_one_runs_and_the_others_say_so(site: Site) -> None:
    site.jobs('[jobs.gated]\ncall = "work:gated"\n', GATE)
    tries = [site.popen("trigger", "gated", "-q") for _ in range(MANY)]
    until(lambda: sum(process.poll() is not None for process in tries) == MANY - 1, 300)
    (site.folder / "go").touch()

    assert Counter(process.wait() for process in tries) == {0: 1, 3: MANY - 1}
    assert [run["status"] for run in audit(site)] == ["completed"]


def test_of_as_many_jobs_all_run(site: Site) -> None:
    site.jobs("".join(f'[jobs.job-{n}]\ncommand = ["true"]\n' for n in range(MANY)))

    tries = [site.popen("trigger", f"job-{n}", "-q") for n in range(MANY)]

    assert Counter(process.wait() for process in tries) == {0: MANY}
    runs = audit(site)
    assert {run["job_id"] for run in runs} == {f"job-{n}" for n in range(MANY)}
    assert {run["status"] for run in runs} == {"completed"}
