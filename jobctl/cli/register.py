"""``jobctl run`` where Trigger.dev is in charge: it registers every schedule there, tells what changed, and ends."""

from collections.abc import Iterable
from datetime import timedelta

from jobctl import __version__
from jobctl.catalogue.builtin import BUILT_IN
from jobctl.cli.context import Context
from jobctl.cli.views.registering import document, piped, screen, summary
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, ServiceError
from jobctl.managers.registering import Change, Step
from jobctl.managers.trigger_dev import TriggerDevJobManager
from jobctl.model import Job
from jobctl.modes import Mode
from jobctl.text import counted
from jobctl.trigger_dev.account import Account


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
    spread = [one for one in done if one.there is not None and one.there.minimum_window is not None]
    if spread and (first := spread[0].there) is not None:
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
    steps: list[Step], warnings: list[str], account: Account, context: Context, *, dry_run: bool
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
                "jobs": [document(one) for one in steps],
            }
        )
        return
    out.present(lambda terminal: screen(steps, context.now(), terminal), lambda: piped(steps))
    out.note(summary(steps) + ("; nothing was changed: a dry run" if dry_run else ""))
    for one in steps:
        if one.change is Change.REFUSED:
            out.warn(f"{one.job_id} is not scheduled: {one.detail}" + (f"; {one.hint}" if one.hint else ""))
        elif one.change is Change.LEFT and one.detail:
            what = "left as it is" if one.there else "not registered"
            out.note(f"{one.job_id} is {what}: {one.detail}")
