"""Calls a job's function, or runs its program, inside a worker, and describes the result."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from jobctl.execution.messages import SUCCESS, CallResult

MAX_ERROR = 2000
"""Characters of an error that are shown."""
LARGEST_ERROR = 64 * 1024
"""Characters of an error that a worker reports: unmasked, since it does not know the secrets."""
MAX_RESULT = 1024 * 1024
MAX_DEPTH = 100
_MACHINERY = {"asyncio", "importlib", "_frozen_importlib", "_frozen_importlib_external"}

_NOTHING = nullcontext()


def call(
    target: str | Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    trace: bool = True,
    importing: AbstractContextManager[None] = _NOTHING,
) -> CallResult:
    """Run a function, named by its import path or itself; never raises.

    Args:
        arguments: JSON values; each becomes what its type hint asks for.
        trace: print an error's traceback to standard error.
        importing: entered around the import.
    """
    began = time.monotonic()
    try:
        with importing:
            function = _resolve(target) if isinstance(target, str) else target
        if arguments or _needs_arguments(function):
            from jobctl.signature import build

            arguments = build(function, arguments)
        value = function(**arguments)
        if hasattr(value, "__await__"):
            value = _await(value)
    except SystemExit as leaving:
        if leaving.code in {None, 0}:
            return SUCCESS
        if isinstance(leaving.code, str):
            return failure(leaving.code)
        return failure(f"exited with code {leaving.code}")
    except BaseException as error:
        if trace:
            _show_traceback(error)
        return failure(_described(error), retry=_may_retry(error))
    return _returned(value, round((time.monotonic() - began) * 1000))


def run_command(argv: list[str], memory_mib: int | None = None) -> CallResult:
    """Run a program, with the worker's output; never raises. A program that a signal killed has crashed."""
    import subprocess

    before_exec = None  # in the program's own process, so that what it starts is limited too
    if memory_mib is not None:
        from functools import partial

        from jobctl.memory_limit import bound

        before_exec = partial(bound, memory_mib)
    try:
        code = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, preexec_fn=before_exec).returncode
    except OSError as error:
        return failure(
            f'"{argv[0]}" cannot be started: {(error.strerror or str(error)).lower()}', retry=False
        )
    if code < 0:
        from jobctl.execution.process_tree import signal_name

        return failure(f'"{argv[0]}" was killed by signal {signal_name(-code)}', reason="crashed")
    return failure(f'"{argv[0]}" exited with code {code}') if code else SUCCESS


def write_line(text: str) -> None:
    """Write a line to the run's log, if standard error still works after the job."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")


def _resolve(target: str) -> Callable[..., Any]:
    module_name, _, path = target.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        from importlib import import_module

        module = import_module(module_name)
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            from jobctl.errors import PermanentJobError
            from jobctl.text import nearest

            near = nearest(name, [other for other in dir(found) if not other.startswith("_")])
            hint = f'; did you mean "{near}"?' if near else ""
            raise PermanentJobError(f'module {module_name} has no function "{path}"{hint}')
        found = getattr(found, name)
    if not callable(found):
        from jobctl.errors import PermanentJobError

        raise PermanentJobError(f"{target} is no function, but {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def _needs_arguments(function: Callable[..., Any]) -> bool:
    """Whether it has parameters without a default, as far as its code says; cheap, since every run asks."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    defaults = len(getattr(function, "__defaults__", None) or ()) + len(
        getattr(function, "__kwdefaults__", None) or ()
    )
    return bool(code.co_argcount + code.co_kwonlyargcount > defaults)


def _await(value: Any) -> Any:
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _returned(value: Any, took_ms: int) -> CallResult:
    """The result of a function that returned: its value where that is JSON; a failure where the value is one.

    Args:
        took_ms: the duration of a ``JobResult`` that has none.
    """
    if value is None:
        return SUCCESS
    import json

    failed, retry = None, True
    if type(value).__name__ == "JobResult" and type(value).__module__ == "jobctl.model":
        try:
            failed, retry = None if value.success else _why(value), value.retry
            value = _result_fields(value, took_ms)
        except Exception as error:
            return failure(f"the job returned a JobResult that cannot be read: {_described(error)}")
    problem = None
    try:
        size = len(json.dumps(value, allow_nan=False))
        if size > MAX_RESULT:
            problem = f"{size:,} bytes are more than {MAX_RESULT:,}"
        elif _deeper(value, MAX_DEPTH):
            problem = f"it is nested more than {MAX_DEPTH} levels deep"
    except (TypeError, ValueError, RecursionError) as error:
        problem = _described(error)
    if problem:
        write_line(f"the returned {type(value).__name__} was not kept: {problem}")
        value = None
    return failure(failed, result=value, retry=retry) if failed else CallResult(result=value)


def _why(result: Any) -> str:
    return str(result.message or "; ".join(result.errors[:3]) or "the job said that it failed")


def _deeper(value: Any, levels: int) -> bool:
    """Whether a JSON value is nested more than so many levels: everything that reads it recurses."""
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(item, levels - 1) for item in value.values())
    if isinstance(value, list | tuple):
        return levels == 0 or any(_deeper(item, levels - 1) for item in value)
    return False


def _may_retry(error: BaseException) -> bool:
    """Whether another attempt may help after this error: unless its ``retry`` is False."""
    try:
        return getattr(error, "retry", True) is not False
    except Exception:
        return True


def _result_fields(result: Any, took_ms: int) -> dict[str, Any]:
    duration = result.duration
    return {
        "success": result.success,
        "processed": result.processed,
        "successful": result.successful,
        "failed": result.failed,
        "errors": list(result.errors),
        "duration_ms": took_ms if duration is None else round(duration.total_seconds() * 1000),
        "message": result.message,
        "details": dict(result.details),
    }


def _described(error: BaseException) -> str:
    """``ValueError: no luck``, or the sentence alone for an error of jobctl."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    name = type(error).__name__
    if any(base.__name__ == "JobctlError" for base in type(error).__mro__) and text.strip():
        return text
    return f"{name}: {text}" if text.strip() else name


def _show_traceback(error: BaseException) -> None:
    """Write it to the run's log, from the first frame of the job's own code, and never with local variables."""
    if any(base.__name__ == "JobctlError" for base in type(error).__mro__):
        hint = getattr(error, "hint", None)
        write_line(f"error: {_described(error)}" + (f"\nhint:  {hint}" if hint else ""))
        return
    import traceback

    try:
        frames = error.__traceback__
        while frames is not None and _is_ours(frames.tb_frame.f_globals.get("__name__", "")):
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames, limit=50)
    except Exception:
        write_line(_described(error))


def _is_ours(module: str) -> bool:
    """Whether a frame of this module only calls the job, or imports it."""
    return module == __name__ or module.partition(".")[0] in _MACHINERY


def failure(error: str, *, result: Any = None, retry: bool = True, reason: str = "error") -> CallResult:
    """The result of a call that failed."""
    return CallResult(reason, error[:LARGEST_ERROR], result, retry)
