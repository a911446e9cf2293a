"""``jobctl run`` where Trigger.dev is in charge: it registers every schedule there, tells what changed, and ends."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from jobctl import __version__
from jobctl.cli.context import Context
from jobctl.cli.views.look import one_line
from jobctl.cli.views.table import LEAST_ID, Cell, Column, rows, table
from jobctl.cli.views.times import until, zulu
from jobctl.documents import time
from jobctl.errors import ExitCode, ServiceError
from jobctl.managers.registering import Change, Step
from jobctl.managers.trigger_dev import TriggerDevJobManager
from jobctl.model import Job
from jobctl.modes import Mode
from jobctl.trigger_dev.account import Account

_STYLES = {
    Change.CREATED: "green",
    Change.CHANGED: "cyan",
    Change.REMOVED: "yellow",
    Change.REFUSED: "yellow",
    Change.FAILED: "red",
}
_TITLES = ("JOB", "CHANGE", "CRON", "TIMEZONE", "NEXT", "WHY")


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
    done: list[Step] = []
    trouble: ServiceError | None = None
    try:
        planned, warnings = manager.plan(prune=prune)
        for warning in warnings:
            out.warn(warning)
        try:
            for step in planned if dry_run else manager.register(planned):
                done.append(step)  # noqa: PERF402 - what was done before a failure is told too
        except ServiceError as error:
            trouble = error
    finally:
        manager.shutdown()
    _show(done, account, context, dry_run=dry_run)
    failed = [one for one in done if one.change is Change.FAILED]
    if failed and not out.json:
        out.problem(trouble or ServiceError(failed[0].detail, hint=failed[0].hint))
    return ExitCode.SERVICE if failed else ExitCode.DONE


def _show(steps: list[Step], account: Account, context: Context, *, dry_run: bool) -> None:
    out, now = context.output, context.now()
    if out.json:
        out.document(
            {
                "mode": Mode.TRIGGER_DEV.value,
                "environment": account.environment,
                "url": account.url,
                "dry_run": dry_run,
                "jobs": [_document(one) for one in steps],
            }
        )
        return
    if out.is_terminal:
        titles = [
            Column("JOB", least=LEAST_ID),
            Column("CHANGE"),
            Column("CRON"),
            Column("NEXT"),
            Column("WHY", least=12),
        ]
        cells = [
            [
                Cell(one.job_id),
                Cell(one.change.value, _STYLES.get(one.change)),
                Cell(_cron(one)),
                Cell(until(one.next_run, now) if one.next_run else ""),
                Cell(one.detail, "dim"),
            ]
            for one in steps
        ]
        out.lines(table(titles, cells, out.look))
    else:
        out.lines(rows(_TITLES, (_record(one) for one in steps), header=True))
    counts = Counter(one.change for one in steps)
    text = ", ".join(f"{counts[one]} {one.value}" for one in Change if counts[one]) or "no job"
    out.note(f"{text}; nothing was changed: a dry run" if dry_run else text)
    for one in steps:
        if one.change is Change.REFUSED:
            out.warn(f"{one.job_id} is not scheduled: {one.detail}" + (f"; {one.hint}" if one.hint else ""))
        elif one.change is Change.LEFT and one.detail:
            what = "left as it is" if one.there else "not registered"
            out.note(f"{one.job_id} is {what}: {one.detail}")


def _cron(step: Step) -> str:
    if (kept := step.stays) is None:
        return ""
    return kept.cron if kept.timezone == "UTC" else f"{kept.cron}  {kept.timezone}"


def _document(step: Step) -> dict[str, Any]:
    there = step.there
    kept = step.put or there
    return {
        "id": step.job_id,
        "change": step.change.value,
        "detail": step.detail or None,
        "hint": step.hint,
        "cron": kept.cron if kept else None,
        "timezone": kept.timezone if kept else None,
        "schedule_id": there.id if there else None,
        "active": there.active if there else None,
        "next_run": time(step.next_run),
    }


def _record(step: Step) -> tuple[str, ...]:
    kept = step.stays
    return (
        step.job_id,
        step.change.value,
        kept.cron if kept else "",
        kept.timezone if kept else "",
        zulu(step.next_run),
        one_line(step.detail),
    )
