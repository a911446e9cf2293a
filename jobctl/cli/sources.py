"""Who is asked what ran: Trigger.dev where it is in charge, else the run store; and what is shown where it is silent."""

import re
from typing import TYPE_CHECKING, TypeVar

from jobctl.cli.context import Context
from jobctl.cli.output import Output
from jobctl.errors import ServiceError, UsageError
from jobctl.modes import Mode
from jobctl.text import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.model import Run
    from jobctl.store.base import RunStore
    from jobctl.trigger_dev.manager import TriggerDevJobManager

_RUN_ID = re.compile(r"[0-9a-f]{4,32}", re.ASCII)
T = TypeVar("T")


def ask(
    context: Context,
    there: "Callable[[TriggerDevJobManager], T]",
    here: "Callable[[RunStore], T]",
    nothing: T,
) -> tuple[T, ServiceError | None]:
    """The answer, and why Trigger.dev gave none: then it is what the run store has.

    Args:
        nothing: the answer where there is no run store either.
    """
    trouble: ServiceError | None = None
    if context.mode is Mode.TRIGGER_DEV:
        try:
            return there(context.trigger_dev), None
        except ServiceError as error:
            trouble = error
            context.output.warn("Trigger.dev does not answer; these are the runs recorded here")
    store = context.store_if_any
    return here(store) if store is not None else nothing, trouble


def run_named(what: str, context: Context) -> "Run | None":
    """The run that is meant by its id, or by the beginning of it; None where the text is a job's id.

    Raises:
        UnknownJobError: the text looks like a job's id, and there is none.
        UsageError: it looks like a run's id, and there is none; or several runs begin with it.
        ServiceError: Trigger.dev, which has the run, does not answer.
    """
    if context.is_recorded(what):  # the catalogue is asked last: a run is found without it
        return None
    there = what.startswith("run_") and context.mode is Mode.TRIGGER_DEV
    if there or _RUN_ID.fullmatch(what):
        store = context.store_if_any
        found = context.trigger_dev.run(what) if there else store.run(what) if store else None
        if found is not None:
            return found
        if there or what not in context.catalogue.ids():
            raise UsageError(f"there is no run {quote(what)}", hint="what ran: jobctl runs")
    context.check_known(what)
    return None


def report_service_error(error: ServiceError | None, out: Output) -> int:
    """Report an error after the view that was shown without the service, and return the exit code."""
    if error is None:
        return 0
    if not out.json:
        out.problem(error)
    return error.exit_code
