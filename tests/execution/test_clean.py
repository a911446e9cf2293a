"""A warm worker is clean: no run finds what another one has set in their process."""

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from jobctl.model import Reason

STATE = {
    "time zone": ("os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.strftime('%z')"),
    "time zone without its variable": (
        "os.environ['TZ'] = 'Asia/Tokyo'; time.mktime(time.localtime()); del os.environ['TZ']",
        "time.strftime('%H%z', time.localtime(0))",
    ),
    "locale": ("locale.setlocale(locale.LC_ALL, 'C')", "locale.setlocale(locale.LC_ALL)"),
    "signal": ("signal.signal(signal.SIGPIPE, signal.SIG_DFL)", "str(signal.getsignal(signal.SIGPIPE))"),
    "signal ignored by C code": ("ctypes.CDLL(None).signal(signal.SIGCHLD, 1)", "subprocess.run(['false']).returncode"),
    "variable set by C code": ("ctypes.CDLL(None).setenv(b'LEFT', b'1', 1)", "subprocess.check_output(['env'], text=True).count('LEFT=')"),
    "variable beside the known ones": ("os.putenv('LEFT', '1')", "subprocess.check_output(['env'], text=True).count('LEFT=')"),
    "rights given up": ("ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)", "open('/proc/self/status').read().count('NoNewPrivs:\\t1')"),
    "harmless signal": ("signal.signal(signal.SIGUSR2, print)", "signal.getsignal(signal.SIGUSR2) is print"),
    "signal mask": ("signal.pthread_sigmask(0, {signal.SIGUSR1})", "len(signal.pthread_sigmask(0, ()))"),
    "timer": ("signal.setitimer(signal.ITIMER_PROF, 100)", "signal.getitimer(signal.ITIMER_PROF)"),
    "wakeup": ("fd = os.open('/dev/zero', os.O_WRONLY | os.O_NONBLOCK); signal.set_wakeup_fd(fd)", "signal.set_wakeup_fd(-1)"),
    "socket timeout": ("socket.setdefaulttimeout(0.5)", "socket.getdefaulttimeout()"),
    "sockets": ("socket.socket = type('other', (socket.socket,), {})", "socket.socket.__qualname__"),
    "TLS": ("ssl._create_default_https_context = ssl._create_unverified_context", "ssl._create_default_https_context().verify_mode.name"),
    "proxy": ("urllib.request.install_opener(urllib.request.OpenerDirector())", "urllib.request._opener is None"),
    "decimal": ("decimal.getcontext().prec = 3", "decimal.getcontext().prec"),
    "decimal default": ("decimal.DefaultContext.prec = 3", "decimal.Context().prec"),
    "context variable": ("numbers.VAR = contextvars.ContextVar('VAR'); numbers.VAR.set(1)", "numbers.VAR.get(None) if hasattr(numbers, 'VAR') else None"),
    "warnings": ("warnings.simplefilter('error'); warnings.showwarning = print", "[len(warnings.filters), warnings.filters[0][0], warnings.showwarning is print]"),
    "captured warnings": ("logging.captureWarnings(True)", "warnings.showwarning.__module__"),
    "recursion": ("sys.setrecursionlimit(300)", "sys.getrecursionlimit()"),
    "digits": ("sys.set_int_max_str_digits(0)", "sys.get_int_max_str_digits()"),
    "thread switches": ("sys.setswitchinterval(1)", "sys.getswitchinterval()"),
    "stack size": ("threading.stack_size(1 << 20)", "threading.stack_size()"),
    "umask": ("os.umask(0)", "os.umask(0o22)"),
    "soft limit": ("resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))", "resource.getrlimit(resource.RLIMIT_CORE)"),
    "rare limit": ("resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))", "resource.getrlimit(resource.RLIMIT_MEMLOCK)"),
    "processors": ("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])", "len(os.sched_getaffinity(0))"),
    "folder": ("os.chdir('/')", "os.getcwd()"),
    "path": ("sys.path = sys.path[:1]", "len(sys.path)"),
    "words": ("sys.argv[:] = ['x', '--drop']", "sys.argv"),
    "other variables": ("os.environ = {'LEFT': '1'}", "sorted(os.environ)"),
    "variables": ("os.environ['LEFT'] = '1'; os.unsetenv('PATH')", "[os.environ.get('LEFT'), 'PATH' in os.environ]"),
    "logging": ("logging.getLogger().handlers.clear(); logging.getLogger().setLevel(50)", "[logging.getLogger().level, len(logging.getLogger().handlers)]"),
    "logging off": ("logging.disable(logging.CRITICAL)", "logging.root.manager.disable"),
    "loggers off": (
        "logging.getLogger('mine'); logging.config.dictConfig({'version': 1})",
        "logging.getLogger('mine').disabled",
    ),
    "hooks": ("sys.excepthook = sys.displayhook = threading.excepthook = print", "[hook is print for hook in (sys.excepthook, sys.displayhook, threading.excepthook)]"),
    "tracebacks": ("sys.tracebacklimit = 0", "getattr(sys, 'tracebacklimit', 1000)"),
    "bytecode": ("sys.dont_write_bytecode = not sys.dont_write_bytecode", "sys.dont_write_bytecode"),
    "tracing": ("sys.setprofile(lambda *_: None); threading.settrace(lambda *_: None)", "[sys.getprofile(), threading.gettrace()]"),
    "builtins": ("builtins.open = builtins.extra = print", "[open is print, hasattr(builtins, 'extra')]"),
    "start method": ("multiprocessing.set_start_method('spawn')", "multiprocessing.get_start_method(allow_none=True)"),
    "finders": ("sys.meta_path.clear()", "len(sys.meta_path)"),
    "garbage": ("gc.disable(); gc.set_threshold(1)", "[gc.isenabled(), gc.get_threshold()]"),
    "faults": ("faulthandler.enable()", "faulthandler.is_enabled()"),
    "event loop": ("asyncio.set_event_loop_policy(type('Mine', (asyncio.DefaultEventLoopPolicy,), {})())", "type(asyncio.get_event_loop_policy()).__name__"),
}  # fmt: skip
IMPORTS = (
    "import asyncio, builtins, contextvars, ctypes, decimal, faulthandler, gc, locale, logging.config, multiprocessing, numbers, os, random\n"
    "import resource, signal, socket, ssl, subprocess, sys, threading, time, urllib.request, warnings\n"
)


def code(change: str, seen: str) -> str:
    return f"{IMPORTS}def look():\n    return {seen}\ndef change():\n    {change}\n"


@pytest.fixture
def warm(make_bench: Callable[..., Any]) -> Any:
    """A bench whose one worker has its own time zone, and a locale that is not the plain one."""
    return make_bench(workers=1, environment={"TZ": "UTC", "LC_ALL": "C.UTF-8"})


@pytest.mark.parametrize("name", STATE)
def test_what_a_job_sets_the_next_does_not_find(warm: Any, name: str) -> None:
    warm.write(code(*STATE[name]))
    before = warm.run("work:look")
    changed = warm.run("work:change")

    after = warm.run("work:look")

    assert (changed.reason, after.reason) == (None, None), (changed.error, after.error)
    assert after.result == before.result


def test_one_worker_goes_on_where_putting_back_is_sure(warm: Any) -> None:
    sure = (
        "signal", "socket timeout", "decimal", "warnings", "recursion", "umask", "folder", "variables", "hooks", "locale",
        "logging off", "garbage", "builtins",
    )  # fmt: skip
    for number, name in enumerate(sure):
        warm.write(code(*STATE[name]), f"work{number}.py")

    assert len({warm.run(f"work{number}:change").pid for number in range(len(sure))}) == 1


def test_a_thread_of_one_run_prints_into_no_other(warm: Any) -> None:
    warm.write(
        "import threading, os\ndef leave():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\ndef look(): pass\n"
    )

    assert warm.run("work:leave").pid != warm.run("work:look").pid


def test_what_c_code_prints_is_in_the_log_of_its_run(warm: Any) -> None:
    warm.write(
        "import ctypes\ndef c(): ctypes.CDLL(None).printf(b'by C\\n')\ndef look(): print('by Python')\n"
    )
    runs = [warm.run(f"work:{name}") for name in ("c", "look")]

    assert [warm.lines(run) for run in runs] == [["by C"], ["by Python"]]
    assert runs[0].pid == runs[1].pid


def test_random_numbers_of_a_run_do_not_follow_from_the_last(warm: Any) -> None:
    warm.write("import random\ndef look(): return random.random()\ndef change(): random.seed(1)\n")
    found = []
    for _ in range(2):
        warm.run("work:change")
        found.append(warm.run("work:look").result)

    assert found[0] != found[1]


@pytest.mark.faults
def test_a_dump_that_a_job_has_asked_for_ends_no_other_run(warm: Any) -> None:
    warm.call("import faulthandler\nfaulthandler.dump_traceback_later(0.3, exit=True)")

    run = warm.call("import time\ntime.sleep(1)\nreturn 1")

    assert (run.reason, run.result) == (None, 1)


def test_what_the_import_of_a_module_sets_its_jobs_find_in_each_run_and_no_others(warm: Any) -> None:
    own = """
        import decimal, os, signal, socket, sys, time, warnings
        os.environ["TZ"] = "Asia/Tokyo"; time.tzset(); os.environ["MINE"] = "1"
        socket.setdefaulttimeout(30); decimal.getcontext().prec = 50; sys.setrecursionlimit(2345)
        warnings.filterwarnings("ignore", "mine"); sys.path.append("/mine"); signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    """
    seen = """
        import decimal, os, signal, socket, sys, time, warnings
        def look():
            own = any("mine" in str(one[1]) for one in warnings.filters), signal.getsignal(signal.SIGPIPE).name
            return [
                time.strftime("%z"), os.environ.get("MINE"), socket.getdefaulttimeout(), decimal.getcontext().prec,
                sys.getrecursionlimit(), "/mine" in sys.path, os.environ.get("ONCE"), *own,
            ]
    """
    warm.write(textwrap.dedent(own) + textwrap.dedent(seen), "mine.py")
    warm.write(textwrap.dedent(seen), "plain.py")
    warm.run("plain:look")

    once = warm.run("mine:look", environment={"ONCE": "1"})
    runs = [warm.run(f"{module}:look") for module in ("plain", "mine", "plain", "mine")]

    changed = ["+0900", "1", 30, 50, 2345, True]
    untouched = ["+0000", None, None, 28, 1000, False]
    assert once.result == [*changed, "1", True, "SIG_DFL"]
    assert [run.result for run in runs] == 2 * [
        [*untouched, None, False, "SIG_IGN"],
        [*changed, None, True, "SIG_DFL"],
    ]
    assert len({run.pid for run in (once, *runs)}) == 1


def test_what_a_library_sets_once_in_a_call_is_set_in_each_run(warm: Any) -> None:
    warm.write("import os, time\nos.environ['TZ'] = 'Asia/Tokyo'; time.tzset()\n", "framework.py")
    warm.write("import time\ndef look():\n    import framework\n    return time.strftime('%z')\n")

    assert [warm.run("work:look").result for _ in range(3)] == ["+0900"] * 3


@pytest.mark.parametrize("use", ["import common", "from common import setting", "import package.second"])
def test_what_modules_have_in_common_sets_it_for_each_of_them(warm: Any, use: str) -> None:
    common = (
        "import os, socket\nsocket.setdefaulttimeout(30); os.environ['COMMON'] = '1'\ndef setting(): pass\n"
    )
    look = "import os, socket\ndef look(): return [socket.getdefaulttimeout(), os.environ.get('COMMON')]\n"
    warm.write(common, "common.py")
    (warm.folder / "package").mkdir()
    warm.write(common, "package/__init__.py")
    warm.write("", "package/second.py")
    warm.write(f"import package, common\n{look}", "first.py")
    warm.write(f"{use}\n{look}", "second.py")
    warm.write(look, "other.py")

    runs = [warm.run(f"{module}:look") for module in ("first", "second", "other", "second", "first")]

    assert [run.result for run in runs] == [[30, "1"], [30, "1"], [None, None], [30, "1"], [30, "1"]]
    assert len({run.pid for run in runs}) == 1


def test_a_decimal_context_that_a_module_sets_is_not_changed_by_its_calls(warm: Any) -> None:
    warm.write(
        "import decimal\ndecimal.getcontext().prec = 50\n"
        "def look(): return decimal.getcontext().prec\ndef change(): decimal.getcontext().prec = 3\n"
    )
    assert [warm.run(f"work:{name}").result for name in ("look", "change", "look")] == [50, None, 50]


def test_what_a_run_changes_beneath_python_the_next_does_not_find(warm: Any) -> None:
    """The function of the C library was found in an earlier run: calling it raises no audit event."""
    warm.write(
        "import ctypes, resource\n"
        "def look(): return resource.getrlimit(resource.RLIMIT_CORE)\n"
        "def find():\n    global set_limit\n    set_limit = ctypes.CDLL(None).setrlimit\n"
        "def change():\n"
        "    hard = look()[1] % (1 << 64)\n"
        "    set_limit(resource.RLIMIT_CORE, (ctypes.c_ulong * 2)(7, hard))\n"
        "    return look()[0]\n"
    )
    before = warm.run("work:look").result
    warm.run("work:find")

    assert before[0] != 7
    assert warm.run("work:change").result == 7
    assert warm.run("work:look").result == before


@pytest.mark.faults
def test_a_state_that_cannot_be_put_back_costs_the_worker_and_no_run(warm: Any) -> None:
    broken = warm.call(
        "import builtins, logging, sys, time, warnings\n"
        "def refuse(*_, **__): raise RuntimeError('no')\n"
        "warnings.resetwarnings = time.tzset = refuse; warnings.simplefilter('error'); del sys.modules['logging']"
    )
    after = warm.call("import warnings\nreturn warnings.filters[0][0]")

    assert (broken.reason, after.reason) == (None, None)
    assert after.pid != broken.pid
    assert after.result != "error"


@pytest.mark.slow
def test_a_worker_ends_what_pythons_own_pools_leave_and_goes_on(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write(
        "import concurrent.futures, multiprocessing\n"
        "def pool(how):\n"
        "    context = multiprocessing.get_context(how)\n"
        "    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as made:\n"
        "        return list(made.map(abs, [-1]))\n"
    )
    runs = [bench.run("work:pool", arguments={"how": how}) for how in ("spawn", "forkserver") * 2]

    assert [run.result for run in runs] == [[1]] * 4
    assert [bench.lines(run) for run in runs] == [[]] * 4
    assert len({run.pid for run in runs}) == 1
    assert bench.processes() == [runs[0].pid]


@pytest.mark.faults
def test_what_a_job_leaves_in_a_pool_is_ended_with_pythons_own_processes(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write(
        "import multiprocessing, time\n"
        "def leave():\n"
        "    for how in ('spawn', 'forkserver'):\n"
        "        multiprocessing.get_context(how).Process(target=time.sleep, args=(300,)).start()\n"
    )
    run = bench.run("work:leave")

    assert run.reason is not Reason.CRASHED
    assert bench.lines(run) == ["ended 2 processes that the job left behind"]
    bench.until(lambda: bench.processes() == [])


@pytest.mark.slow
def test_what_a_module_shares_with_its_processes_is_released_without_a_warning(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write(
        "import multiprocessing\n"
        "context = multiprocessing.get_context('spawn')\n"
        "lock = context.Lock()\n"
        "def enter(lock):\n    lock.acquire()\n    lock.release()\n"
        "def share():\n"
        "    cycle = [context.Event()]\n    cycle.append(cycle)\n"
        "    child = context.Process(target=enter, args=(lock,))\n"
        "    child.start()\n    child.join()\n    return child.exitcode\n"
    )
    runs = [bench.run("work:share") for _ in range(2)]

    assert [run.result for run in runs] == [0, 0]
    assert [bench.lines(run) for run in runs] == [[], []]


def test_what_the_worker_reads_by_c_code_counts_as_no_call_of_the_job(warm: Any) -> None:
    """Else all would be read after each run."""
    warm.write("def look(): pass\n")
    warm.write(
        "import gc\nfrom jobctl.execution.worker_state import WorkerState\ndef look():\n"
        "    (state,) = [found for found in gc.get_objects() if isinstance(found, WorkerState)]\n"
        "    return state._audit.is_foreign\n",
        "other.py",
    )
    warm.run("work:look")

    assert warm.run("other:look").result is False
