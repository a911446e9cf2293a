"""What a rerun repeats of an earlier run: its arguments and its slot; and which runs cannot be repeated."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.errors import AlreadyRunningError, UnknownRunError, UsageError
from jobctl.model import Run, RunStatus
from jobctl.settings.masking import MASK
from jobctl.text import quote


class Repeated(NamedTuple):
    """What a rerun takes from the run ``before``.

    Attributes:
        slot: the due time that it was for. A rerun makes no claim of it.
    """

    before: Run
    arguments: Mapping[str, Any]
    slot: datetime | None


def unknown_run(run_id: str) -> UnknownRunError:
    """The error for an id that no run has."""
    return UnknownRunError(f"there is no run {quote(run_id)}", hint="what ran: jobctl runs")


def find_ended(run_id: str, find: Callable[[str], Run | None]) -> Run:
    """The run of this id, which has ended.

    Args:
        find: a run by its id.

    Raises:
        UnknownRunError: there is no such run.
        AlreadyRunningError: it has not ended.
    """
    run = find(run_id)
    if run is None:
        raise unknown_run(run_id)
    if run.status is RunStatus.RUNNING:
        raise AlreadyRunningError(
            f"run {run.short_id} of {run.job_id} has not ended",
            hint=f"end it with: jobctl cancel {run.short_id}",
        )
    return run


def repeat(run_id: str, find: Callable[[str], Run | None]) -> Repeated:
    """What a rerun takes from a run of the run store.

    Raises:
        UnknownRunError: there is no such run.
        AlreadyRunningError: it has not ended.
        UsageError: its arguments hold a secret, which is not kept.
    """
    import json

    before = find_ended(run_id, find)
    arguments = dict(before.arguments or {})
    if MASK in json.dumps(arguments, ensure_ascii=False):
        raise UsageError(
            f"the arguments of run {before.short_id} hold a secret, which is not kept",
            hint=f"give them again: jobctl trigger {before.job_id} NAME=VALUE",
        )
    first = before  # a rerun has no slot of its own
    while first.rerun_of is not None and (earlier := find(first.rerun_of)) is not None:
        first = earlier
    return Repeated(before, arguments, first.scheduled_for)
