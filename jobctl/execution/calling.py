"""Inside a worker: import a job's function, call it, and put what came of it into words."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

MAX_ERROR = 2000
"""Characters of an error that are shown."""
LARGEST_ERROR = 64 * 1024
"""Characters that a worker hands over: as they are, since a secret in them is not known yet."""
MAX_RESULT = 1024 * 1024
MAX_DEPTH = 100

Ending = dict[str, Any]
_NOTHING = nullcontext()


def call(
    target: str | Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    trace: bool = True,
    importing: AbstractContextManager[None] = _NOTHING,
) -> Ending:
    """Run a function, named by its import text or itself; never raises.

    The answer holds ``reason`` (None or ``error``), ``error``, ``result`` and ``retry``. With ``trace``
    an error's traceback goes to standard error. ``importing`` is around the import.
    """
    began = time.monotonic()
    try:
        with importing:
            function = _resolve(target) if isinstance(target, str) else target
        value = function(**arguments)
        if hasattr(value, "__await__"):
            value = _await(value)
    except SystemExit as leaving:
        if leaving.code in {None, 0}:
            return _ending()
        if isinstance(leaving.code, str):
            return failure(leaving.code)
        return failure(f"exited with code {leaving.code}")
    except BaseException as error:
        if trace:
            _show_traceback(error)
        return failure(_described(error), retry=_may_retry(error))
    return _returned(value, round((time.monotonic() - began) * 1000))


def run_command(argv: list[str], memory_mib: int | None = None) -> Ending:
    """Run a program; its output goes where the worker's goes. One that a signal killed has crashed. Never raises."""
    import subprocess

    before_exec = None  # so that nothing the program starts escapes the bound
    if memory_mib is not None:
        from functools import partial

        from jobctl.memory import bound

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
    return failure(f'"{argv[0]}" exited with code {code}') if code else _ending()


def say(text: str) -> None:
    """A line into the run's log, if the job has left standard error in a state to take it."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")


def _resolve(target: str) -> Callable[..., Any]:
    from importlib import import_module

    module_name, _, path = target.partition(":")
    module = import_module(module_name)
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            from jobctl.errors import PermanentJobError
            from jobctl.text import nearest

            near = nearest(name, [one for one in dir(found) if not one.startswith("_")])
            hint = f'; did you mean "{near}"?' if near else ""
            raise PermanentJobError(f'module {module_name} has no function "{path}"{hint}')
        found = getattr(found, name)
    if not callable(found):
        from jobctl.errors import PermanentJobError

        raise PermanentJobError(f"{target} is no function, but {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def _await(value: Any) -> Any:
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _returned(value: Any, took_ms: int) -> Ending:
    """What a function's value means: its result where that is JSON, a failure where it says so.

    ``took_ms`` is the duration of a ``JobResult`` that names none.
    """
    if value is None:
        return _ending()
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
        say(f"the returned {type(value).__name__} was not kept: {problem}")
        value = None
    return failure(failed, result=value, retry=retry) if failed else _ending(result=value)


def _why(result: Any) -> str:
    return str(result.message or "; ".join(result.errors[:3]) or "the job said that it failed")


def _deeper(value: Any, levels: int) -> bool:
    """Whether a JSON value is nested more than so many levels: each reader of it recurses."""
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value.values())
    if isinstance(value, list | tuple):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value)
    return False


def _may_retry(error: BaseException) -> bool:
    """Whether an error leaves it open that another attempt helps: unless its ``retry`` is False."""
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
    """``ValueError: no luck``, or the sentence alone where the error is one of ours."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    name = type(error).__name__
    if any(base.__name__ == "JobctlError" for base in type(error).__mro__) and text.strip():
        return text
    return f"{name}: {text}" if text.strip() else name


def _show_traceback(error: BaseException) -> None:
    """Into the run's log, without our own frames, and never with local variables."""
    if any(base.__name__ == "JobctlError" for base in type(error).__mro__):
        hint = getattr(error, "hint", None)
        say(f"error: {_described(error)}" + (f"\nhint:  {hint}" if hint else ""))
        return
    import traceback

    try:
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, frames, limit=50)
    except Exception:
        say(_described(error))


def _ending(*, result: Any = None) -> Ending:
    return {"reason": None, "error": None, "result": result, "retry": True}


def failure(error: str, *, result: Any = None, retry: bool = True, reason: str = "error") -> Ending:
    """How a call ended that did not go well."""
    return {"reason": reason, "error": error[:LARGEST_ERROR], "result": result, "retry": retry}
