"""``@job``: a definition beside its function, in one of the project's ``modules``."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from jobctl.catalogue.job_keys import build_job
from jobctl.durations import write_duration
from jobctl.errors import ConfigurationErrors, UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
ATTRIBUTE = "__jobctl_job__"


def job(
    id: str | None = None,  # noqa: A002
    *,
    name: str | None = None,
    every: timedelta | float | str | None = None,
    cron: str | None = None,
    timezone: str | None = None,
    timeout: timedelta | str | None = None,
    retries: int | None = None,
    retry_delay: timedelta | str | None = None,
    catch_up: bool | None = None,
    enabled: bool | None = None,
    jitter: timedelta | str | None = None,
    overlap: str | None = None,
    group: str | None = None,
    grace: timedelta | str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    needs: Sequence[str] | None = None,
    check_in: str | None = None,
    memory_mib: int | None = None,
) -> Callable[[Function], Function]:
    """Make a module's function a job. The function itself stays as it is.

    Args:
        id: ``kebab-case``; the function's name with dashes where it is left out.
        name: for people; the first line of its docstring, or its id.
        every: the interval: a ``timedelta``, seconds, or a text such as ``"15m"``.
        cron: 5 fields, or 6 with seconds first.
        timezone: of ``cron``; UTC where left out.
        timeout: of one attempt; 1 hour where left out.
        retries: attempts after a failed first one.
        retry_delay: before the first retry, doubled for each further one; 10 seconds where left out.
        catch_up: run once for all slots that were missed.
        enabled: False keeps it off its schedule.
        jitter: a slot begins up to so much later, but before the next one.
        overlap: ``"skip"`` a slot while a run is in its way, or ``"queue"`` it; skipped where left out.
        group: no two jobs of a group run at the same time.
        grace: between SIGTERM and SIGKILL where a run must end; 5 seconds where left out.
        environment: variables for its runs.
        folder: where its runs begin, seen from the project's folder.
        needs: variables that must be set.
        check_in: URL of a monitor that is told of each start and end.
        memory_mib: how much address space a run may take, in MiB, on Linux; no limit where left out.

    Raises:
        TypeError: it is written without parentheses.
        UsageError: an argument cannot be used, or the function has no importable name.
    """
    if callable(id):
        raise TypeError(
            '@job needs parentheses and a schedule: write @job(every="5m") or @job(cron="0 9 * * *")'
        )

    def decorate(function: Function) -> Function:
        if "<locals>" in function.__qualname__:
            raise UsageError(
                f"{function.__qualname__} cannot be a job: a worker could not import it",
                hint="move it to the top of its module",
            )
        job_id = id or function.__qualname__.replace("_", "-").replace(".", "-").lower()
        doc = (inspect.getdoc(function) or "").partition("\n")[0].strip().rstrip(".")
        given = {
            "call": f"{function.__module__}:{function.__qualname__}",
            "name": name or doc or job_id,
            "every": _text(every),
            "cron": cron,
            "timezone": timezone,
            "timeout": _text(timeout),
            "retries": retries,
            "retry_delay": _text(retry_delay),
            "catch_up": catch_up,
            "enabled": enabled,
            "jitter": _text(jitter),
            "overlap": overlap,
            "group": group,
            "grace": _text(grace),
            "environment": dict(environment) if environment is not None else None,
            "folder": folder,
            "needs": list(needs) if needs is not None else None,
            "check_in": check_in,
            "memory_mib": memory_mib,
        }
        settings = {key: value for key, value in given.items() if value is not None}
        try:
            build_job(job_id, settings, lambda _: f"@job of {function.__qualname__}")
        except ConfigurationErrors as error:
            raise UsageError(str(error)) from None
        line = function.__code__.co_firstlineno if hasattr(function, "__code__") else 1
        knows_dry_run = "dry_run" in inspect.signature(function).parameters
        setattr(
            function, ATTRIBUTE, {"id": job_id, "settings": settings, "line": line, "dry_run": knows_dry_run}
        )
        return function

    return decorate


def _text(value: timedelta | float | str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return write_duration(value if isinstance(value, timedelta) else timedelta(seconds=value))
