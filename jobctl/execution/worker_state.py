"""Restores after each run what a job may change in its worker's process.

``_ITEMS`` lists the state that a process has only once. After a run each item is compared with its value when
the worker began, and restored. Where that is not possible or not certain, the worker runs no more tasks. What is
slow to read is read only where Python's audit events say that it may have changed.

What the import of a job's module sets belongs to that module, which is imported once: it is set again before each
run of its jobs. What a call sets is undone. Values of context variables, such as the decimal context, end with
their run too. What code keeps in modules (caches, registered types) stays, as in any Python process.
"""

import _imp
import _locale  # locale itself loads much more
import _signal  # type: ignore[import-not-found]  # signal itself makes an enum's member of each number
import builtins
import faulthandler
import gc
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import Context, copy_context
from functools import cache
from itertools import takewhile
from types import ModuleType
from typing import Any, NamedTuple

_NOTHING = nullcontext()
RETIRE_GROWTH = 512 * 1024  # KiB of peak memory above the start
_GROWTH_TAKES_S = 0.01  # a shorter run cannot grow by as much
_GROWTH_CHECK = 64  # but many of them can
_SIGNALS = sorted(_signal.valid_signals())
_TIMERS = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})
_CHANGES = ("os.putenv", "os.unsetenv", "resource.setrlimit", "resource.prlimit")
_FOREIGN_CALLS = (
    "ctypes.addressof",
    "ctypes.call_function",
    "ctypes.cdata",
    "ctypes.dlopen",
    "ctypes.dlsym",
    "ctypes.dlsym/handle",
    "sqlite3.load_extension",
)
_EVENTS = (*_CHANGES, *_FOREIGN_CALLS, "import")
_STATUS = (b"SigBlk:", b"SigIgn:", b"SigCgt:", b"NoNewPrivs:")
_SIGNALS_OF_C = 0b11 << 31  # 32 and 33: the C library catches them from the first thread on
_ENVIRON = os.environ
_VARIABLES: dict[Any, Any] = vars(os.environ).get("_data", os.environ)  # compares without decoding each
_FUNCTIONS = (
    ("socket", "socket", "socket"),
    ("socket", "create_connection", "create_connection"),
    ("socket", "getaddrinfo", "getaddrinfo"),
    ("ssl", "_create_default_https_context", "create_default_context"),
    ("time", "sleep", "sleep"),
)
_CACHED = (
    ("asyncio.events", "_event_loop_policy"),  # with the loop that it holds
    ("urllib.request", "_opener"),  # with its proxies and passwords
)
_FINDERS = (*sys.meta_path, *sys.path_hooks)
_DECIMAL = (
    "Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, flags=[],"
    " traps=[InvalidOperation, DivisionByZero, Overflow])"
)


class _Item(NamedTuple):
    """One piece of state.

    Attributes:
        write: restores a value; None where that is impossible.
        is_set_once: libraries set it at their first use only, so a worker in which a call set it is not used again.
        is_audited: Python raises an audit event when it is set, so without one it is not read.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    is_set_once: bool = False
    is_audited: bool = False


def _values(*settings: tuple[Callable[[], Any], Callable[[Any], object]]) -> _Item:
    """Several settings, each with a function that reads it and one that sets it."""
    readers = [read for read, _ in settings]

    def write(values: Iterable[Any]) -> None:
        for (_, setter), value in zip(settings, values, strict=True):
            setter(value)

    return _Item(lambda: [read() for read in readers], write)


def _set_attributes(values: Iterable[Any]) -> None:
    threading.excepthook, sys.excepthook, sys.displayhook, sys.unraisablehook, sys.breakpointhook, *rest = (
        values
    )
    sys.dont_write_bytecode, sys.tracebacklimit = rest


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_environment(variables: Mapping[Any, Any]) -> None:
    os.environ.clear()
    _add_variables(variables)


def _add_variables(variables: Mapping[Any, Any]) -> None:
    for name, value in variables.items():
        os.environ[os.fsdecode(name)] = os.fsdecode(value)


def _set_builtins(names: Mapping[str, Any]) -> None:
    known = vars(builtins)
    known.update(names)
    for name in known.keys() - names.keys():
        del known[name]


def _warnings() -> list[Any]:
    return [warnings.showwarning, *warnings.filters]


def _set_warnings(shown_by_and_filters: list[Any]) -> None:
    sys.modules["logging"].captureWarnings(False)
    warnings.showwarning, *filters = shown_by_and_filters
    warnings.resetwarnings()  # makes Python forget what it has found by the former filters
    warnings.filters[:] = filters  # type: ignore[index]


def _handlers() -> list[Any]:
    return list(map(_signal.getsignal, _SIGNALS))


def _set_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        if _signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _socket_timeout() -> float | None:
    module = sys.modules.get("_socket")
    return None if module is None else module.getdefaulttimeout()


def _set_socket_timeout(seconds: float | None) -> None:
    sys.modules["_socket"].setdefaulttimeout(seconds)


def _replaced_functions() -> list[str]:
    """Those of the standard library that were replaced for all code, as proxies and test tools do."""
    return [
        attribute
        for name, attribute, original in _FUNCTIONS
        if (module := sys.modules.get(name)) is not None
        and ((function := getattr(module, attribute)).__module__, function.__qualname__) != (name, original)
    ]


def _missing_finders() -> list[str]:
    """Those of Python that no import uses any more; those that libraries add are fine."""
    return [
        str(finder) for finder in _FINDERS if finder not in sys.meta_path and finder not in sys.path_hooks
    ]


def _start_method() -> Any:
    """Of ``multiprocessing``, which accepts one only once."""
    context = getattr(sys.modules.get("multiprocessing.context"), "_default_context", None)
    return getattr(context, "_actual_context", None)


def _set_start_method(method: Any) -> None:
    setattr(sys.modules["multiprocessing.context"]._default_context, "_actual_context", method)  # noqa: B010, SLF001 - no public way


def _rights() -> tuple[Any, ...]:
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    owner = os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()
    return owner, os.getpriority(os.PRIO_PROCESS, 0), processors


def _dispositions() -> list[int]:
    """Which signals are ignored, caught or blocked, and which rights are left, also where C code has set that."""
    try:
        status = os.open("/proc/self/status", os.O_RDONLY)
    except OSError:
        return []
    text = os.read(status, 8192)
    os.close(status)
    fields = [text.partition(name)[2].split(None, 1)[0] for name in _STATUS if name in text]
    return [int(field, 16) & ~_SIGNALS_OF_C for field in fields]


def _variables_of_c() -> list[bytes]:
    """The variables that programs inherit, also those that C code or ``os.putenv`` has set."""
    entries = _environ_of_c()
    return sorted(takewhile(bool, entries)) if entries else []


@cache  # looked up before audit events count: the look-up raises some
def _environ_of_c() -> Any:
    if sys.platform != "linux":
        return ()
    import ctypes

    return ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")


@cache
def _library_of_c() -> Any:
    import ctypes

    return ctypes.CDLL(None)


_ITEMS = (
    _values(
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (sys.getswitchinterval, sys.setswitchinterval),
        (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        (threading.stack_size, threading.stack_size),
        (faulthandler.is_enabled, lambda on: faulthandler.enable(file=2) if on else faulthandler.disable()),
        (gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
        (gc.get_threshold, lambda thresholds: gc.set_threshold(*thresholds)),
        (gc.get_debug, gc.set_debug),
        (sys.gettrace, sys.settrace),
        (sys.getprofile, sys.setprofile),
        (threading.gettrace, threading.settrace),
        (threading.getprofile, threading.setprofile),
    ),
    _Item(lambda: vars(builtins), _set_builtins),
    _Item(
        lambda: (
            threading.excepthook,
            sys.excepthook,
            sys.displayhook,
            sys.unraisablehook,
            sys.breakpointhook,
            sys.dont_write_bytecode,
            # by get, as the error of a missing attribute takes longer than all others
            vars(sys).get("tracebacklimit", 1000),
        ),
        _set_attributes,
    ),
    _Item(lambda: sys.argv, lambda words: setattr(sys, "argv", list(words))),
    _Item(lambda: sys.path, lambda path: setattr(sys, "path", list(path))),
    _Item(lambda: os.environ is _ENVIRON, lambda _: setattr(os, "environ", _ENVIRON)),
    _Item(lambda: _VARIABLES, _set_environment),
    # the names and offsets that Python keeps; the C library's own follow the variable TZ in ``_reset``
    _Item(lambda: (time.tzname, time.timezone, time.altzone), lambda _: time.tzset(), is_set_once=True),
    _Item(lambda: _locale.setlocale(_locale.LC_ALL), lambda names: _locale.setlocale(_locale.LC_ALL, names)),
    _Item(os.getcwd, os.chdir),
    _Item(_umask, os.umask),
    _Item(_handlers, _set_handlers),
    _Item(
        lambda: _signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda mask: _signal.pthread_sigmask(signal.SIG_SETMASK, mask),
    ),
    _Item(_warnings, _set_warnings),
    _Item(_socket_timeout, _set_socket_timeout),
    _Item(lambda: str(getattr(sys.modules.get("decimal"), "DefaultContext", _DECIMAL)) == _DECIMAL),
    _Item(_replaced_functions),
    _Item(_missing_finders),
    _Item(_start_method, _set_start_method),
    _Item(_rights),
    _Item(_dispositions, lambda _: None, is_set_once=True, is_audited=True),
    _Item(_variables_of_c, lambda _: None, is_set_once=True, is_audited=True),
    _Item(lambda: list(map(resource.getrlimit, _LIMITS)), is_audited=True),
)


_ENVIRONMENT = next(number for number, item in enumerate(_ITEMS) if item.write is _set_environment)
_READ_ALWAYS = [number for number, item in enumerate(_ITEMS) if not item.is_audited]
_READERS = [_ITEMS[number].read for number in _READ_ALWAYS]


def _reset() -> None:
    """What has no value to compare: it is reset for each run."""
    faulthandler.cancel_dump_traceback_later()
    faulthandler.unregister(_signal.SIGUSR1)
    faulthandler.unregister(_signal.SIGUSR2)
    _signal.set_wakeup_fd(-1)
    if (random := sys.modules.get("random")) is not None:
        random.seed(int.from_bytes(os.urandom(16), "big"))  # in half the time that it takes without a value
    for module, name in _CACHED:
        if module in sys.modules:
            setattr(sys.modules[module], name, None)


def _read(item: _Item) -> Any:
    value = item.read()
    return value.copy() if isinstance(value, list | dict) else value


def _write(state: Mapping[int, Any], variables: Mapping[Any, Any]) -> None:
    _add_variables(variables)
    for number, value in state.items():
        if (write := _ITEMS[number].write) is not None:
            write(value)
    if variables:
        time.tzset()


def _uses(modules: Collection[str], others: Collection[str]) -> bool:
    """Whether modules refer to others, to something that these define, or lie in them."""
    if any(name.startswith(f"{other}.") for name in modules for other in others):
        return True
    values = [value for name in modules for value in vars(sys.modules.get(name, object)).values()]
    names = {
        getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
        for value in values
    }
    return not names.isdisjoint(others)


class _Imported(NamedTuple):
    """What the import of a job's module has set, by the numbers of the items, and which modules it has loaded."""

    state: dict[int, Any]
    variables: dict[Any, Any]
    modules: set[str]
    context: Context


class _Audit:
    """Whether what is not read after each run may have changed, by Python's audit events.

    Code that is not Python's raises none: once a job has called some, or imported an extension module, everything
    may have changed in any run.

    Attributes:
        is_foreign: whether such code may have run.
    """

    def __init__(self) -> None:
        self._not_seen = dict.fromkeys(_EVENTS)
        self._modules = set(sys.modules)
        self.is_foreign = any(map(_is_foreign, self._modules))
        # removes the name of each event: not a Python function, which would run, and could fail, inside the job
        sys.addaudithook(self._not_seen.pop)

    def may_have_changed(self) -> bool:
        """Whether something may have changed since the last call."""
        if len(self._not_seen) == len(_EVENTS):
            return self.is_foreign
        seen = [event for event in _EVENTS if event not in self._not_seen]
        self._not_seen.update(dict.fromkeys(_EVENTS))
        if "import" in seen:
            new = sys.modules.keys() - self._modules
            self._modules |= new
            self.is_foreign = self.is_foreign or any(map(_is_foreign, new))
        self.is_foreign = self.is_foreign or not set(seen).isdisjoint(_FOREIGN_CALLS)
        return self.is_foreign or seen != ["import"]


def _is_foreign(name: str) -> bool:
    """Whether a module is an extension that is not Python's own."""
    file = str(getattr(sys.modules.get(name), "__file__", None))
    return (
        file.endswith(tuple(_imp.extension_suffixes()))
        and name.partition(".")[0] not in sys.stdlib_module_names
    )


class WorkerState:
    """What a job may change and the next job must find unchanged."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._null = os.open(os.devnull, os.O_RDONLY)
        self._logging = Logging()
        self._streams = sys.stdin, sys.stdout, sys.stderr = _streams()
        self._clean = [_read(item) for item in _ITEMS]
        self._clean_always = [self._clean[number] for number in _READ_ALWAYS]
        self._audit = _Audit()
        self._runs = 0
        self._imported: dict[str, _Imported] = {}
        self._now: dict[int, Any] = {}
        self._peak = _peak_memory()

    def begin(self, task: str, module: str) -> Context:
        """Set the state of a task's module, and its logging; returns the context in which it runs."""
        self._logging.restore(task)
        imported = self._imported.get(module)
        if imported is None:
            self._now = {}
            return Context()
        self._now = imported.state
        _write(imported.state, imported.variables)
        context = imported.context.copy()
        if (decimal := sys.modules.get("decimal")) is not None:
            context.run(lambda: decimal.setcontext(decimal.getcontext().copy()))
        return context

    def importing(self, module: str) -> AbstractContextManager[None]:
        """Around the import of a task's module: what it sets is set again for its next runs."""
        return _NOTHING if module in self._imported else self._importing(module)

    @contextmanager
    def _importing(self, module: str) -> Iterator[None]:
        before, loaded = [_read(item) for item in _ITEMS], set(sys.modules)
        yield
        after, new = [_read(item) for item in _ITEMS], sys.modules.keys() - loaded
        state = {number: value for number, value in enumerate(after) if value != before[number]}
        former = before[_ENVIRONMENT].items()
        variables = dict(state.pop(_ENVIRONMENT, {}).items() - former)
        for (
            other
        ) in self._imported.values():  # a module that it uses may have set something when it was imported
            if (other.state or other.variables) and _uses({module, *new}, other.modules):
                state, variables = {**other.state, **state}, {**other.variables, **variables}
        _write(state, variables)
        own = {name for name in new if name.partition(".")[0] not in sys.stdlib_module_names}
        self._imported[module] = _Imported(state, variables, own, copy_context())
        self._now = state

    def restore(self, task: str, took: float) -> bool:
        """After a run: flush what it printed, and restore the state; False where that is not certain.

        Args:
            took: how long the run took, in seconds.
        """
        for timer in _TIMERS:
            _signal.setitimer(timer, 0)
        self._restore_files()
        for stream in (sys.stdout, sys.stderr, *self._streams[1:]):
            try:
                stream.flush()
            except Exception:
                self._streams = _streams()  # what it holds would come out in a later run
        sys.stdin, sys.stdout, sys.stderr = self._streams
        self._logging.keep(task)
        is_sure = True
        may_have_changed = self._audit.may_have_changed()
        if self._audit.is_foreign:
            _library_of_c().fflush(None)
        if may_have_changed or not self._is_clean():
            is_sure = self._restore_items()
        self._runs += 1
        with suppress(Exception):
            _reset()
            if took >= _GROWTH_TAKES_S or self._runs % _GROWTH_CHECK == 0:
                is_sure = is_sure and _peak_memory() - self._peak <= RETIRE_GROWTH
            return is_sure
        return False

    def _is_clean(self) -> bool:
        """Whether all that is read after each run is as it was when the worker began."""
        try:
            return [read() for read in _READERS] == self._clean_always
        except Exception:
            return False

    def _restore_items(self) -> bool:
        is_sure = True
        for number, (item, clean) in enumerate(zip(_ITEMS, self._clean, strict=True)):
            try:
                value = item.read()
                if value == clean:
                    continue
                if item.write is None or (item.is_set_once and value != self._now.get(number, clean)):
                    is_sure = False
                else:
                    item.write(clean)
            except Exception:
                is_sure = False
        with suppress(Exception):
            time.tzset()  # also where only the C library's own variables have changed
            self._audit.may_have_changed()  # by what was restored here
            return is_sure
        return False

    def _restore_files(self) -> None:
        if not os.get_blocking(self._output):
            os.set_blocking(self._output, True)
        os.dup2(self._null, 0)
        os.dup2(self._output, 1)
        os.dup2(self._output, 2)
        if any(stream.closed for stream in self._streams):
            self._streams = _streams()


class _SetUp(NamedTuple):
    """Settings of the root logger, and the loggers that a configuration has turned off."""

    handlers: list[Any]
    level: int
    disabled_below: int
    disabled: list[Any]


class Logging:
    """Log records from INFO up go to standard error, unless a job sets up logging itself.

    What a job sets up is its own: kept for its next run, for it may do so once, at import.
    """

    def __init__(self) -> None:
        self._set_up: dict[str, _SetUp] = {}
        self._root: Any = None
        self._ours = _SetUp([], 0, 0, [])

    def restore(self, task: str) -> None:
        """Logging as this task knows it."""
        if self._root is None:
            self._begin()
        wanted, now = self._set_up.get(task, self._ours), self._now()
        if now == wanted:
            return
        self._root.handlers[:] = wanted.handlers
        self._root.setLevel(wanted.level)
        self._root.manager.disable = wanted.disabled_below
        for logger in now.disabled:
            logger.disabled = False
        for logger in wanted.disabled:
            logger.disabled = True

    def keep(self, task: str) -> None:
        """Remember what the task has set up."""
        if (now := self._now()) != self._ours:
            self._set_up[task] = now

    def _now(self) -> "_SetUp":
        loggers = self._root.manager.loggerDict if "logging.config" in sys.modules else {}
        disabled = [logger for logger in loggers.values() if getattr(logger, "disabled", False)]
        return _SetUp(list(self._root.handlers), self._root.level, self._root.manager.disable, disabled)

    def _begin(self) -> None:
        import logging

        class ToStandardError(logging.StreamHandler[Any]):
            """Uses the current standard error for each record: a job may have closed the old one."""

            def emit(self, record: logging.LogRecord) -> None:
                self.stream = sys.stderr
                super().emit(record)

        ours = ToStandardError()
        ours.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._root, self._ours = logging.getLogger(), _SetUp([ours], logging.INFO, 0, [])
        basic_config = logging.basicConfig

        # basicConfig does nothing if the root logger has a handler, and logging has no hook for that: it is replaced
        def basic_config_of_a_job(**options: Any) -> None:
            self._root.removeHandler(ours)
            basic_config(**options)

        logging.basicConfig = basic_config_of_a_job


def _streams() -> tuple[Any, Any, Any]:
    """Standard input, output and error; their descriptors are not theirs to close."""
    said = {"encoding": "utf-8", "errors": "backslashreplace", "buffering": 1, "closefd": False}
    return open(0, encoding="utf-8", closefd=False), open(1, "w", **said), open(2, "w", **said)  # type: ignore[call-overload]


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
