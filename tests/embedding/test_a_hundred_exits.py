"""The script of the page "library", ended a hundred times by any way at any moment: never a crash, a hang or a word."""

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.model import Reason
from jobctl.store.open import open_store
from tests.embedding.conftest import INTERRUPTED, JOBS, TERMINATED
from tests.support.pages import example
from tests.support.project import Site

SCRIPT = example("library", "python", "run_forever").replace("manager.run_forever()\n", "")
MORE = """
import os, signal, sys, time
manager.schedule_job("quick", "Quick", "jobs:quick", 1)
manager.schedule_job("short", "Short", lambda: time.sleep(0.3), 1)
time.sleep(float(sys.argv[1]))
"""
FORK = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)  # of any fork, in Python 3.12 and newer
child = os.fork()
if child == 0:
    sys.exit(5)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# written directly: what the job prints in a thread could come between a printed text and its line end
FOREVER = 'os.write(1, b"up\\n")\nmanager.run_forever()\n'
ASLEEP = 'os.write(1, b"up\\n")\ntime.sleep(600)\n'
# what the script ends with, the signal that it is sent, its exit status and the end of its standard error
WAYS: list[tuple[str, signal.Signals | None, int, str]] = [
    ("", None, 0, ""),
    ("sys.exit(3)", None, 3, ""),
    ("raise SystemError('mine')", None, 1, "SystemError: mine\n"),
    ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(600)", None, TERMINATED, ""),
    (FORK, None, 5, ""),
    ("from jobctl import reset_job_manager; reset_job_manager()", None, 0, ""),
    ("manager.shutdown(); manager.shutdown()", None, 0, ""),
    (ASLEEP, signal.SIGTERM, TERMINATED, ""),
    (ASLEEP, signal.SIGINT, INTERRUPTED, "KeyboardInterrupt\n"),
    (FOREVER, signal.SIGTERM, 0, ""),
    (FOREVER, signal.SIGINT, 0, ""),
]


def leave(site: Site, folder: Path, way: tuple[str, signal.Signals | None, int, str], moment: float) -> None:
    last, number, status, words = way
    folder.mkdir()
    (folder / "jobs.py").write_text(JOBS)
    (folder / "script.py").write_text(SCRIPT + MORE + last)
    process = subprocess.Popen(
        [sys.executable, "script.py", str(0 if number else moment)],
        cwd=folder, env=site.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    site.started.append(process)
    assert process.stdout is not None
    if number is not None:
        while process.stdout.readline() not in {"up\n", ""}:
            continue
        try:
            process.wait(moment)  # that it does not end by itself
        except subprocess.TimeoutExpired:
            process.send_signal(number)

    _, error = process.communicate(timeout=60)

    assert (process.returncode, error[-len(words) :] if words else error) == (status, words), (way, error)
    assert "Exception ignored" not in error, error
    with closing(open_store(folder / ".jobctl")) as store:
        assert not store.unfinished(), way
        assert not [run for run in store.runs(limit=None) if run.reason is Reason.LOST], way


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_exits(site: Site, tmp_path: Path) -> None:
    chosen = [(WAYS[number % len(WAYS)], random.uniform(0, 0.6)) for number in range(100)]

    with ThreadPoolExecutor(3) as together:
        for done in [
            together.submit(leave, site, tmp_path / str(number), *how) for number, how in enumerate(chosen)
        ]:
            done.result()

    site.nothing_left()
