"""os.fork in a program whose manager is at work: the child has a manager of its own, the parent goes on."""

import os
import signal
from contextlib import closing

import pytest

from jobctl.store.open import open_store
from tests.embedding.conftest import TERMINATED, App
from tests.support.postgres import Postgres
from tests.support.project import marked, until

COUNT = """
def count():
    with open("counted", "a") as file:
        file.write(f"{os.getpid()}\\n")
manager.schedule_job("count", "Count", count, 1)
manager.schedule_job("quick", "Quick", "jobs:quick", 1)
until("counted")
"""
# Python 3.12 and newer warn of any fork while there are threads.
QUIET = "import warnings; warnings.filterwarnings('ignore', category=DeprecationWarning)\n"
CHILD_DIES = """
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, status
"""


def in_child(code: str, ends: str = CHILD_DIES) -> str:
    lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return f"{QUIET}child = os.fork()\nif child == 0:\n{lines}{ends}"


@pytest.mark.slow
def test_a_child_schedules_nothing_and_has_no_thread(app: App) -> None:
    code = COUNT + in_child("""
time.sleep(2.5)
assert threading.active_count() == 1, threading.enumerate()
assert get_job_manager() is manager
assert manager.get_job_status("count").last_run
""")
    assert app.run(code) == (0, "", "")
    assert len(set((app.folder / "counted").read_text().split())) == 1
    assert len(app.runs("count")) >= 3


def test_a_child_can_trigger_schedule_and_wait(app: App) -> None:
    yearly = 'manager.schedule_cron_job("yearly", "Yearly", "jobs:quick", "0 0 1 1 *")\n'
    code = (
        yearly
        + COUNT
        + in_child("""
manager.schedule_job("childs", "Child's", lambda: open("childs", "w").close(), 60)
until("childs")
done = manager.wait(manager.trigger_job("yearly").id, 20)
assert done.status == "completed", done
manager.shutdown()
""")
    )
    assert app.run(code) == (0, "", "")
    assert app.runs("childs") == [("completed", None)]


def test_a_child_may_leave_by_any_way(app: App) -> None:
    code = (
        QUIET
        + """
manager.schedule_job("slow", "Slow", "jobs:slow", 60)
until("slow-began")
for way in (lambda: sys.exit(3), lambda: os._exit(3), lambda: signal.raise_signal(signal.SIGTERM)):
    child = os.fork()
    if child == 0:
        way()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    )
    assert app.run(code) == (0, "3\n3\n-15\n", "")
    assert app.runs("slow") == [("completed", None)]


def test_multiprocessing_by_fork(app: App) -> None:
    code = (
        COUNT
        + """
import multiprocessing
fork = multiprocessing.get_context("fork")
with fork.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
process = fork.Process(target=time.sleep, args=(600,))
process.start()
process.terminate()
process.join()
assert process.exitcode == -15, process.exitcode
"""
    )
    assert app.run(code) == (0, "", "")


def test_workers_of_a_killed_parent_end_though_a_child_lives_on(app: App) -> None:
    process = app.begin(
        'manager.schedule_job("endless", "Endless", "jobs:endless", 60)\nuntil("endless-began")\n'
        + in_child('pathlib.Path("child").write_text(str(os.getpid()))\ntime.sleep(600)', "time.sleep(600)")
    )
    app.until_there("child", process)
    child = until(lambda: int((app.folder / "child").read_text() or 0))

    process.kill()

    until(lambda: marked(app.site.mark) == [child])
    os.kill(child, signal.SIGTERM)
    assert app.end(process)[0] == -signal.SIGKILL


def test_a_parent_ends_while_its_child_lives_on(app: App) -> None:
    """The child's copies of locks and connections keep nothing of the parent's."""
    process = app.begin(
        COUNT
        + "null = os.open(os.devnull, os.O_RDWR)\n"
        + in_child(
            'os.dup2(null, 1)\nos.dup2(null, 2)\npathlib.Path("child").write_text(str(os.getpid()))\ntime.sleep(600)',
            'until("child")\n',
        )
    )
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
    child = int((app.folder / "child").read_text())
    assert marked(app.site.mark) == [child]
    assert set(app.runs("count")) == {("completed", None)}
    os.kill(child, signal.SIGTERM)
    app.site.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_forks_at_any_moment_of_a_busy_scheduler(
    app: App, where: str, request: pytest.FixtureRequest
) -> None:
    """A lock that any thread holds at the fork (ours, SQLite's) must not be held for ever in the child."""
    environment = {}
    if where == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        environment["JOBCTL_STATE"] = server.schema()
    code = (
        QUIET
        + """
for number in range(20):
    manager.schedule_job(f"quick-{number}", "Quick", "jobs:quick", 1)
    manager.schedule_cron_job(f"lambda-{number}", "Lambda", lambda: 1, "* * * * * *")
time.sleep(1)
for number in range(60):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        manager.get_all_job_statuses()
        if number % 10 == 0:
            manager.schedule_cron_job("childs", "Child's", lambda: 1, "* * * * * *")
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, (number, status)
"""
    )
    assert app.end(app.begin(code, env=environment), within=110)[::2] == (0, "")


def test_a_child_that_schedules_takes_sigterm_for_itself(app: App) -> None:
    """A child may take SIGTERM for itself once it schedules, as its parent did."""
    code = COUNT + in_child(
        'manager.schedule_job("slow", "Slow", "jobs:slow", 60)\nuntil("slow-began")\n'
        "signal.raise_signal(signal.SIGTERM)\ntime.sleep(600)",
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
    )
    assert app.run(code) == (0, f"{TERMINATED}\n", "")
    assert app.runs("slow") == [("completed", None)]
    with closing(open_store(app.folder / ".jobctl")) as store:
        assert not store.unfinished()
