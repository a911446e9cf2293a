"""What must hold after any fault, as a user sees it: through the command line alone.

``jobs_that_tell`` makes jobs that keep a journal of their own beside what jobctl records. Each of their runs
holds a lock that the kernel lets go of when its process is gone: a run that begins before says so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.support.project import Site, until

Run = dict[str, Any]

KILLED = frozenset({"lost", "crashed", "interrupted"})

_CODE = """
import fcntl, os, random, select, subprocess, time

def work(job, seconds):
    with open(f"{job}.journal", "a", buffering=1) as journal, open(f"{job}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            journal.write("beside another run\\n")
        journal.write(f"begin {os.getpid()} {time.monotonic()}\\n")
        if random.random() < 0.2:
            subprocess.Popen(["sleep", "300"], start_new_session=True)
        select.select([], [], [], seconds * random.uniform(0.5, 1))  # a sleep that libfaketime leaves alone
        journal.write(f"end {os.getpid()} {time.monotonic()}\\n")

"""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def jobs_that_tell(
    site: Site, jobs: Mapping[str, float], more: str = "", code: str = "", every: str = "1s"
) -> None:
    """Jobs by how many seconds each takes at most, due each second; some leave a process behind."""
    toml = "".join(f'[jobs.{job}]\nevery = "{every}"\ncatch_up = true\ncall = "work:{job}"\n' for job in jobs)
    work = "".join(f"def {job}(): work({job!r}, {took})\n" for job, took in jobs.items())
    site.jobs(toml + more, _CODE + work + code)


def told(site: Site, job: str, word: str = "end") -> int:
    """How often such a job began or ended, by its journal."""
    journal = site.folder / f"{job}.journal"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return sum(line.startswith(word) for line in lines)


def settled(site: Site) -> None:
    """Wait until every run that a kill cut short is recorded as lost: any command does that, within seconds."""
    until(lambda: not [run for run in site.runs() if run["status"] == "running"])


def audit(site: Site, *, reasons: Iterable[str] = KILLED, gaps: bool = False) -> list[Run]:
    """No slot twice and none lost, no job over itself, nothing running that is dead, sums that agree, no process left.

    Call it when no scheduler and no trigger is alive.

    Args:
        reasons: why runs may have failed.
        gaps: slots do not follow one another: the clock was set, or the job was off its schedule.

    Returns:
        Every run, oldest first.
    """
    site.nothing_left()
    status, metrics, runs = site.json("status"), site.json("metrics"), site.runs()[::-1]
    assert status["scheduler"]["running"] is False
    assert [job["id"] for job in status["jobs"] if job["status"] == "running"] == []
    _told_in_full(runs, set(reasons))
    schedules = {job["id"]: job["schedule"] for job in status["jobs"]}
    totals = {job["id"]: job for job in metrics["jobs"]}
    by_job: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_job[run["job_id"]].append(run)
    for job, mine in by_job.items():
        ended = Counter(run["status"] for run in mine)
        assert _sums(totals[job]) == _counted(ended), job
        if not gaps:
            _each_slot_once(job, mine, schedules[job], totals[job]["skipped"] - ended["skipped"])
        _one_after_another(site, job, ended)
    assert _sums(metrics) == _counted(Counter(run["status"] for run in runs))
    assert metrics["skipped"] == sum(job["skipped"] for job in metrics["jobs"])
    return runs


def _told_in_full(runs: Sequence[Run], reasons: set[str]) -> None:
    assert {run["status"] for run in runs} <= {"completed", "failed", "skipped"}
    for run in runs:
        assert run["finished_at"], run
        if run["status"] == "failed":
            assert run["reason"] in reasons, run
            assert run["error"], run


def _sums(totals: Mapping[str, int]) -> tuple[int, int, int]:
    return totals["total_executions"], totals["successful_jobs"], totals["failed_jobs"]


def _counted(ended: Mapping[str, int]) -> tuple[int, int, int]:
    return ended["completed"] + ended["failed"], ended["completed"], ended["failed"]


def _each_slot_once(job: str, runs: Sequence[Run], schedule: str, missed: int) -> None:
    """Of an interval each slot from the first to the last was run, skipped, or counted as missed."""
    slots = sorted(datetime.fromisoformat(run["scheduled_for"]) for run in runs if run["scheduled_for"])
    assert len(slots) == len(set(slots)), f"{job}: a slot twice"
    if not slots or not schedule.startswith("every "):
        return
    step = timedelta(**{_UNITS[schedule[-1]]: int(schedule.removeprefix("every ")[:-1])})
    assert {(slot - slots[0]) % step for slot in slots} == {timedelta(0)}, f"{job}: out of step"
    due = (slots[-1] - slots[0]) // step + 1
    assert len(slots) + missed == due, f"{job}: of {due} slots {len(slots)} dealt with, {missed} missed"


def _one_after_another(site: Site, job: str, ended: Mapping[str, int]) -> None:
    """By the job's own journal: nothing began that was not recorded, nor beside another run."""
    journal = site.folder / f"{job}.journal"
    if not journal.exists():
        return
    running, last = "", 0.0
    begun = done = 0
    for line in journal.read_text().splitlines():
        word, pid, at = line.split()
        assert word != "beside", f"{job} over itself"
        assert float(at) >= last, f"{job}: out of turn"
        last = float(at)
        if word == "begin":
            running = pid
            begun += 1
        else:
            assert pid == running, f"{job}: a run went on while another had begun"
            done += 1
    assert ended["completed"] <= done, f"{job}: completed, but did not end"
    assert begun <= ended["completed"] + ended["failed"], f"{job}: begun, but not recorded"
