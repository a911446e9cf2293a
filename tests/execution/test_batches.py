"""Many quick tasks in few workers: each begins once, and none waits for one that hangs."""

import os
import signal
from typing import Any

import pytest

from jobctl.execution.messages import PERMIT
from jobctl.execution.pool import BATCH
from jobctl.model import Reason


def test_a_batch_is_run_each_once_and_its_output_kept_apart(bench: Any) -> None:
    bench.write(
        "import os\ndef main():\n    print('a')\n    os.system('echo b')\n    os.write(2, b'c')\n    return 1\n"
        "def silent(): pass\n"
    )
    tasks = [bench.task("work:main" if n % 3 else "work:silent", quick=True) for n in range(60)]
    assert bench.pool.capacity(quick=True) >= len(tasks)
    bench.submit(*tasks)
    bench.finish(*tasks)
    for number, task in enumerate(tasks):
        assert len(bench.started[task.run_id]) == 1
        assert bench.lines(task) == (["a", "b", "c"] if number % 3 else [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("time.sleep(300)", Reason.TIMEOUT),
        ("re.match('(a+)+b', 'a' * 60)", Reason.TIMEOUT),  # holds the interpreter's lock
        ("os._exit(0)", Reason.CRASHED),
        ("os.kill(os.getpid(), signal.SIGSTOP)", Reason.TIMEOUT),
    ],
)
@pytest.mark.faults
def test_a_task_that_hangs_or_crashes_delays_no_other(bench: Any, body: str, reason: Reason) -> None:
    bench.write(
        "import os, re, signal, time\n"
        f"def bad(): {body}\n"
        "def good():\n    with open('ran', 'a') as file: file.write('x')\n"
    )
    tasks = [bench.task("work:bad" if n == 10 else "work:good", quick=True, timeout=4) for n in range(40)]
    bad = tasks.pop(10)
    bench.submit(*tasks[:10], bad, *tasks[10:])
    assert all(run.reason is None for run in bench.finish(*tasks))
    if reason is Reason.TIMEOUT:
        assert bad.run_id not in bench.finished, "the others waited for its end"
    assert bench.finish(bad)[0].reason is reason
    assert (bench.folder / "ran").read_text() == "x" * len(tasks)
    assert all(len(times) == 1 for times in bench.started.values())


@pytest.mark.faults
def test_a_worker_that_is_stopped_while_it_waits_begins_nothing_and_others_do(bench: Any) -> None:
    bench.write("def good():\n    with open('ran', 'a') as file: file.write('x')\n")
    stopped = bench.run("work:good").pid
    os.kill(stopped, signal.SIGSTOP)

    tasks = [bench.task("work:good", quick=True) for _ in range(20)]
    bench.submit(*tasks)

    assert all(run.reason is None and run.pid != stopped for run in bench.finish(*tasks))
    assert (bench.folder / "ran").read_text() == "x" * (len(tasks) + 1)


# real reads and kills, at the moment that matters: the permit is read, and nothing is reported yet
KILLED_AT_PERMIT = """
import os, signal
read = os.read

def reading(descriptor, size):
    data = read(descriptor, size)
    if size == 32:
        try:
            os.unlink("kill")
        except OSError:
            return data
        os.kill(os.getpid(), signal.SIGKILL)
    return data

os.read = reading
"""


@pytest.mark.faults
def test_a_worker_that_is_killed_between_a_permit_and_its_report_loses_no_task(make_bench: Any) -> None:
    bench = make_bench(environment={"PYTHONPATH": "patches"})
    (bench.folder / "patches").mkdir()
    bench.write(KILLED_AT_PERMIT, "patches/sitecustomize.py")
    bench.write("def good():\n    with open('ran', 'a') as file: file.write('x')\n")
    assert PERMIT.size == 32
    for _ in range(3):
        bench.run("work:good")
        (bench.folder / "kill").touch()
        tasks = [bench.task("work:good", quick=True) for _ in range(10)]
        bench.submit(*tasks)
        assert all(run.reason is None for run in bench.finish(*tasks))
        assert not (bench.folder / "kill").exists()

    assert (bench.folder / "ran").read_text() == "x" * len(bench.finished)
    assert all(len(times) == 1 for times in bench.started.values())


@pytest.mark.faults
def test_tasks_that_are_taken_back_while_they_begin_and_end_run_once(bench: Any) -> None:
    bench.write("def good():\n    with open('ran', 'a') as file: file.write('x')\n")
    warm = [bench.task("work:good") for _ in range(2)]
    bench.submit(*warm)
    bench.finish(*warm)
    tasks = []
    for _ in range(20):
        batch = [bench.task("work:good", quick=True) for _ in range(20)]
        bench.submit(*batch)
        bench.pool.end([batch[-1].run_id], Reason.INTERRUPTED)
        tasks += batch
    runs = bench.finish(*tasks)

    assert {run.reason for run in runs} <= {None, Reason.INTERRUPTED}
    assert all(len(times) == 1 for times in bench.started.values())
    completed = [run for run in bench.finished.values() if run.reason is None]
    assert len(completed) >= 380
    assert len(completed) <= len((bench.folder / "ran").read_text()) <= len(bench.started)


# a real read that takes its time between a permit and the report that its task begins
SLOW_AT_PERMIT = """
import os, time
read = os.read

def reading(descriptor, size):
    data = read(descriptor, size)
    if size == 32:
        time.sleep(0.02)
    return data

os.read = reading
"""


def test_the_end_of_a_task_ends_none_that_begins_meanwhile(make_bench: Any) -> None:
    bench = make_bench(workers=1, environment={"PYTHONPATH": "patches"})
    (bench.folder / "patches").mkdir()
    bench.write(SLOW_AT_PERMIT, "patches/sitecustomize.py")
    bench.write("def good(): pass\n")
    for _ in range(8):
        batch = [bench.task("work:good", quick=True) for _ in range(6)]
        bench.submit(*batch)
        bench.wait_started(batch[0])
        bench.pool.end([batch[0].run_id], Reason.CANCELLED, now=True)
        assert [run.reason for run in bench.finish(*batch)[1:]] == [None] * 5


def test_descriptions_of_tasks_that_were_taken_back_block_no_other(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write("def hold(text): open('go').read()\ndef good(text): pass\n")
    os.mkfifo(bench.folder / "go")
    text = {"text": "x" * 20 * 1024}
    first = bench.task("work:hold", quick=True, arguments=text)
    bench.submit(first)
    bench.wait_started(first)
    others = [bench.task("work:good", quick=True, arguments=text) for _ in range(40)]

    bench.submit(*others)
    bench.until(
        lambda: bench.pool.capacity(quick=True) == 0
    )  # the first is stuck: the others were taken back
    (bench.folder / "go").write_text("go")

    assert {run.reason for run in bench.finish(first, *others)} == {None}


def test_capacity_counts_workers_and_room_behind_quick_tasks(make_bench: Any) -> None:
    bench = make_bench(workers=2)
    bench.write("import time\ndef hang(): time.sleep(300)\n")
    assert bench.pool.capacity(quick=False) == 2
    slow = bench.task("work:hang")
    bench.submit(slow)
    assert bench.pool.capacity(quick=False) == 1
    assert bench.pool.capacity(quick=True) == BATCH
    bench.wait_started(slow)
    other = bench.task("work:hang")
    bench.submit(other)
    bench.wait_started(other)
    assert bench.pool.capacity(quick=False) == 0
    assert bench.pool.capacity(quick=True) == 0


def test_a_warm_worker_is_used_again(bench: Any) -> None:
    runs = [bench.call("return 1") for _ in range(3)]
    assert len({run.pid for run in runs}) == 1


def test_wake_ends_a_poll_from_another_thread(bench: Any) -> None:
    import threading

    threading.Timer(0.05, bench.pool.wake).start()
    assert list(bench.pool.poll(60)) == []


def test_closing_twice_is_fine_and_leaves_nothing(bench: Any) -> None:
    bench.write(
        "import subprocess, time\ndef main():\n    subprocess.Popen(['setsid', 'sleep', '300'])\n    time.sleep(300)\n"
    )
    task = bench.task("work:main")
    bench.submit(task)
    bench.wait_started(task)
    bench.pool.close()
    bench.pool.close()
    assert bench.processes() == []


def test_all_that_was_sent_to_a_worker_ends_with_it(bench: Any) -> None:
    bench.write("import time\ndef hang(): time.sleep(300)\ndef quick(): pass\n")
    tasks = [bench.task("work:quick" if n else "work:hang", quick=True) for n in range(20)]
    bench.submit(*tasks)
    bench.until(lambda: tasks[0].run_id in bench.started)

    bench.pool.end_all(Reason.LOST)

    ended = bench.finish(*tasks)
    assert ended[0].reason is Reason.LOST
    assert {run.reason for run in ended} <= {Reason.LOST, None}, "none is left without an end"
