"""A system that allows no more threads, processes or open files: a sentence, and never a hang.

A thread whose stack would be larger than any address space is refused by the system as one too many is.
"""

import signal
import subprocess
import sys

import pytest

from tests.embedding.conftest import App
from tests.support.project import until

NO_MORE = "threading.stack_size(1 << 46)\n"
AGAIN = "threading.stack_size(0)\n"
NO_THREAD = "no thread could be started: the system allows no more"


@pytest.mark.slow
def test_a_scheduler_that_cannot_start_raises_and_can_be_started_later(app: App) -> None:
    code = f"""
from jobctl import JobctlError
{NO_MORE}
for number in range(3):
    try:
        manager.schedule_job("quick", "Quick", lambda: 1, 60)
    except JobctlError as error:
        print(error)
before = len(os.listdir("/proc/self/fd"))
{AGAIN}
manager.schedule_job("quick", "Quick", lambda: 1, 60)
manager.wait(manager.trigger_job("quick").id, 20) if manager.get_job_status("quick").last_run else None
assert threading.active_count() > 1
"""
    assert app.run(code) == (0, f"{NO_THREAD}\n" * 3, "")


def test_a_job_whose_thread_cannot_start_fails_and_the_scheduler_goes_on(app: App) -> None:
    code = f"""
manager.schedule_cron_job("yearly", "Yearly", lambda: 1, "0 0 1 1 *")
{NO_MORE}
for number in range(2):
    done = manager.wait(manager.trigger_job("yearly").id, 20)
    print(done.reason, done.error)
{AGAIN}
print(manager.wait(manager.trigger_job("yearly").id, 20).status)
"""
    assert app.run(code) == (0, f"crashed {NO_THREAD}\n" * 2 + "completed\n", "")


def test_sigterm_where_its_thread_cannot_start_ends_the_program_at_once(app: App) -> None:
    code = f"""
import jobctl.managers.local
started = jobctl.managers.local.LocalJobManager._start_scheduler
def make(self):
    scheduler = started(self)
    {NO_MORE}    return scheduler
jobctl.managers.local.LocalJobManager._start_scheduler = make
manager.schedule_job("endless", "Endless", "jobs:endless", 60)
until("endless-began")
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
signal.raise_signal(signal.SIGTERM)
"""
    assert app.run(code) == (-signal.SIGTERM, "", "")


@pytest.mark.parametrize("words", [["run"], ["trigger", "hello"], ["check", "settings"]], ids=" ".join)
def test_a_command_says_so_and_exits(app: App, words: list[str]) -> None:
    app.site.jobs('[jobs.hello]\nevery = "1m"\ncommand = ["echo", "hello"]\n')
    code = f"import threading\n{NO_MORE}from jobctl.cli.main import main\nmain()\n"

    process = app.begin(code, "app.py", *words, before="")

    status, out, error = app.end(process)
    assert status == 70
    assert NO_THREAD in out + error
    assert "bug" not in error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("MemoryError()", "out of memory"),
        ("OSError(11, 'Resource temporarily unavailable')", "resource temporarily unavailable"),
        ("ImportError('libx.so: failed to map segment from shared object')", "out of memory"),
    ],
)
def test_a_limit_that_is_met_anywhere_is_no_bug(app: App, error: str, reason: str) -> None:
    code = (
        "from functools import wraps\nfrom jobctl.cli.commands import status\n"
        f"@wraps(status.run)\ndef run(context, **options): raise {error}\nstatus.run = run\n"
        "from jobctl.cli.main import main\nmain()\n"
    )

    ended, _, shown = app.end(app.begin(code, "app.py", "status", before=""))

    assert ended == 70
    assert shown.startswith(f"error: the system allows no more: {reason}\n")


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4, 8, 12, 16, 20, 24, 28])
def test_few_open_files(app: App, limit: int) -> None:
    """Whatever cannot be opened: it works, or ends with a sentence, soon."""
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
try:
    manager = get_job_manager()
    manager.schedule_job("quick", "Quick", "jobs:quick", 60)
    manager.schedule_job("tidy-up", "Tidy up", lambda: 1, 60)
    time.sleep(1)
except Exception as error:
    import jobctl
    assert isinstance(error, jobctl.JobctlError), repr(error)
"""
    status, _, error = app.run(
        code,
        before="""
import os, pathlib, time
from jobctl import get_job_manager
import jobctl.managers.local, jobctl.managers.process_exit, jobctl.store.sqlite, jobctl.scheduler.scheduler
import jobctl.scheduler.maintenance, jobctl.execution.job_threads, jobctl.project, ctypes
""",
    )
    assert status == 0, error
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("limit", [8, 12, 16, 20, 24])
def test_a_scheduler_with_few_open_files(app: App, limit: int) -> None:
    app.site.jobs('[jobs.hello]\nevery = "1s"\ncommand = ["echo", "hello"]\n')
    process = subprocess.Popen(
        ["prlimit", f"--nofile={limit}", sys.executable, "-m", "jobctl", "run"],
        cwd=app.folder, env=app.site.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    app.site.started.append(process)
    until(lambda: process.poll() is not None or len(_runs(app)) > 2)
    process.terminate()

    out, _ = process.communicate(timeout=30)

    assert process.returncode in {0, 70, 143}, out
    assert "Traceback" not in out
    app.site.nothing_left()


def _runs(app: App) -> list[tuple[str, str | None]]:
    try:
        return app.runs("hello")
    except Exception:
        return []
