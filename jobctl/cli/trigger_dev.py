"""``jobctl run`` and ``jobctl trigger`` in Trigger.dev mode: they register schedules, or start and follow a run."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl import __version__
from jobctl.catalogue.builtin import BUILT_IN
from jobctl.cli.context import Context
from jobctl.cli.terminal import Column, Terminal, one_line, rows
from jobctl.cli.times import zulu
from jobctl.durations import format_duration, until
from jobctl.errors import ExitCode, ServiceError
from jobctl.json_documents import time
from jobctl.model import Job, Run, RunStatus
from jobctl.modes import Mode
from jobctl.signals import Stop
from jobctl.text import counted
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.manager import TriggerDevJobManager
from jobctl.trigger_dev.runs import as_run, meaning
from jobctl.trigger_dev.schedule_sync import Change, ScheduleStep

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


def register(context: Context, jobs: Iterable[Job], *, dry_run: bool, prune: bool) -> int:
    """Make Trigger.dev's schedules those of the jobs; with ``dry_run``, only report the changes."""
    account = Account.read(context.environment)
    manager = TriggerDevJobManager(account, clock=context.clock)
    manager.add(jobs)
    out = context.output
    out.note(
        f"jobctl {__version__}, mode {Mode.TRIGGER_DEV.value} (why: jobctl mode), environment"
        f" {account.environment} at {account.host}"
    )
    done: list[ScheduleStep] = []
    failure: ServiceError | None = None
    warnings: list[str] = []
    try:
        # built-in jobs that lack their settings on this machine may have them on the workers
        kept_ids = [job.id for job in BUILT_IN] if context.catalogue.note else []
        planned, warnings = manager.plan(prune=prune, kept_ids=kept_ids)
        if context.catalogue.note:
            warnings.append(f"{context.catalogue.note}; their schedules at Trigger.dev stay as they are")
        for warning in warnings:
            out.warn(warning)
        try:
            for step in planned if dry_run else manager.register(planned):
                done.append(step)  # noqa: PERF402 - steps before a failure are shown too
        except ServiceError as error:
            failure = error
    finally:
        manager.shutdown()
    spread = [step for step in done if step.existing is not None and step.existing.minimum_window is not None]
    if spread and (first := spread[0].existing) is not None:
        by = format_duration(timedelta(seconds=first.minimum_window or 0))
        warnings.append(
            f"the plan of this Trigger.dev account lets {counted(len(spread), 'schedule')} begin up to {by} later;"
            " exact times need a larger plan"
        )
        out.warn(warnings[-1])
    _show(done, warnings, account, context, dry_run=dry_run)
    failed = [step for step in done if step.change is Change.FAILED]
    if failed and not out.json:
        out.problem(failure or ServiceError(failed[0].detail, hint=failed[0].hint))
    return ExitCode.SERVICE if failed else ExitCode.DONE


def _show(
    steps: list[ScheduleStep], warnings: list[str], account: Account, context: Context, *, dry_run: bool
) -> None:
    out = context.output
    if out.json:
        out.document(
            {
                "mode": Mode.TRIGGER_DEV.value,
                "environment": account.environment,
                "url": account.url,
                "dry_run": dry_run,
                "warnings": warnings,
                "jobs": [_document(step) for step in steps],
            }
        )
        return
    out.present(
        lambda terminal: iter([_table(steps, context.now(), terminal)]),
        lambda: rows(_TITLES, map(_record, steps), header=True),
    )
    counts = Counter(step.change for step in steps)
    summary = ", ".join(f"{counts[change]} {change.value}" for change in Change if counts[change]) or "no job"
    out.note(summary + ("; nothing was changed: a dry run" if dry_run else ""))
    for step in steps:
        if step.change is Change.REFUSED:
            hint = f"; {step.hint}" if step.hint else ""
            out.warn(f"{step.job_id} is not scheduled: {step.detail}{hint}")
        elif step.change is Change.LEFT and step.detail:
            what = "left as it is" if step.existing else "not registered"
            out.note(f"{step.job_id} is {what}: {step.detail}")


_CODES = {
    RunStatus.FAILED: ExitCode.JOB_FAILED,
    RunStatus.CANCELLED: ExitCode.JOB_FAILED,
    RunStatus.SKIPPED: ExitCode.ALREADY_RUNNING,
}


class _StoppedError(Exception):
    """A signal arrived during the wait."""


def run_there(
    context: Context, job: Job, start: Callable[[TriggerDevJobManager], Run], *, wait: bool
) -> tuple[Run, int]:
    """Start a run of a job and follow it; returns the run as last fetched, and the exit code.

    A signal ends the wait, not the run.
    """
    out, job_id = context.output, job.id
    manager = TriggerDevJobManager(Account.read(context.environment), context.store, clock=context.clock)
    manager.add([job])
    try:
        started = start(manager)
        out.note(f"{job_id}: started at Trigger.dev, run {started.id}")
        if not wait:
            return started, ExitCode.DONE
        with Stop(again=_give_up) as stop:

            def pause(seconds: float) -> None:
                if stop.wait(seconds):
                    raise _StoppedError

            last = started
            try:
                for remote in manager.follow(started.id, pause):
                    last = as_run(remote)
                    if last.status is RunStatus.RUNNING:
                        out.note(f"{job_id}: {meaning(remote.status).words}")
            except _StoppedError:
                out.message(f"{job_id}: stopped waiting; run {started.id} continues at Trigger.dev")
                out.note(f"end it with: jobctl cancel {job_id}; see its end with: jobctl status {job_id}")
                return last, stop.exit_code
            except ServiceError:
                out.message(f"{job_id}: run {started.id} was started, and may still run at Trigger.dev")
                raise
        return last, _CODES.get(last.status, ExitCode.DONE)
    finally:
        manager.shutdown()


def _give_up() -> None:
    """A second signal: do not even wait for a response."""
    raise KeyboardInterrupt


_STYLES = {
    Change.CREATED: "green",
    Change.CHANGED: "cyan",
    Change.REMOVED: "yellow",
    Change.REFUSED: "yellow",
    Change.FAILED: "red",
}
_TITLES = ("JOB", "CHANGE", "CRON", "TIMEZONE", "NEXT", "WHY")


def _document(step: ScheduleStep) -> dict[str, Any]:
    """A step for ``--json``."""
    existing = step.existing
    kept = step.put or existing
    return {
        "id": step.job_id,
        "change": step.change.value,
        "detail": step.detail or None,
        "hint": step.hint,
        "caution": step.caution or None,
        "cron": kept.cron if kept else None,
        "timezone": kept.timezone if kept else None,
        "window": step.put.window if step.put else existing.window if existing else None,
        "schedule_id": existing.id if existing else None,
        "active": existing.active if existing else None,
        "next_run": time(step.next_run),
    }


def _table(steps: Iterable[ScheduleStep], now: datetime, terminal: Terminal) -> "RenderableType":
    titles = [Column("JOB"), Column("CHANGE"), Column("CRON"), Column("NEXT"), Column("WHY", wraps=True)]
    return terminal.table(titles, [_cells(step, now, terminal) for step in steps])


def _cells(step: ScheduleStep, now: datetime, terminal: Terminal) -> "tuple[str | Text, ...]":
    kept = step.result
    zone = f"  {kept.timezone}" if kept and kept.timezone != "UTC" else ""
    return (
        step.job_id,
        terminal.text(step.change.value, _STYLES.get(step.change, "")),
        f"{kept.cron}{zone}" if kept else "",
        until(step.next_run, now) if step.next_run else "",
        terminal.text(step.detail, "dim"),
    )


def _record(step: ScheduleStep) -> tuple[str, ...]:
    kept = step.result
    return (
        step.job_id,
        step.change.value,
        kept.cron if kept else "",
        kept.timezone if kept else "",
        zulu(step.next_run),
        one_line(step.detail),
    )
