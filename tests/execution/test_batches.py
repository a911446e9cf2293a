"""Many quick tasks in few workers: each begins once, and none waits for one that hangs."""

from typing import Any

import pytest

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
