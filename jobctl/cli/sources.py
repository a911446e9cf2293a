"""Who is asked what ran: Trigger.dev where it is in charge, else the run store; and what is shown where it is silent."""

from typing import TYPE_CHECKING, TypeVar

from jobctl.cli.context import Context
from jobctl.cli.output import Output
from jobctl.errors import ServiceError
from jobctl.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.managers.trigger_dev import TriggerDevJobManager
    from jobctl.runs.store import RunStore

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


def told(trouble: ServiceError | None, out: Output) -> int:
    """The exit code; the trouble itself is said to people, behind what was shown."""
    if trouble is None:
        return 0
    if not out.json:
        out.problem(trouble)
    return trouble.exit_code
