"""Finds runs where they are recorded: at Trigger.dev in its mode, else in the run store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from jobctl.errors import ConfigurationError, JobctlError, ServiceError, UsageError
from jobctl.text import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.cli.context import Context
    from jobctl.cli.output import Output
    from jobctl.model import Run
    from jobctl.store.base import RunStore
    from jobctl.trigger_dev.manager import TriggerDevJobManager

_RUN_ID = r"[0-9a-f]{4,32}"
T = TypeVar("T")


def read_runs(
    context: Context,
    remote: Callable[[TriggerDevJobManager], T],
    local: Callable[[RunStore], T],
    default: T,
) -> tuple[T, JobctlError | None]:
    """Read from Trigger.dev in its mode, else from the run store.

    Args:
        default: the value where there is no run store yet.

    Returns:
        What was read, and the error of Trigger.dev if it did not answer and the run store was read instead.
    """
    failure: JobctlError | None = None
    if context.uses_trigger_dev:
        try:
            return remote(context.trigger_dev), None
        except (ServiceError, ConfigurationError) as error:
            failure = error
            problem = "does not answer" if isinstance(error, ServiceError) else "cannot be asked"
            context.output.warn(f"Trigger.dev {problem}; these are the runs recorded here")
    store = context.store_if_any
    return local(store) if store is not None else default, failure


def find_run(name: str, context: Context) -> Run | None:
    """The run with this id or unique prefix; None if the name is the id of a job.

    Raises:
        UnknownJobError: the name looks like a job's id, and there is no such job.
        UsageError: it looks like a run's id, and there is no such run, or there are several.
        ServiceError: Trigger.dev, which has the run, does not answer.
    """
    if context.is_recorded(name):  # the catalogue takes longer to read, so it comes last
        return None
    is_remote = name.startswith("run_") and context.uses_trigger_dev
    if is_remote or re.fullmatch(_RUN_ID, name):
        store = context.store_if_any
        found = context.trigger_dev.run(name) if is_remote else store.run(name) if store else None
        if found is not None:
            return found
        if is_remote or name not in context.catalogue.ids():
            raise UsageError(f"there is no run {quote(name)}", hint="what ran: jobctl runs")
    context.check_known(name)
    return None


def report_service_error(error: JobctlError | None, out: Output) -> int:
    """Report an error after the view that was shown without the service, and return the exit code."""
    if error is None:
        return 0
    if not out.json:
        out.problem(error)
    return error.exit_code
