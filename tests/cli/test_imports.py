"""Starting is cheap: what a command must not load, counted and not timed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "pydantic", "rich", "asyncio", "croniter", "dateutil", "dotenv", "httpx", "httpx2", "multiprocessing", "sqlalchemy",
    "tomllib", "concurrent",
}  # fmt: skip


def loaded(folder: Path, *words: str, complete: str | None = None) -> set[str]:
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: sys.stderr.write('\\nloaded: ' + ' '.join(sys.modules)))\n"
        "from jobctl.cli.main import main\n"
        "main()\n"
    )
    environment = {**os.environ, **({"_JOBCTL_COMPLETE": complete} if complete else {})}
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.rpartition("\nloaded: ")[2].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["mode"], ["mode", "--json"], ["--version"], ["--help"], ["status", "--help"]]
)
def test_what_reads_no_run_loads_no_store(words: list[str], here: Path) -> None:
    modules = loaded(here, *words)

    assert not {one.partition(".")[0] for one in modules} & (HEAVY | {"sqlite3"})
    assert not {one for one in modules if one.startswith(("jobctl.jobs", "jobctl.site"))}


@pytest.mark.slow
@pytest.mark.parametrize("words", ["status", "metrics", "runs", "logs hello", "stop hello", "start hello"])
def test_reading_loads_no_pool_and_no_calendar(words: str, here: Path) -> None:
    (here / "jobctl.toml").write_text('[jobs.hello]\ncron = "30 2 * * *"\ncall = "work:hello"\n')

    modules = loaded(here, *words.split())

    assert not {one.partition(".")[0] for one in modules} & (HEAVY - {"tomllib"})
    assert not modules & {"jobctl.execution.pool", "jobctl.scheduler.scheduler", "jobctl.managers.local"}


@pytest.mark.parametrize("words", [["tr"], ["trigger", ""], ["--"], ["runs", "--sta"]])
def test_completion_loads_no_application(words: list[str], here: Path) -> None:
    modules = loaded(here, *words, complete="bash")

    assert not {one.partition(".")[0] for one in modules} & (HEAVY | {"typer", "sqlite3", "json"})
    assert len(modules) < 120
