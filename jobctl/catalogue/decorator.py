"""``@job``: a definition beside its function, in one of the project's ``modules``."""

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from jobctl.catalogue.job_keys import OPTIONS, JobOptions, build_job
from jobctl.durations import write_duration
from jobctl.errors import ConfigurationErrors, UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
ATTRIBUTE = "__jobctl_job__"
_DURATIONS = ("every", "timeout", "retry_delay", "jitter", "grace")


def job(id: str | None = None, **options: Unpack[JobOptions]) -> Callable[[Function], Function]:  # noqa: A002
    """Make a module's function a job. The function itself is unchanged.

    Args:
        id: ``kebab-case``; by default the function's name with dashes.
        options: the keys of a job in ``jobctl.toml``, except ``call`` and ``command``: ``name``, ``every``, ``cron``,
            ``timezone``, ``exclude``, ``after``, ``timeout``, ``retries``, ``retry_delay``, ``catch_up``, ``catch_up_limit``,
            ``expect``, ``ignore_warnings``, ``enabled``, ``jitter``, ``overlap``, ``group``, ``grace``, ``environment``, ``arguments``, ``folder``, ``needs``, ``check_in``, ``memory_mib``.
            A duration is a text such as ``"15m"`` or a ``timedelta``; ``every`` may be a number of seconds too.
            ``name`` is by default the first line of the function's docstring.

    Raises:
        TypeError: it is written without parentheses, or with an unknown option.
        UsageError: an option has a value that cannot be used, or the function has no importable name.
    """
    if callable(id):
        raise TypeError(
            '@job needs parentheses and a schedule: write @job(every="5m") or @job(cron="0 9 * * *")'
        )
    for key in options:
        if key not in OPTIONS:
            raise TypeError(f"job() got an unexpected keyword argument {key!r}")

    def decorate(function: Function) -> Function:
        if "<locals>" in function.__qualname__:
            raise UsageError(
                f"{function.__qualname__} cannot be a job: a worker could not import it",
                hint="move it to the top of its module",
            )
        job_id = id or function.__qualname__.replace("_", "-").replace(".", "-").lower()
        doc = (inspect.getdoc(function) or "").partition("\n")[0].strip().rstrip(".")
        settings = {key: _as_in_file(key, value) for key, value in options.items() if value is not None}
        settings["call"] = f"{function.__module__}:{function.__qualname__}"
        settings["name"] = settings.get("name") or doc or job_id
        try:
            built = build_job(job_id, settings, lambda _: f"@job of {function.__qualname__}")
        except ConfigurationErrors as error:
            raise UsageError(str(error)) from None
        if built.arguments:
            settings["arguments"] = dict(built.arguments)  # as JSON
        line = function.__code__.co_firstlineno if hasattr(function, "__code__") else 1
        definition = {
            "id": job_id,
            "settings": settings,
            "line": line,
            "dry_run": "dry_run" in inspect.signature(function).parameters,
        }
        setattr(function, ATTRIBUTE, definition)
        return function

    return decorate


def _as_in_file(key: str, value: Any) -> Any:
    """A Python value as a project file would have it."""
    if key in _DURATIONS and isinstance(value, int | float):
        value = timedelta(seconds=value)
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, Mapping):
        return {
            name: write_duration(each) if isinstance(each, timedelta) else each
            for name, each in value.items()
        }
    return (
        list(value)
        if key in {"needs", "after", "cron", "exclude", "ignore_warnings"} and not isinstance(value, str)
        else value
    )
