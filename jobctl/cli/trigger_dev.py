"""``jobctl run`` and ``jobctl trigger`` where Trigger.dev is in charge: schedules are registered there, runs started and followed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl import __version__
from jobctl.catalogue.builtin import BUILT_IN
from jobctl.cli.context import Context
from jobctl.cli.terminal import Column, Terminal, one_line, rows
from jobctl.cli.times import until, zulu
from jobctl.documents import time
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, ServiceError
from jobctl.model import Job, Run, RunStatus
from jobctl.modes import Mode
from jobctl.signals import Stop
from jobctl.text import counted
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.manager import TriggerDevJobManager
from jobctl.trigger_dev.runs import as_run, meaning
from jobctl.trigger_dev.schedule_sync import Change, SyncStep

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


def register(context: Context, jobs: Iterable[Job], *, dry_run: bool, prune: bool) -> int:
    """Make Trigger.dev's schedules those of the jobs; with ``dry_run`` only say what would change."""
    account = Account.read(context.environment)
    manager = TriggerDevJobManager(account, clock=context.clock)
    manager.add(jobs)
    out = context.output
    out.note(
        f"jobctl {__version__}, mode {Mode.TRIGGER_DEV.value} (why: jobctl mode), environment"
        f" {account.environment} at {account.host}"
    )
    done: list[SyncStep] = []
    trouble: ServiceError | None = None
    warnings: list[str] = []
    try:
        # what this machine's settings leave out may well run on the workers
        spare = [one.id for one in BUILT_IN] if context.catalogue.note else []
        planned, warnings = manager.plan(prune=prune, spare=spare)
        if context.catalogue.note:
            warnings.append(f"{context.catalogue.note}; their schedules at Trigger.dev stay as they are")
        for warning in warnings:
            out.warn(warning)
        try:
            for step in planned if dry_run else manager.register(planned):
                done.append(step)  # noqa: PERF402 - what was done before a failure is told too
        except ServiceError as error:
            trouble = error
    finally:
        manager.shutdown()
    spread = [one for one in done if one.existing is not None and one.existing.minimum_window is not None]
    if spread and (first := spread[0].existing) is not None:
        by = format_duration(timedelta(seconds=first.minimum_window or 0))
        warnings.append(
            f"the plan of this Trigger.dev account lets {counted(len(spread), 'schedule')} begin up to {by} later;"
            " exact times need a larger plan"
        )
        out.warn(warnings[-1])
    _show(done, warnings, account, context, dry_run=dry_run)
    failed = [one for one in done if one.change is Change.FAILED]
    if failed and not out.json:
        out.problem(trouble or ServiceError(failed[0].detail, hint=failed[0].hint))
    return ExitCode.SERVICE if failed else ExitCode.DONE


def _show(
    steps: list[SyncStep], warnings: list[str], account: Account, context: Context, *, dry_run: bool
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
                "jobs": [step_document(one) for one in steps],
            }
        )
        return
    out.present(lambda terminal: step_table(steps, context.now(), terminal), lambda: piped_steps(steps))
    out.note(summary(steps) + ("; nothing was changed: a dry run" if dry_run else ""))
    for one in steps:
        if one.change is Change.REFUSED:
            out.warn(f"{one.job_id} is not scheduled: {one.detail}" + (f"; {one.hint}" if one.hint else ""))
        elif one.change is Change.LEFT and one.detail:
            what = "left as it is" if one.existing else "not registered"
            out.note(f"{one.job_id} is {what}: {one.detail}")


_CODES = {
    RunStatus.FAILED: ExitCode.JOB_FAILED,
    RunStatus.CANCELLED: ExitCode.JOB_FAILED,
    RunStatus.SKIPPED: ExitCode.ALREADY_RUNNING,
}


class _StoppedError(Exception):
    """A signal came while waiting."""


def trigger_there(
    context: Context,
    job_id: str,
    arguments: dict[str, Any],
    timeout: timedelta | None,
    *,
    wait: bool,
    retry: bool,
) -> tuple[Run, int]:
    """Start it, tell how it goes, and answer with the run as it last stood and the exit code.

    A signal ends the waiting, not the run.
    """
    out = context.output
    manager = context.manager(Mode.TRIGGER_DEV, kind="trigger", workers=1)
    if not isinstance(manager, TriggerDevJobManager):
        raise TypeError("Trigger.dev mode has Trigger.dev's manager")
    manager.add([context.job(job_id)])
    try:
        started = manager.trigger_job(job_id, arguments=arguments, timeout=timeout, retry=retry)
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
                out.message(f"{job_id}: no longer waited for; run {started.id} goes on at Trigger.dev")
                out.note("cancel it in Trigger.dev's dashboard; how it ended: jobctl status " + job_id)
                return last, stop.exit_code
            except ServiceError:
                out.message(f"{job_id}: run {started.id} was started, and may still go on at Trigger.dev")
                raise
        return last, _CODES.get(last.status, ExitCode.DONE)
    finally:
        manager.shutdown()


def _give_up() -> None:
    """A second signal: do not even wait for an answer that is on its way."""
    raise KeyboardInterrupt


_STYLES = {
    Change.CREATED: "green",
    Change.CHANGED: "cyan",
    Change.REMOVED: "yellow",
    Change.REFUSED: "yellow",
    Change.FAILED: "red",
}
_TITLES = ("JOB", "CHANGE", "CRON", "TIMEZONE", "NEXT", "WHY")


def step_document(step: SyncStep) -> dict[str, Any]:
    """One job for ``--json``."""
    there = step.existing
    kept = step.put or there
    return {
        "id": step.job_id,
        "change": step.change.value,
        "detail": step.detail or None,
        "hint": step.hint,
        "caution": step.caution or None,
        "cron": kept.cron if kept else None,
        "timezone": kept.timezone if kept else None,
        "window": step.put.window if step.put else there.window if there else None,
        "schedule_id": there.id if there else None,
        "active": there.active if there else None,
        "next_run": time(step.next_run),
    }


def piped_steps(steps: Iterable[SyncStep]) -> Iterable[str]:
    """One job a line, tabs between, exact times."""
    return rows(_TITLES, (_record(one) for one in steps), header=True)


def step_table(steps: Iterable[SyncStep], now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """A table."""
    titles = [Column("JOB"), Column("CHANGE"), Column("CRON"), Column("NEXT"), Column("WHY", wraps=True)]
    yield terminal.table(titles, [_cells(one, now, terminal) for one in steps])


def summary(steps: Sequence[SyncStep]) -> str:
    """``2 created, 11 left``."""
    counts = Counter(one.change for one in steps)
    return ", ".join(f"{counts[one]} {one.value}" for one in Change if counts[one]) or "no job"


def _cells(step: SyncStep, now: datetime, terminal: Terminal) -> "tuple[str | Text, ...]":
    kept = step.result
    zone = f"  {kept.timezone}" if kept and kept.timezone != "UTC" else ""
    return (
        step.job_id,
        terminal.text(step.change.value, _STYLES.get(step.change, "")),
        f"{kept.cron}{zone}" if kept else "",
        until(step.next_run, now) if step.next_run else "",
        terminal.text(step.detail, "dim"),
    )


def _record(step: SyncStep) -> tuple[str, ...]:
    kept = step.result
    return (
        step.job_id,
        step.change.value,
        kept.cron if kept else "",
        kept.timezone if kept else "",
        zulu(step.next_run),
        one_line(step.detail),
    )
