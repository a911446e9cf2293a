"""``current_run()``: what a run knows of itself, wherever it executes."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobctl import current_run, testing
from jobctl.errors import UsageError
from jobctl.execution.tasks import TaskAsksSlot, TaskFinished, TaskOutput, TaskProgressed, TaskStarted
from jobctl.model import Command, Progress, Reason, Trigger
from tests.execution.conftest import Bench, Threads

SLOT = datetime(2026, 11, 29, 9, tzinfo=UTC)
BEFORE = SLOT - timedelta(hours=1)


def test_a_function_knows_its_run(bench: Bench) -> None:
    done = bench.call(
        "from jobctl import current_run\n"
        "run = current_run()\n"
        "return [run.run_id, run.job_id, run.trigger, run.slot.isoformat(), run.attempt, run.attempts,"
        " dict(run.arguments), run.dry_run, run.cancelled, run.deadline.isoformat()]",
        trigger=Trigger.SCHEDULE,
        slot=SLOT,
        attempts=3,
        timeout=60,
    )
    assert done.result[:-1] == [
        "run1", "job", "schedule", SLOT.isoformat(), 1, 3, {}, False, False,
    ]  # fmt: skip
    deadline = datetime.fromisoformat(done.result[-1])
    assert abs(deadline - done.started_at - timedelta(seconds=60)) < timedelta(seconds=5)


def test_each_run_of_a_worker_knows_itself(bench: Bench) -> None:
    bench.write(
        "from jobctl import current_run\ndef main():\n    run = current_run()\n    return [run.run_id, str(run.slot)]"
    )
    tasks = [
        bench.task("work:main", quick=True, trigger=Trigger.SCHEDULE, slot=SLOT + timedelta(seconds=number))
        for number in range(50)
    ]
    bench.submit(*tasks)
    assert [done.result for done in bench.finish(*tasks)] == [[task.run_id, str(task.slot)] for task in tasks]


def test_threads_that_ask_at_once_get_the_same_run(bench: Bench) -> None:
    done = bench.call(
        "import sys, threading\n"
        "from jobctl.run_context import current_run\n"
        "sys.setswitchinterval(1e-6)\n"
        "found, together = [], threading.Barrier(8)\n"
        "def ask():\n"
        "    together.wait()\n"
        "    found.append(current_run())\n"
        "threads = [threading.Thread(target=ask) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "return len({id(run) for run in found})"
    )
    assert done.result == 1


@pytest.mark.parametrize(
    ("number", "shown"), [("Decimal('1.5')", 1.5), ("Fraction(1, 2)", 0.5), ("True", 1), ("2**60", 2**60)]
)
def test_progress_takes_numbers_of_any_type(bench: Bench, number: str, shown: float) -> None:
    done = bench.call(
        "from decimal import Decimal\nfrom fractions import Fraction\nfrom jobctl import current_run\n"
        f"current_run().progress(0)\ncurrent_run().progress({number}, 2**61)"
    )
    reported = [one.progress for one in bench.outcomes if isinstance(one, TaskProgressed)]
    assert (done.reason, reported[-1]) == (None, Progress(shown, 2**61))


@pytest.mark.parametrize("number", ["'3'", "None", "1j", "10**400", "10**5000", "float('nan')"])
def test_progress_refuses_what_is_no_number(bench: Bench, number: str) -> None:
    done = bench.call(f"from jobctl import current_run\ncurrent_run().progress({number})")
    assert (done.reason, "progress takes numbers from 0" in str(done.error)) == (Reason.ERROR, True)


def test_a_run_by_hand_has_no_slot(bench: Bench) -> None:
    done = bench.call(
        "from jobctl import current_run\nrun = current_run()\nreturn [run.slot, run.previous_slot, run.trigger]"
    )
    assert done.result == [None, None, "manual"]


def test_threads_and_tasks_of_the_job_know_it_too(bench: Bench) -> None:
    done = bench.call(
        "import asyncio, concurrent.futures\n"
        "from jobctl import current_run\n"
        "async def inner(): return current_run().run_id\n"
        "with concurrent.futures.ThreadPoolExecutor() as pool:\n"
        "    in_thread = pool.submit(lambda: current_run().run_id).result()\n"
        "return [in_thread, asyncio.run(inner())]"
    )
    assert done.result == ["run1", "run1"]


def test_a_program_finds_its_run_in_its_variables(bench: Bench) -> None:
    done = bench.run(
        Command(("sh", "-c", 'echo "$JOBCTL_RUN_ID $JOBCTL_JOB_ID $JOBCTL_SLOT $JOBCTL_ATTEMPT"')),
        trigger=Trigger.SCHEDULE,
        slot=SLOT,
        attempt=2,
        attempts=2,
    )
    assert bench.lines(done) == ["run1 job 2026-11-29T09:00:00+00:00 2"]


def test_progress_is_reported_seldom_and_its_last_value_always(bench: Bench) -> None:
    done = bench.call(
        "from jobctl import current_run\n"
        "for number in range(1, 20_001):\n"
        "    current_run().progress(number, 20_000, f'item\\n{number}')"
    )
    found = [one.progress for one in bench.outcomes if isinstance(one, TaskProgressed)]
    assert found[0] == Progress(1, 20_000, "item 1")
    assert found[-1] == Progress(20_000, 20_000, "item 20000")
    assert len(found) <= 3 + done.duration / timedelta(seconds=0.1)
    before_its_end = [type(one) for one in bench.outcomes].index(TaskFinished)
    assert isinstance(bench.outcomes[before_its_end - 1], TaskProgressed)


def test_secrets_in_a_note_are_masked(make_bench: Any) -> None:
    bench = make_bench(secrets=["hunter2hunter2"])
    bench.call("from jobctl import current_run\ncurrent_run().progress(1, note='with \\x1b hunter2hunter2')")
    (found,) = [one.progress for one in bench.outcomes if isinstance(one, TaskProgressed)]
    assert found == Progress(1, None, "with \\x1b ••••")


@pytest.mark.parametrize("wrong", ["-1", "float('nan')", "float('inf')"])
def test_progress_takes_numbers(bench: Bench, wrong: str) -> None:
    done = bench.call(f"from jobctl import current_run\ncurrent_run().progress({wrong})")
    assert (done.reason, "progress takes numbers from 0" in str(done.error)) == (Reason.ERROR, True)


def test_the_previous_slot_is_asked_of_the_scheduler(bench: Bench) -> None:
    bench.write(
        "from jobctl import current_run\ndef main(): return [str(current_run().previous_slot) for _ in '12']"
    )
    task = bench.task("work:main", trigger=Trigger.SCHEDULE, slot=SLOT)
    bench.submit(task)
    bench.until(lambda: TaskAsksSlot(task.run_id) in bench.outcomes)
    bench.pool.answer_slot(task.run_id, BEFORE)
    (done,) = bench.finish(task)
    assert done.result == [str(BEFORE)] * 2
    assert bench.outcomes.count(TaskAsksSlot(task.run_id)) == 1


PATIENT = (
    "from jobctl import current_run\n"
    "import time\n"
    "def main():\n"
    "    run = current_run()\n"
    "    print('looking', run.cancelled, flush=True)\n"
    "    while not run.cancelled: time.sleep(0.01)\n"
    "    return 'ended by itself'"
)


def looks(bench: Bench) -> bool:
    return any(isinstance(one, TaskOutput) for one in bench.outcomes)


def test_a_run_that_looks_may_end_by_itself(bench: Bench) -> None:
    bench.write(PATIENT)
    task = bench.task("work:main")
    bench.submit(task)
    bench.until(lambda: looks(bench))
    bench.pool.ask_to_end()
    (done,) = bench.finish(task)
    assert (done.reason, done.result) == (None, "ended by itself")


def test_a_run_that_looks_is_asked_before_it_is_terminated(bench: Bench) -> None:
    bench.write(PATIENT)
    task = bench.task("work:main", grace=timedelta(seconds=30))
    bench.submit(task)
    bench.until(lambda: looks(bench))
    bench.pool.end([task.run_id], Reason.INTERRUPTED)
    (done,) = bench.finish(task)
    assert (done.reason, done.result) == (None, "ended by itself")


def test_a_run_that_looks_and_goes_on_is_terminated_after_its_grace_time(bench: Bench) -> None:
    bench.write(PATIENT.replace("while not run.cancelled", "while True"))
    task = bench.task("work:main", grace=timedelta(seconds=0.3))
    bench.submit(task)
    bench.until(lambda: looks(bench))
    bench.pool.end([task.run_id], Reason.INTERRUPTED)
    (done,) = bench.finish(task)
    assert done.reason is Reason.INTERRUPTED
    assert done.duration >= timedelta(seconds=0.3)


def test_what_a_thread_reports_after_its_run_belongs_to_none(bench: Bench) -> None:
    bench.write(
        "from jobctl import current_run\nimport threading\n"
        "def main():\n"
        "    run, go = current_run(), threading.Event()\n"
        "    def later(): go.wait(); run.progress(99); print('reported', flush=True)\n"
        "    threading.Thread(target=later, daemon=True).start()\n"
        "    main.go = go\n"
        "def other(): main.go.set(); return 'fine'"
    )
    bench.run("work:main")
    assert not [one for one in bench.outcomes if isinstance(one, TaskProgressed)]


def test_a_function_in_a_thread_knows_its_run(threads: Threads) -> None:
    def work() -> list[Any]:
        run = current_run()
        run.progress(1, 2, "hunter2hunter2")
        run.progress(2, 2)
        return [run.run_id, run.previous_slot is None]

    outcomes = threads.run(work)
    assert [one.result for one in outcomes if isinstance(one, TaskFinished)] == [["run", True]]
    reported = [one.progress for one in outcomes if isinstance(one, TaskProgressed)]
    assert reported == [Progress(1, 2, "••••"), Progress(2, 2)]


def test_a_function_in_a_thread_can_be_asked_to_end(threads: Threads) -> None:
    def work() -> str:
        while not current_run().cancelled:
            threading.Event().wait(0.01)
        return "ended by itself"

    threads.executor.submit([threads.task(work)])
    threads.executor.ask_to_end()
    (done,) = [one for one in threads.finish() if isinstance(one, TaskFinished)]
    assert done.result == "ended by itself"


def test_a_function_in_a_thread_asks_for_the_previous_slot(threads: Threads) -> None:
    threads.executor.submit(
        [threads.task(lambda: str(current_run().previous_slot), trigger=Trigger.SCHEDULE, slot=SLOT)]
    )
    found = threads.until(TaskAsksSlot)
    threads.executor.answer_slot("run", BEFORE)
    (done,) = [one for one in threads.finish() if isinstance(one, TaskFinished)]
    assert done.result == str(BEFORE)
    assert any(isinstance(one, TaskStarted) for one in found)


def test_outside_a_run_it_says_what_to_do() -> None:
    with pytest.raises(UsageError) as error:
        current_run()
    assert "outside a run" in error.value.problem
    assert "jobctl.testing.running()" in str(error.value.hint)


def test_a_test_of_a_job_gives_it_a_run() -> None:
    def report() -> datetime | None:
        run = current_run()
        for number in range(3):
            run.progress(number, 3)
        return run.previous_slot if not run.cancelled else None

    with testing.running(slot=SLOT, previous_slot=BEFORE, arguments={"dry_run": True}) as controls:
        assert current_run().slot == SLOT
        assert current_run().dry_run
        assert report() == BEFORE
        controls.cancel()
        assert report() is None
    assert controls.reported[-1] == Progress(2, 3)
    with pytest.raises(UsageError):
        current_run()
