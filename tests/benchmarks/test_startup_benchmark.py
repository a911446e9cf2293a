"""How long a command takes to start, as multiples of ``python -c pass`` in the same run.

The installed console script, as a user's shell calls it. Rounds alternate, the first quartile counts:
what else the machine does can only make a round slower. ``JOBCTL_BENCH_ROUNDS`` sets how many.
"""

import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.benchmarks.conftest import Figure, Figures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("JOBCTL_BENCH_ROUNDS", "21"))
PROGRAM = Path(sys.executable).parent / "jobctl"
FLOOR = "python -c pass"
TYPER = "hello world with Typer"
HELLO = """
import typer
app = typer.Typer()
@app.command()
def hello(): print("hello")
app()
"""
TERMINAL = "status of 13 jobs, at a terminal"
BARS = {"mode": 6.5, "status of 13 jobs": 8.0, TERMINAL: 10.0, "TAB": 4.0, "trigger": 15.0}


@pytest.fixture
def project(here: Path) -> Path:
    jobs = [f'[jobs.job-{number}]\nevery = "{number + 1}m"\ncall = "work:hello"\n' for number in range(13)]
    (here / "jobctl.toml").write_text("".join(jobs))
    (here / "work.py").write_text("def hello():\n    return 1\n")
    subprocess.run([PROGRAM, "trigger", "job-0"], cwd=here, check=True, capture_output=True)
    return here


def test_starting(project: Path, figures: Figures) -> None:
    if not PROGRAM.exists():
        pytest.skip("jobctl is not installed beside this Python")
    slowing = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "COVERAGE_PROCESS_START")
    plain = {name: value for name, value in os.environ.items() if name not in slowing}
    calls: dict[str, tuple[list[str], dict[str, str]]] = {
        FLOOR: ([sys.executable, "-c", "pass"], {}),
        TYPER: ([sys.executable, "-c", HELLO], {}),
        "mode": ([str(PROGRAM), "mode"], {}),
        "status of 13 jobs": ([str(PROGRAM), "status"], {}),
        TERMINAL: ([str(PROGRAM), "status"], {"TERM": "xterm-256color"}),
        "trigger": ([str(PROGRAM), "trigger", "job-0"], {}),
        "TAB": ([str(PROGRAM), "trigger", "job"], {"_JOBCTL_COMPLETE": "bash"}),
    }
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (words, more) in calls.items():
            begun = time.perf_counter()
            _call(words, project, {**plain, **more}, at_terminal=name == TERMINAL)
            spent[name].append(time.perf_counter() - begun)
    quartile = {name: sorted(times)[len(times) // 4] for name, times in spent.items()}
    floor = quartile[FLOOR]
    figures.table(
        "Starting",
        [
            ["command", "ms", "times `python -c pass`"],
            *([name, f"{taken * 1000:.0f}", f"{taken / floor:.1f}"] for name, taken in quartile.items()),
        ],
    )
    found = [
        Figure(
            f"starting: {name}", f"{quartile[name] * 1000:.0f} ms", f"{floor * 1000:.0f} ms, {FLOOR}",
            quartile[name] / floor, bar,
        )
        for name, bar in BARS.items()
    ]  # fmt: skip
    figures.check(found)


def _call(words: list[str], folder: Path, environment: dict[str, str], *, at_terminal: bool) -> None:
    """Call a command and read all that it prints."""
    reading, writing = pty.openpty() if at_terminal else os.pipe()
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing
    )
    os.close(writing)
    with suppress(OSError):  # a terminal whose last writer has gone
        while os.read(reading, 65536):
            pass
    os.close(reading)
    assert process.wait() == 0
