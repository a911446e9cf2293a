"""``jobctl trigger ID``: runs one job now, shows what it prints, and exits by its result."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.foreground import detached, perform, tell_ended
from jobctl.cli.options import argument, option
from jobctl.cli.times import read_span
from jobctl.errors import ExitCode, UsageError
from jobctl.managers.local import LocalJobManager
from jobctl.managers.store_outage import ride_out
from jobctl.modes import Mode

_LEAST = timedelta(seconds=1)


class Options(NamedTuple):
    """What is asked for."""

    job_id: Annotated[str | None, argument()] = None
    no_wait: Annotated[bool, option("trigger", "--no-wait")] = False
    dry_run: Annotated[bool, option("trigger", "--dry-run")] = False
    force: Annotated[bool, option("trigger", "--force")] = False
    local: Annotated[bool, option("trigger", "--local")] = False
    timeout: Annotated[str | None, option("trigger", "--timeout")] = None
    no_retry: Annotated[bool, option("trigger", "--no-retry")] = False


def run(options: Options, context: Context) -> int:
    """Start it, or have it started, and tell how it ended."""
    if options.job_id is None:
        raise UsageError("trigger needs the id of a job", hint="all jobs: jobctl status")
    job = context.job(options.job_id)
    if options.dry_run and not job.dry_run:
        able = ", ".join(one.id for one in context.catalogue if one.dry_run)
        raise UsageError(
            f"{job.id} does not support --dry-run", hint=f"jobs that do: {able}" if able else None
        )
    if options.no_retry:
        job = replace(job, retries=0)
    arguments = {"dry_run": True} if options.dry_run else {}
    timeout = read_span(options.timeout, "--timeout", least=_LEAST) if options.timeout else None
    mode = context.mode
    if options.local or (options.force and mode is Mode.DISABLED):
        mode = Mode.LOCAL
    if mode is Mode.TRIGGER_DEV:
        from jobctl.cli.trigger_dev import trigger_there

        there, code = trigger_there(
            context, job.id, arguments, timeout, wait=not options.no_wait, retry=not options.no_retry
        )
        tell_ended(there, context)
        return code
    manager = ride_out(
        lambda: context.manager(mode, kind="trigger", workers=1), context.clock, context.warn_of_store_error
    )
    manager.add([job])
    if not isinstance(manager, LocalJobManager):
        manager.trigger_job(job.id)  # raises: this manager runs nothing, and says why
        return ExitCode.NOT_RUN
    if options.no_wait:
        return _tell_started(detached(context), context)
    with context.subscribers(manager):
        done = perform(context, manager, job.id, arguments, timeout)
        if not done.stuck:
            tell_ended(done.run, context, retry=done.retry)
    return done.code


def _tell_started(run: dict[str, object], context: Context) -> int:
    if context.output.json:
        context.output.document(run)
    context.output.note(f"{run['job_id']}: started, run {str(run['run_id'])[:8]}")
    return ExitCode.DONE
