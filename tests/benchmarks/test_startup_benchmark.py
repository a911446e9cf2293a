"""How long a command takes to start, as multiples of ``python -c pass`` in the same run.

The installed console script, as a user's shell calls it. Rounds alternate, the first quartile counts:
what else the machine does can only make a round slower. ``JOBCTL_BENCH_ROUNDS`` sets how many.
"""

import os
import subprocess
import sys
import time
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
BARS = {"mode": (9.0, 3.0), "status of 10 jobs": (12.0, 8.0), "TAB": (9.0, 3.0)}


@pytest.fixture
def project(here: Path) -> Path:
    jobs = [f'[jobs.job-{number}]\nevery = "{number + 1}m"\ncall = "work:hello"\n' for number in range(9)]
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
        "status of 10 jobs": ([str(PROGRAM), "status"], {}),
        "TAB": ([str(PROGRAM), "trigger", "job"], {"_JOBCTL_COMPLETE": "bash"}),
    }
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (words, more) in calls.items():
            begun = time.perf_counter()
            subprocess.run(words, cwd=project, env={**plain, **more}, check=True, capture_output=True)
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
            quartile[name] / floor, bar, aim,
        )
        for name, (bar, aim) in BARS.items()
    ]  # fmt: skip
    figures.check(found)
