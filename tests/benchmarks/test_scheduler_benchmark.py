"""The scheduler's promises in figures: what a kill costs, drift, the next due time, and 10,000 jobs at a start."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest
from croniter import croniter

from jobctl.model import Job, RunStatus, Schedule
from jobctl.scheduler.agenda import Agenda
from jobctl.schedules import Cron, Every
from jobctl.store.open import open_store
from tests.benchmarks.conftest import Figure, Figures
from tests.benchmarks.peers.jobctl_peer import manager
from tests.support.project import until

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

PROGRAM = Path(sys.executable).parent / "jobctl"
JOBS = 10_000
OTHERS_OFF = "".join(
    f"[jobs.{one}]\nenabled = false\n" for one in ("repository-sync", "analytics-cache-cleanup")
)
_KILLED = """
import sys, threading
from pathlib import Path
from jobctl.model import Job
from jobctl.schedules import Cron
from tests.benchmarks.peers.jobctl_peer import manager
made = manager(Path(sys.argv[1]))
made.add(Job(f"job-{n}", "notes its end", Cron("* * * * * *"), "work:note") for n in range(300))
made.start()
threading.Event().wait()
"""


@pytest.mark.faults
def test_a_kill_loses_only_what_ended_just_before_it(tmp_path: Path, figures: Figures) -> None:
    """Jobs note when they end. Endings are recorded in that order, so the first note too many is the oldest lost."""
    ages = []
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        notes = folder / "notes"
        (folder / "work.py").write_text(
            f"import time\ndef note():\n    with open({str(notes)!r}, 'a') as file: file.write(f'{{time.time()}}\\n')\n"
        )
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)])
        try:
            until(lambda: notes.exists() and notes.read_text().count("\n") > 900)  # noqa: B023
            threading.Event().wait(random.random())
        finally:
            killed = time.time()
            process.send_signal(signal.SIGKILL)
            process.wait()
        ended = sorted(one for one in map(float, notes.read_text().split()) if one < killed)
        with closing(open_store(folder / "state")) as store:
            recorded = store.metrics().successful_jobs
        ages.append(killed - ended[recorded] if recorded < len(ended) else 0.0)
    oldest = max(ages) * 1000
    figures.check([Figure("lost by kill -9: age of the oldest, ms", f"{oldest:.0f} ms", "1 ms", oldest, 20)])


def test_nothing_drifts_and_a_restart_shifts_nothing(tmp_path: Path, figures: Figures) -> None:
    """Two lives of a scheduler, half a minute each."""
    ids: dict[str, Schedule] = {"cron": Cron("* * * * * *"), "every": Every(timedelta(seconds=1))}
    for _ in range(2):
        with manager(tmp_path) as made:
            made.add(Job(one, one, schedule, "noop:noop") for one, schedule in ids.items())
            made.start()
            threading.Event().wait(30)
        made.store.close()
    with closing(open_store(tmp_path / "state")) as store:
        for job_id in ids:
            runs = [one for one in reversed(store.runs(job_id, limit=None)) if one.scheduled_for is not None]
            slots = [one.scheduled_for for one in runs if one.scheduled_for is not None]
            assert all(one.status is RunStatus.COMPLETED for one in runs)
            assert len(slots) >= 58
            shift = max((slot - slots[0]) % timedelta(seconds=1) for slot in slots)
            late = [
                (one.started_at - slot).total_seconds() * 1000 for one, slot in zip(runs, slots, strict=True)
            ]
            drift = abs(median(late[-15:]) - median(late[5:20]))
            figures.check(
                [
                    Figure(
                        f"shift of a slot by a restart, {job_id}, ms",
                        f"{shift / timedelta(milliseconds=1):g}",
                        "0",
                        0,
                        0,
                    ),
                    Figure(f"drift of p50 over 60 s, {job_id}, ms", f"{drift:.1f} ms", "1 ms", drift, 1),
                ]
            )
            assert not shift


def test_the_next_due_time_of_a_held_job(figures: Figures) -> None:
    """Popped, worked out and put back, against one bare step of croniter; mean over a thousand."""
    found = []
    for expression in ("*/5 * * * *", "30 2 * * 1-5"):
        start, times = datetime(2026, 11, 23, tzinfo=UTC), 1000
        bare = croniter(expression, start)
        agenda = Agenda()
        agenda.put(Job("job", "a job", Cron(expression), "work:work"), start, start)

        def theirs() -> None:
            for _ in range(times):  # noqa: B023
                bare.get_next(datetime)  # noqa: B023

        def ours() -> None:
            for _ in range(times):  # noqa: B023
                due = agenda.next_due()  # noqa: B023
                assert due is not None
                agenda.take_due(due)  # noqa: B023

        step, held = (min(map(_seconds, [one] * 5)) / times * 1e6 for one in (theirs, ours))
        found.append(
            Figure(
                f"next due time, {expression}", f"{held:.0f} µs", f"{step:.0f} µs, croniter", held / step, 2
            )
        )
    figures.check(found)


def test_ten_thousand_jobs(tmp_path: Path, figures: Figures) -> None:
    """The first dispatch after ``mode`` would have ended, and ``status`` against the plain list of the same rows."""
    soon = (datetime.now(UTC).month + 5) % 12 + 1
    lines = [f'[jobs.job-{n}]\ncron = "0 0 1 {soon} *"\ncall = "work:work"\n' for n in range(JOBS)]
    toml = OTHERS_OFF + "".join(lines)
    dispatched = [_first_dispatch(tmp_path, toml, n) for n in range(4)][1:]  # the first one makes the records
    mode = [_seconds(lambda: _jobctl(tmp_path, "mode")) for _ in range(3)]
    after = median(dispatched) - median(mode)
    listed = [_seconds(lambda: _jobctl(tmp_path, "status", "--json")) for _ in range(3)]
    piped = [_seconds(lambda: _jobctl(tmp_path, "status")) for _ in range(3)]
    (tmp_path / "plain.py").write_text(_PLAIN)
    rows = _jobctl(tmp_path, "status", "--json")
    assert len(json.loads(rows)["jobs"]) > JOBS
    plain = [_seconds(lambda: _run(tmp_path, sys.executable, "plain.py")) for _ in range(3)]
    figures.check(
        [
            Figure(
                "first dispatch after `mode` would have ended, 10,000 jobs, s", f"{median(dispatched):.2f} s",
                f"{median(mode):.2f} s", after, 0.4,
            ),
            *(
                Figure(
                    f"status of 10,000 jobs, {how}", f"{median(taken):.2f} s", f"{median(plain):.2f} s, plain rows",
                    median(taken) / median(plain), 2,
                )
                for how, taken in (("--json", listed), ("piped", piped))
            ),
        ]
    )  # fmt: skip


_PLAIN = """
import json, sqlite3, tomllib
with open("jobctl.toml", "rb") as file:
    tomllib.load(file)
rows = sqlite3.connect(".jobctl/jobctl.db").execute(
    "SELECT j.id, j.name, j.schedule, j.timezone, j.next_run, r.status, r.started_at, r.duration_ms, r.error"
    " FROM jobs j LEFT JOIN runs r ON r.seq = j.last_run"
)
print(json.dumps(rows.fetchall(), indent=2))
"""


def _first_dispatch(folder: Path, toml: str, number: int) -> float:
    """Seconds from the start of ``run`` to the start of a job that is new, and so due at once."""
    mark = folder / f"ran-{number}"
    (folder / "jobctl.toml").write_text(
        f'{toml}[jobs.first-{number}]\nevery = "1d"\ncommand = ["touch", "{mark}"]\n'
    )
    began = time.time()
    process = subprocess.Popen(
        [PROGRAM, "run", "-q"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(mark.exists, seconds=120)
    finally:
        process.terminate()
        process.wait()
    with closing(open_store(folder / ".jobctl")) as store:
        (run,) = store.runs(f"first-{number}", limit=None)
    return run.started_at.timestamp() - began


def test_a_long_history_makes_status_no_slower(tmp_path: Path, figures: Figures) -> None:
    """Whole commands, as a user waits for them."""
    from tests.benchmarks.test_store import RUNS, with_history

    taken: dict[str, list[float]] = {}
    for runs in (1000, RUNS):
        folder = tmp_path / str(runs)
        folder.mkdir()
        (folder / "jobctl.toml").write_text(
            "".join(f'[jobs.job-{n}]\nevery = "1m"\ncall = "work:work"\n' for n in range(10))
        )
        with_history(folder / ".jobctl", runs).close()
        for words in ("metrics", "status job-3"):
            spent = [_seconds(lambda: _jobctl(folder, *words.split(), "--json")) for _ in range(9)]  # noqa: B023
            taken.setdefault(words, []).append(sorted(spent)[2])
    figures.check(
        Figure(
            f"{words} over {RUNS:,} runs",
            f"{many * 1000:.0f} ms",
            f"{few * 1000:.0f} ms over 1,000",
            many / few,
            1.2,
        )
        for words, (few, many) in taken.items()
    )


def _seconds(does: Callable[[], object]) -> float:
    begin = time.perf_counter()
    does()
    return time.perf_counter() - begin


def _jobctl(folder: Path, *words: str) -> str:
    return _run(folder, str(PROGRAM), *words)


def _run(folder: Path, *words: str) -> str:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout
