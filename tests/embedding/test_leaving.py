"""The end of a program by its own hand or by Ctrl-C: as without jobctl, with every run recorded."""

import signal
import subprocess
from contextlib import closing

import pytest

from jobctl.model import RunStatus
from jobctl.store.open import open_store
from tests.embedding.conftest import INTERRUPTED, App
from tests.support.postgres import Postgres

SCHEDULED = """
manager.schedule_job("quick", "Quick", "jobs:quick", 60)
manager.schedule_job("tidy-up", "Tidy up", lambda: print("tidied", flush=True), 60)
"""
IN_A_THREAD = """
def slow():
    pathlib.Path("slow-began").touch()
    time.sleep(0.7)

manager.schedule_job("slow", "Slow", slow, 60)
until("slow-began")
"""
IN_A_WORKER = 'manager.schedule_job("slow", "Slow", "jobs:slow", 60)\nuntil("slow-began")\n'
# Python 3.12 and newer refuse threads from the moment on that `atexit` functions run.
NO_THREADS_AT_EXIT = """
import atexit
def refuse(self):
    raise RuntimeError("can't create new thread at interpreter shutdown")
atexit.register(setattr, threading.Thread, "start", refuse)
"""
WAYS = {
    "the end of the script": ("", 0, ""),
    "sys.exit": ("sys.exit(7)", 7, ""),
    "sys.exit with a sentence": ('sys.exit("sorry")', 1, "sorry\n"),
    "an exception": ("raise SystemError('mine')", 1, "SystemError: mine\n"),
    "Ctrl-C": ("signal.raise_signal(signal.SIGINT)", INTERRUPTED, "KeyboardInterrupt\n"),
}


@pytest.mark.parametrize("way", WAYS)
def test_at_once(app: App, way: str) -> None:
    last, code, error = WAYS[way]

    ended = app.run(SCHEDULED + last)

    assert ended[0] == code
    assert ended[2].endswith(error)
    assert "jobctl" not in ended[2]
    assert {*app.runs("quick"), *app.runs("tidy-up")} <= {("completed", None), ("failed", "interrupted")}


@pytest.mark.parametrize("job", [IN_A_THREAD, IN_A_WORKER], ids=["thread", "worker"])
@pytest.mark.parametrize("way", WAYS)
def test_while_a_job_runs_that_ends_within_the_grace(app: App, way: str, job: str) -> None:
    last, code, error = WAYS[way]

    ended = app.run(job + NO_THREADS_AT_EXIT + last)

    assert ended[0] == code
    assert ended[2].endswith(error)
    assert "jobctl" not in ended[2]
    assert app.runs("slow") == [("completed", None)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "job",
    [
        'manager.schedule_job("endless", "Endless", "jobs:endless", 60)\nuntil("endless-began")\n',
        (
            "def endless():\n    import jobs\n    jobs.endless()\n"
            'manager.schedule_job("endless", "Endless", endless, 60)\nuntil("endless-began")\n'
        ),
        (
            "def endless():\n    pathlib.Path('endless-began').touch()\n    while True:\n        print('x' * 999)\n"
            'manager.schedule_job("endless", "Endless", endless, 60)\nuntil("endless-began")\n'
        ),
    ],
    ids=["worker", "thread", "printing thread"],
)
def test_while_a_job_runs_that_is_beyond_the_grace(app: App, job: str) -> None:
    ended = app.run("manager._grace = timedelta(seconds=0.3)\n" + job)

    assert (ended[0], ended[2]) == (0, "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_ctrl_c_during_the_grace_ends_the_runs_at_once(app: App) -> None:
    process = app.begin(
        'manager.schedule_job("endless", "Endless", "jobs:endless", 60)\nuntil("endless-began")\n'
        "manager.bus.subscribe(lambda event: print(type(event).__name__, flush=True))"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "SchedulerStopping\n"

    process.send_signal(signal.SIGINT)

    assert app.end(process, within=15)[::2] == (0, "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_ctrl_c_while_it_waits_for_the_store_leaves_nothing_locked(app: App) -> None:
    """As in a notebook or an interactive session, which go on."""
    code = """
import sqlite3
manager.schedule_cron_job("yearly", "Yearly", lambda: 1, "0 0 1 1 *")
other = sqlite3.connect(".jobctl/jobctl.db", check_same_thread=False)
other.execute("BEGIN IMMEDIATE")
def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    other.rollback()
threading.Timer(0.3, interrupt).start()
try:
    manager.stop_job("yearly")
except KeyboardInterrupt:
    print("interrupted")
print(manager.wait(manager.trigger_job("yearly").id, 20).status)
"""
    assert app.run(code) == (0, "interrupted\ncompleted\n", "")


def test_non_daemon_threads_of_the_program_keep_the_scheduler_alive(app: App) -> None:
    code = """
def work():
    until("second")
    print("worked", flush=True)

threading.Thread(target=work).start()
def count():
    pathlib.Path("second" if pathlib.Path("first").exists() else "first").touch()
manager.schedule_job("count", "Count", count, 1)
"""
    assert app.run(code) == (0, "worked\n", "")
    assert set(app.runs("count")) == {("completed", None)}
    assert len(app.runs("count")) >= 2


@pytest.mark.slow
def test_daemon_threads_of_the_program_may_use_the_manager_to_the_end(app: App) -> None:
    code = (
        SCHEDULED
        + """
def look():
    try:
        while True:
            manager.get_all_job_statuses()
    except Exception:
        pass  # closed at the end

for _ in range(4):
    threading.Thread(target=look, daemon=True).start()
time.sleep(0.1)
"""
    )
    for _ in range(5):
        assert app.run(code)[::2] == (0, "")


def test_a_store_that_cannot_be_written_at_the_end_is_logged_in_a_sentence(app: App) -> None:
    code = (
        IN_A_THREAD
        + """
manager._grace = timedelta(seconds=0)
pathlib.Path(".jobctl/jobctl.db").rename("moved.db")
import jobctl.scheduler.scheduler
jobctl.scheduler.scheduler._FLUSH_AT_END_S = 0.1
"""
    )
    status, _, error = app.run(code)

    assert status == 0
    assert error.startswith(
        "the job scheduler did not stop cleanly: the end of 1 run could not be written to "
    )
    assert error.count("\n") == 1


def test_an_interactive_session_whose_input_ends(app: App) -> None:
    process = app.begin("", "-i", "-q", stdin=subprocess.PIPE)
    out, _ = process.communicate(
        'from jobctl import get_job_manager\nget_job_manager().schedule_job("a", "A", lambda: 1, 60)\n', 30
    )

    assert (process.returncode, out) == (0, "")
    assert app.runs("a") == [("completed", None)] or app.runs("a") == []


@pytest.mark.slow
def test_pytest_ends_without_a_warning(app: App) -> None:
    app.site.write(
        "test_it.py",
        "from jobctl import get_job_manager\n"
        "def test_it():\n"
        "    manager = get_job_manager()\n"
        '    manager.schedule_cron_job("a", "A", lambda: 1, "0 0 29 2 *")\n'
        '    manager.wait(manager.trigger_job("a").id)\n',
    )
    process = app.begin("", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")

    status, out, error = app.end(process)

    assert (status, error) == (0, ""), out
    assert "warning" not in out


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_with_the_run_store_on_postgres(app: App, way: str, postgres: Postgres) -> None:
    last, code, error = WAYS[way]
    environment = {"JOBCTL_STATE": postgres.schema()}

    ended = app.run(SCHEDULED + IN_A_THREAD + NO_THREADS_AT_EXIT + last, env=environment)

    assert (ended[0], ended[2][-len(error) :] if error else ended[2]) == (code, error)
    assert "psycopg" not in ended[2]
    with closing(open_store(environment["JOBCTL_STATE"])) as store:
        assert [one.status for one in store.runs("slow")] == [RunStatus.COMPLETED]
        assert not store.unfinished()
