"""SIGTERM to a program: the manager stops, and the program dies of the signal as it would without jobctl."""

import signal
import threading

import pytest

from tests.embedding.conftest import TERMINATED, App
from tests.support.project import until

SLOW = 'manager.schedule_job("slow", "Slow", "jobs:slow", 60)\nuntil("slow-began")\n'
SLOW_THREAD = """
def slow():
    pathlib.Path("slow-began").touch()
    time.sleep(0.7)
manager.schedule_job("slow", "Slow", slow, 60)
until("slow-began")
"""
ENDLESS = 'manager.schedule_job("endless", "Endless", "jobs:endless", 60)\nuntil("endless-began")\n'
READY = 'pathlib.Path("ready").touch()\n'
WAITS = {
    "asleep": "time.sleep(600)",
    "busy": "while True: pass",
    "in a lock": "threading.Event().wait()",
    "in C code": "import ctypes\nm = ctypes.create_string_buffer(64)\nlib = ctypes.CDLL(None)\n"
    "lib.pthread_mutex_lock(m)\nlib.pthread_mutex_lock(m)",
    "in the manager's lock": "with manager._lock: time.sleep(3)\ntime.sleep(600)",
}


def terminated(app: App, code: str) -> tuple[int, str, str]:
    process = app.begin(code)
    app.until_there("ready", process)
    process.terminate()
    return app.end(process)


@pytest.mark.slow
@pytest.mark.parametrize("wait", WAITS)
def test_it_dies_of_the_signal_once_its_runs_have_ended(app: App, wait: str) -> None:
    assert terminated(app, SLOW + READY + WAITS[wait]) == (TERMINATED, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_a_job_in_a_thread_ends_too(app: App) -> None:
    assert terminated(app, SLOW_THREAD + READY + "time.sleep(600)") == (TERMINATED, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_what_is_beyond_the_grace_is_interrupted(app: App) -> None:
    code = "manager._grace = timedelta(seconds=0.2)\n" + ENDLESS + READY + "time.sleep(600)"

    assert terminated(app, code) == (TERMINATED, "", "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_a_second_signal_ends_the_runs_at_once(app: App) -> None:
    process = app.begin(
        ENDLESS
        + "manager.bus.subscribe(lambda event: print(type(event).__name__, flush=True))\n"
        + READY
        + "time.sleep(600)"
    )
    app.until_there("ready", process)
    process.terminate()
    assert process.stdout is not None
    assert process.stdout.readline() == "SchedulerStopping\n"

    pause = threading.Event()
    while (
        process.poll() is None
    ):  # the first repetition may be merged with the signal before, which is still handled
        process.terminate()
        pause.wait(0.5)

    assert app.end(process, within=15)[::2] == (TERMINATED, "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_a_signal_while_the_program_ends(app: App) -> None:
    process = app.begin(
        "manager.bus.subscribe(lambda event: print(type(event).__name__, flush=True))\n" + SLOW
    )
    assert process.stdout is not None
    while process.stdout.readline() != "SchedulerStopping\n":
        continue

    process.terminate()

    assert app.end(process)[::2] == (TERMINATED, "")
    assert app.runs("slow") == [("completed", None)]


def test_a_handler_of_the_program_is_left_alone(app: App) -> None:
    code = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n" + SLOW + READY + "time.sleep(600)"

    assert terminated(app, code) == (9, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_a_second_call_of_a_handler_that_exits_ends_the_runs_at_once(app: App) -> None:
    process = app.begin(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "manager.bus.subscribe(lambda event: print(type(event).__name__, flush=True))\n"
        + ENDLESS
        + "time.sleep(600)"
    )
    app.until_there("endless-began", process)
    process.terminate()
    assert process.stdout is not None
    while process.stdout.readline() != "SchedulerStopping\n":
        continue

    process.terminate()

    assert app.end(process, within=15)[::2] == (9, "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_a_handler_that_the_program_sets_later_counts(app: App) -> None:
    code = SLOW + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n" + READY + "time.sleep(600)"

    assert terminated(app, code) == (9, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_a_handler_that_the_program_sets_during_the_stop_gets_the_signal(app: App) -> None:
    code = (
        SLOW
        + "from jobctl.events import SchedulerStopping\n"
        + "manager.bus.subscribe(lambda one: isinstance(one, SchedulerStopping) and open('stopping', 'w').close())\n"
        + READY
        + "until('stopping')\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\ntime.sleep(600)"
    )
    assert terminated(app, code) == (9, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_a_signal_that_arrives_just_before_the_program_sets_a_handler_reaches_that_handler(app: App) -> None:
    code = """
from jobctl.managers import process_exit
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
process_exit._registered.termination._handle(signal.SIGTERM, None)
time.sleep(600)
"""
    process = app.begin(SLOW + code)

    assert app.end(process)[0] == 7


def test_a_server_that_restores_handlers_and_raises_the_signal_again(app: App) -> None:
    """As uvicorn does."""
    code = (
        SLOW
        + """
taken = []
before = signal.signal(signal.SIGTERM, lambda number, _: taken.append(number))
"""
        + READY
        + """
while not taken:
    time.sleep(0.01)
signal.signal(signal.SIGTERM, before)
signal.raise_signal(taken[0])
time.sleep(600)
"""
    )
    assert terminated(app, code) == (TERMINATED, "", "")
    assert app.runs("slow") == [("completed", None)]


def test_after_reset_the_signal_is_the_programs_again(app: App) -> None:
    code = """
manager.schedule_job("quick", "Quick", lambda: 1, 60)
assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
from jobctl import reset_job_manager
reset_job_manager()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert not [one for one in threading.enumerate() if one.name == "jobctl-scheduler"]
signal.raise_signal(signal.SIGTERM)
"""
    assert app.run(code) == (TERMINATED, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_forever_returns_once_its_runs_have_ended(app: App, number: signal.Signals) -> None:
    process = app.begin(
        """
before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
manager.schedule_job("slow", "Slow", "jobs:slow", 60)
manager.run_forever()
assert before[1] is signal.SIG_DFL or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)] == [before[0], before[2]]
print("returned")
"""
    )
    app.until_there("slow-began", process)

    process.send_signal(number)

    assert app.end(process) == (0, "returned\n", "")
    assert app.runs("slow") == [("completed", None)]


def test_a_second_signal_to_run_forever_ends_the_runs_at_once(app: App) -> None:
    process = app.begin(
        'manager.schedule_job("endless", "Endless", "jobs:endless", 60)\n'
        "manager.bus.subscribe(lambda event: print(type(event).__name__, flush=True))\n"
        "manager.run_forever()"
    )
    app.until_there("endless-began", process)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    while process.stdout.readline() != "SchedulerStopping\n":
        continue

    process.send_signal(signal.SIGINT)

    assert app.end(process, within=15)[::2] == (0, "")
    assert app.runs("endless") == [("failed", "interrupted")]


def test_run_forever_ends_with_a_shutdown_from_elsewhere_and_in_any_thread(app: App) -> None:
    code = """
manager.schedule_job("quick", "Quick", lambda: 1, 60)
ends = [threading.Thread(target=manager.run_forever), *(threading.Timer(0.5, manager.shutdown) for _ in "123")]
for one in ends:
    one.start()
manager.run_forever()
for one in ends:
    one.join()
"""
    assert app.run(code) == (0, "", "")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"DISABLE_AUTO_SYNC": "1"}, "scheduling is disabled (DISABLE_AUTO_SYNC)"),
        ({"VERCEL": "1", "JOBCTL_STATE": ".jobctl"}, "Vercel Cron keeps the times of the jobs (mode vercel)"),
    ],
    ids=["disabled", "vercel"],
)
def test_run_forever_where_nothing_is_scheduled_says_so(
    app: App, variables: dict[str, str], reason: str
) -> None:
    code = """
manager.schedule_job("quick", "Quick", lambda: 1, 60)
with manager:
    manager.run_forever()
"""
    assert app.run(code, env=variables) == (0, "", f"there is nothing to run here: {reason}\n")
    assert app.runs("quick") == []


@pytest.mark.slow
def test_an_asyncio_program(app: App) -> None:
    code = """
import asyncio
async def main():
    async with manager:
        manager.schedule_job("slow", "Slow", "jobs:slow", 60)
        await asyncio.to_thread(until, "slow-began")
"""
    ends = code + READY.join(["        ", "        await asyncio.sleep(600)\nasyncio.run(main())"])
    process = app.begin(ends)
    app.until_there("ready", process)
    process.send_signal(signal.SIGINT)
    status, _, error = app.end(process)
    assert status == -signal.SIGINT
    assert error.endswith("KeyboardInterrupt\n")
    assert app.runs("slow") == [("completed", None)]
    (app.folder / "ready").unlink()
    (app.folder / "slow-began").unlink()
    assert terminated(app, ends.replace('"slow"', '"slow-too"')) == (TERMINATED, "", "")
    assert app.runs("slow-too") == [("completed", None)]


def test_a_kill_leaves_no_process(app: App) -> None:
    process = app.begin(ENDLESS + READY + "time.sleep(600)")
    app.until_there("ready", process)
    process.kill()
    assert app.end(process)[0] == -signal.SIGKILL
    until(lambda: app.site.call("status").returncode == 0)
    assert app.runs("endless") == [("failed", "lost")]
