"""Jobs that hang, crash, flood, or leave something behind: their run says so, and nothing is left."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobctl.model import Reason

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os; os._exit(0)", "ended with exit code 0 before the job returned"),
        ("import os; os._exit(9)", "ended with exit code 9"),
        ("import ctypes; ctypes.string_at(0)", "was killed by signal SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal SIGKILL"),
        ("import os; os.kill(os.getpid(), 24)", "was killed by signal SIGXCPU"),
        ("import os; os.closerange(0, 4096)", "ended with exit code"),
        (
            "import os\nfor n in range(3, 4096):\n    try: os.write(n, b'{}\\nnull\\n[1]\\n{\"started\": 1}\\nx\\n')\n    except OSError: pass",
            "sent an invalid message",
        ),
        *(
            (
                f"import os\nfor n in range(3, 4096):\n    try: os.write(n, b{line!r})\n    except OSError: pass",
                "sent an invalid message",
            )
            for line in (
                "-1 1e999 1\n",
                '-1 1 1 ["x"]\n',
                "-1 1 1 [null, 2]\n",
                "-1 1 1 3\n",
                "+1 1\n",
                "+\n",
            )
        ),
    ],
)
def test_a_crash_is_reported_and_the_next_run_is_fine(bench: Any, body: str, words: str) -> None:
    run = bench.call(f"print('before', flush=True)\n{body}")
    assert run.reason is Reason.CRASHED
    assert words in run.error
    assert bench.lines(run)[0] == "before"
    assert bench.call("return 1").result == 1


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import threading; threading.Event().wait()",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(9)",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import re; re.match('(a+)+b', 'a' * 60)",
    ],
)
def test_a_job_that_never_ends_is_ended(bench: Any, body: str) -> None:
    run = bench.call(body, timeout=0.5)
    assert (run.reason, run.error) == (Reason.TIMEOUT, "timed out after 500ms")
    assert "timed out after 500ms" in bench.log(run)
    assert bench.call("return 1").result == 1


def test_a_job_that_is_ended_may_clean_up(bench: Any) -> None:
    run = bench.call(
        "import time\ntry:\n    time.sleep(60)\nfinally:\n    open('cleaned', 'w').close()", timeout=0.3
    )
    assert run.reason is Reason.TIMEOUT
    assert (bench.folder / "cleaned").exists()


def test_a_program_that_never_ends_is_ended_with_its_children(bench: Any) -> None:
    run = bench.program("sh", "-c", "trap '' TERM; setsid sleep 300 & sleep 300; wait", timeout=0.5)
    assert run.reason is Reason.TIMEOUT
    assert bench.call("return 1").result == 1
    bench.pool.close()
    assert bench.processes() == []


def test_what_is_asked_to_end_says_why(bench: Any) -> None:
    soft, hard, waiting = (bench.task("work:hang") for _ in range(3))
    bench.write("import time\ndef hang(): time.sleep(300)\n")
    bench.submit(soft, hard)
    bench.wait_started(soft)
    bench.wait_started(hard)
    bench.submit(waiting)
    assert bench.pool.capacity(quick=False) == 0
    bench.pool.end([waiting.run_id, soft.run_id], Reason.INTERRUPTED)
    bench.pool.end([hard.run_id], Reason.INTERRUPTED, now=True)
    assert {run.reason for run in bench.finish(soft, hard, waiting)} == {Reason.INTERRUPTED}
    assert waiting.run_id not in bench.started
    bench.until(lambda: bench.pool.capacity(quick=False) == 2)


@pytest.mark.parametrize(
    "body",
    [
        "import subprocess; subprocess.Popen(['sleep', '300'])",
        "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: os.execvp('sleep', ['sleep', '300'])\n    os._exit(0)",
        "import subprocess; subprocess.Popen(['sh', '-c', \"trap '' TERM; sleep 300\"])",
    ],
)
def test_children_that_are_left_behind_are_ended_with_the_run(bench: Any, body: str) -> None:
    run = bench.call(body)
    assert run.reason is None
    asleep = [pid for pid in bench.processes() if _command(pid).startswith("sleep")]
    assert asleep == []
    assert "left behind" in bench.log(run)
    assert bench.call("return 1").result == 1


def test_a_crash_takes_the_daemons_along(bench: Any) -> None:
    run = bench.call(
        "import os, subprocess\nsubprocess.Popen(['setsid', 'sleep', '300'])\n"
        "subprocess.Popen(['sleep', '300'])\nos._exit(1)"
    )
    assert run.reason is Reason.CRASHED
    assert [pid for pid in bench.processes() if "sleep" in _command(pid)] == []


def test_a_crash_takes_children_along_that_have_another_environment(bench: Any) -> None:
    run = bench.call(
        "import os, subprocess, sys\n"
        "code = 'import sys, time; print(flush=True); time.sleep(300)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code, 'bare'], env={}, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\nos._exit(1)"
    )
    assert run.reason is Reason.CRASHED
    assert "bare" not in _command(int(bench.lines(run)[0]))


def test_a_forked_child_that_returns_is_not_a_second_worker(bench: Any) -> None:
    run = bench.call("import os\nif os.fork() == 0: return 'child'\nos.wait()\nreturn 'parent'")
    assert run.result == "parent"
    assert bench.call("return 1").result == 1


def test_threads_that_never_end_do_not_outlive_the_run(bench: Any) -> None:
    run = bench.call("import threading\nthreading.Thread(target=threading.Event().wait).start()")
    again = bench.call("return 1")
    assert (run.reason, again.result) == (None, 1)
    assert run.pid != again.pid


def test_a_flood_is_bounded_and_others_go_on(bench: Any) -> None:
    bench.write(
        "from itertools import count\nfrom pathlib import Path\n"
        "def flood():\n"
        "    for n in count():\n"
        "        print(f'{n:06}' + 'x' * 1000)\n"
        "        if n >= 60_000 and n % 1000 == 0 and Path('enough').exists(): break\n"
        "    print('the end')\n"
        "def quick(): return 1\n"
    )
    flood = bench.task("work:flood")
    bench.submit(flood)
    bench.wait_started(flood)
    others = [bench.run("work:quick") for _ in range(5)]
    assert [run.result for run in others] == [1] * 5
    assert flood.run_id not in bench.finished
    (bench.folder / "enough").touch()
    (run,) = bench.finish(flood)
    assert run.reason is None
    log = bench.log(run)
    assert len(log) < 1_000_000
    assert "000000x" in log
    assert "the end" in log
    assert "left out" in log
    assert sum(map(len, bench.lines(run))) < 600_000
    assert bench.lines(run)[-1].startswith("more output follows")


def test_odd_output_is_made_safe(bench: Any) -> None:
    run = bench.call(
        "import sys\nsys.stdout.buffer.write(b'[red] \\xff\\xfe \\x1b]0;t\\x07 \\x00\\nna\\xc3')\n"
        "sys.stdout.buffer.flush()\nsys.stdout.buffer.write(b'\\xafve\\r\\n10%\\r20%\\n\\nno end')"
    )
    shown = ["[red] \\xff\\xfe \\x1b]0;t\\x07 \\x00", "naïve", "10%", "20%", "", "no end"]
    assert bench.lines(run) == shown
    log = bench.log(run).splitlines()
    assert [line.partition("Z [job] ")[2] for line in log] == shown
    assert (bench.logs / "job" / f"{run.run_id}.log").stat().st_mode & 0o777 == 0o600


def test_a_quiet_run_has_no_log(bench: Any) -> None:
    run = bench.call("pass")
    assert not (bench.logs / "job" / f"{run.run_id}.log").exists()


def test_logging_goes_to_the_log_unless_the_job_says_otherwise(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    plain = "import logging\nlogging.getLogger('a.b').info('hello')\nlogging.debug('not this')"
    bench.write(
        "import logging\nlogging.basicConfig(format='own %(message)s')\ndef main(): logging.warning('hello')\n"
    )
    runs = [bench.call(plain), bench.run("work:main"), bench.call(plain), bench.run("work:main")]
    assert [bench.lines(run) for run in runs] == [["INFO a.b: hello"], ["own hello"]] * 2
    assert len({run.pid for run in runs}) == 1


def test_what_a_job_changes_does_not_reach_the_next(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    first = bench.call(
        "import os, signal, sys\nos.chdir('/'); os.environ.clear(); os.umask(0)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.alarm(1)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "sys.stdin = None; sys.stderr.close(); sys.stdout = object(); sys.path.clear()\n"
        "os.close(0); os.close(1); os.close(2)"
    )
    second = bench.call(
        "import os, signal, sys\nprint('out'); print('err', file=sys.stderr)\n"
        "mask = os.umask(0)\nreturn [os.getcwd(), 'PATH' in os.environ, mask,"
        " signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, signal.alarm(0),"
        " len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), os.read(0, 1) == b'', os.getcwd() in sys.path]"
    )
    umask = os.umask(0o022)
    os.umask(umask)
    assert first.pid == second.pid
    assert second.result == [str(bench.folder), True, umask, False, 0, 0, True, True]
    assert bench.lines(second) == ["out", "err"]


@pytest.mark.parametrize(
    "body",
    [
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))",
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (9, resource.RLIM_INFINITY))",
        "import os\nos.nice(1)",
    ],
)
def test_a_limit_that_a_job_sets_binds_no_other(make_bench: Any, body: str) -> None:
    bench = make_bench(workers=1)
    asked = "import os, resource\nreturn [os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_FSIZE)]"
    before = bench.call(asked)
    assert bench.call(body).pid == before.pid
    assert bench.call(asked).result == before.result


def test_output_that_does_not_block_is_put_right(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.call(
        "import os\nos.set_blocking(1, False)\ntry:\n    while True: os.write(1, b'x' * 65536)\nexcept BlockingIOError: pass"
    )
    run = bench.call("for n in range(2000): print('y' * 100)\nreturn 1")
    assert run.result == 1
    assert bench.lines(run) == ["y" * 100] * 2000


def test_a_worker_that_cannot_start_fails_its_tasks_with_the_reason(make_bench: Any) -> None:
    bench = make_bench()
    bench.folder.rename(bench.folder.with_name("gone"))
    run = bench.run("work:main")
    assert run.reason is Reason.CRASHED
    assert "no worker could be started: no such file or directory" in run.error


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextmanager
def no_more_files() -> Iterator[None]:
    """As many descriptors as this process has open now, and no more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_no_further_worker_can_start_its_task_waits_for_another(make_bench: Any) -> None:
    bench = make_bench(workers=2)
    bench.write(
        "import os, time\ndef slow():\n    while not os.path.exists('go'): time.sleep(0.02)\ndef quick(): return 1\n"
    )
    slow, quick = bench.task("work:slow"), bench.task("work:quick")
    bench.submit(slow)
    bench.wait_started(slow)
    before = open_files()
    with no_more_files():
        bench.submit(quick)
        for _ in range(3):
            bench.poll(0.1)
        (bench.folder / "go").mkdir()  # that takes no descriptor
        assert bench.finish(slow)[0].reason is None
    assert open_files() <= before, "nothing is left of what could not be opened"
    assert bench.finish(quick)[0].result == 1


def test_where_no_worker_can_start_its_task_fails_with_the_reason(make_bench: Any) -> None:
    bench = make_bench()
    task = bench.task("work:any")
    with no_more_files():
        bench.submit(task)
    assert bench.finish(task)[0].error == "no worker could be started: too many open files"


def test_a_log_that_cannot_be_written_hurts_nothing(bench: Any) -> None:
    bench.logs.parent.mkdir()
    bench.logs.write_text("a file where the folder should be")
    run = bench.call("print('hello')\nreturn 1")
    assert run.result == 1
    assert bench.lines(run)[0] == "hello"
    assert "could not be kept" in bench.lines(run)[-1]


def test_workers_end_when_their_scheduler_is_killed(bench: Any) -> None:
    bench.write(
        "import subprocess, threading\ndef main():\n    subprocess.Popen(['setsid', 'sleep', '300'])\n"
        "    print('going', flush=True)\n    threading.Event().wait()\n"
    )
    script = f"""
import os
from datetime import timedelta
from pathlib import Path
from jobctl.execution.pool import WorkerPool
from jobctl.execution.tasks import Task, TaskOutput
pool = WorkerPool(workers=2, project=Path({str(bench.folder)!r}), environment=dict(os.environ),
                  owner_id={bench.owner!r}, logs=Path({str(bench.logs)!r}))
pool.submit([Task('r1', 'job', 'work:main', timedelta(60)), Task('r2', 'job', 'work:main', timedelta(60))])
seen = 0
while seen < 2:
    seen += sum(isinstance(one, TaskOutput) for one in pool.poll(1))
print('running', flush=True)
pool.poll(60)
while True: pool.poll(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"running\n"
            bench.until(lambda: len(bench.processes()) == 4)  # two workers, two daemons
        finally:
            parent.kill()
    bench.until(lambda: bench.processes() == [])


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_a_worker_that_never_comes_up_is_given_up(make_bench: Any) -> None:
    bench = make_bench(start_limit=0.3, environment={"PYTHONPATH": "hanging"})
    (bench.folder / "hanging").mkdir()
    bench.write("import threading; threading.Event().wait()", "hanging/sitecustomize.py")
    run = bench.run("work:main")
    assert run.reason is Reason.CRASHED
    assert run.error == "no worker could be started: it was not ready after 0.3 seconds"


def test_a_command_that_is_too_long_is_reported(bench: Any) -> None:
    run = bench.program("true", "x" * 300_000)
    assert (run.reason, run.error, run.retry) == (Reason.ERROR, "the command is longer than 192 KiB", False)
    assert bench.program("true", "x" * 100_000).reason is None


def test_a_job_that_closes_everything_is_not_waited_for(bench: Any) -> None:
    run = bench.call("import os, threading\nos.closerange(3, 400)\nthreading.Event().wait()", timeout=50)
    assert run.reason is Reason.CRASHED
    assert "closed the pipe that it reports its result through" in run.error


def test_ending_a_waiting_task_leaves_the_one_before_it_alone(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write("import time\ndef main(): time.sleep(0.5)\n")
    first, second, third = (bench.task("work:main", quick=True) for _ in range(3))
    bench.submit(first, second, third)
    bench.wait_started(first)
    bench.pool.end([second.run_id], Reason.INTERRUPTED)
    reasons = [run.reason for run in bench.finish(first, second, third)]
    assert reasons == [None, Reason.INTERRUPTED, None]
    assert second.run_id not in bench.started
