"""``jobctl watch``: whether every job meets its expectations; for a timer on another machine than the scheduler's."""

from typing import TYPE_CHECKING, Any

from jobctl.cli.context import Context
from jobctl.cli.options import NoHeader
from jobctl.cli.terminal import Column, rows
from jobctl.cli.times import dated, zulu
from jobctl.clock import iso
from jobctl.errors import ExitCode, NotRunError
from jobctl.managers.board import Board, who_schedules
from jobctl.modes import Mode
from jobctl.scheduler.liveness import scheduler_presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.events import Bus, Event, JobLate
    from jobctl.store.base import RunStore


class _Publisher:
    """What the subscribers need of a manager: they notify, and watch nothing by themselves."""

    kind = "trigger"

    def __init__(self, bus: "Bus", store: "RunStore") -> None:
        self.bus = bus
        self.store = store


def run(context: Context, *, no_header: NoHeader = False) -> int:
    """Exit with 1 if a job is late, and notify of changes.

    A job is late when an expectation of its definition (expect) is not met. It also exits with 1 when no scheduler is
    running.

    Examples:
        jobctl watch
        jobctl watch --quiet
    """
    from jobctl.events import Bus
    from jobctl.subscribers.expectation_watch import ExpectationWatch

    if context.uses_trigger_dev:
        raise NotRunError(
            "Trigger.dev runs the jobs, and the run store does not know whether they are on time",
            hint="jobctl status asks Trigger.dev",
        )
    store = context.store
    bus = Bus()
    bus.subscribe(lambda event: _warn(event, context))
    with context.subscribers(_Publisher(bus, store)):
        late = ExpectationWatch(bus, store, context.catalogue, context.clock).check()
    presence = scheduler_presence(store, context.project.state, context.clock)
    is_missing = context.mode is Mode.LOCAL and not presence.running
    out = context.output
    if out.json:
        out.document(
            {
                "scheduler": {"running": presence.running, "pid": presence.pid, "host": presence.host},
                "late": [{"job_id": job.job_id, "since": iso(job.since), "why": job.why} for job in late],
            }
        )
    elif late or not out.is_terminal:
        out.present(
            lambda terminal: [
                terminal.table([Column("JOB"), Column("LATE SINCE"), Column("WHY", wraps=True)], _cells(late))
            ],
            lambda: rows(
                ("JOB", "SINCE", "WHY"),
                ((job.job_id, zulu(job.since), job.why) for job in late),
                header=not no_header,
            ),
        )
    if is_missing:
        out.message(who_schedules(Board(context.mode, presence, (), context.now())))
    elif not any(job.expect for job in context.catalogue):
        out.note('no job has expectations; in the project file: expect = { start_within = "2m" }')
    elif not late:
        out.note("every job is on time")
    return ExitCode.JOB_FAILED if late or is_missing else ExitCode.DONE


def _warn(event: "Event", context: Context) -> None:
    """A receiver has not accepted a notification."""
    from jobctl.cli.views.events import level, sentence
    from jobctl.events import JobLate

    if level(event) is not None and not isinstance(event, JobLate):  # which is shown as a row
        context.output.warn(sentence(event))


def _cells(late: "Sequence[JobLate]") -> list[list[Any]]:
    return [[job.job_id, dated(job.since), job.why] for job in late]
