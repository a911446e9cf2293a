"""``jobctl run``: the local scheduler, in the foreground, until it is asked to stop."""

import os
import shlex
from collections import Counter
from contextlib import closing
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple

from jobctl import __version__
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.program import typed
from jobctl.cli.reporter import LiveReporter, Reporter
from jobctl.cli.times import read_span
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.managers.local import DEFAULT_GRACE, DEFAULT_WORKERS, LocalJobManager
from jobctl.managers.reload import Reload, mark_of
from jobctl.model import Job
from jobctl.modes import Mode
from jobctl.scheduler.liveness import scheduler_presence
from jobctl.signals import Stop
from jobctl.text import counted

MOST_WORKERS = 256


class Form(Enum):
    """What ``--log-format`` takes."""

    TEXT = "text"
    JSON = "json"


class Options(NamedTuple):
    """How to schedule and what to show."""

    extra: Annotated[list[str] | None, argument("", hidden=True)] = None
    workers: Annotated[int, option("run", "--workers", min=1, max=MOST_WORKERS)] = DEFAULT_WORKERS
    grace: Annotated[str | None, option("run", "--grace")] = None
    only: Annotated[list[str] | None, option("run", "--only")] = None
    form: Annotated[Form, option("run", "--log-format")] = Form.TEXT
    no_live: Annotated[bool, option("run", "--no-live")] = False
    local: Annotated[bool, option("run", "--local")] = False
    demo: Annotated[bool, option("run", "--demo")] = False
    dry_run: Annotated[bool, option("run", "--dry-run")] = False


def run(options: Options, context: Context) -> int:
    """Schedule until a signal comes; then stop gracefully."""
    if options.extra:
        raise UsageError(
            "run takes no argument; it is the scheduler",
            hint="one job now: jobctl trigger ID       what ran: jobctl runs",
        )
    if options.demo:
        with closing(_sample_site(context)) as sample:
            return run(options._replace(demo=False), sample)
    grace = read_span(options.grace, "--grace") if options.grace else DEFAULT_GRACE
    mode = Mode.LOCAL if options.local else context.mode
    mark = mark_of(context.project.folder)
    jobs = [context.job(one) for one in options.only or ()] or list(context.catalogue.jobs)
    if mode is not Mode.LOCAL:
        return _elsewhere(mode, options, jobs, context)
    if options.dry_run:
        raise UsageError(
            "mode is local: run --dry-run shows what would be registered, and nothing is",
            hint="when jobs are due: jobctl next ID",
        )
    manager = context.manager(mode, kind="scheduler", workers=options.workers, grace=grace)
    if not isinstance(manager, LocalJobManager):
        raise NotRunError(f"mode is {mode.value}: there is nothing to run here")
    manager.add(jobs)
    reporter = _reporter(options, context, manager)
    manager.bus.subscribe(reporter)
    if context.process.get("NOTIFY_SOCKET"):
        from jobctl.systemd.sd_notify import report

        report(manager, context.process, context.clock)
    _greet(options, context, jobs, grace)
    subscribers = context.subscribers(manager)
    reload = Reload(manager, subscribers, context.project, jobs, only=options.only or (), mark=mark)
    with reporter.showing(), subscribers, Stop(again=manager.end_now) as stop:
        interrupted = _schedule(manager, stop, reload)
    _farewell(reporter, interrupted, context)
    return stop.exit_code if interrupted else ExitCode.DONE


def _elsewhere(mode: Mode, options: Options, jobs: list[Job], context: Context) -> int:
    """What ``run`` does where another scheduler is in charge, or none.

    Raises:
        NotRunError: nothing; says who is.
    """
    if mode is Mode.DISABLED:
        raise NotRunError(
            "scheduling is disabled (DISABLE_AUTO_SYNC), so there is nothing to run",
            hint="jobctl mode shows where that is set; to run jobs here anyway: jobctl run --local",
        )
    if mode is Mode.VERCEL:
        raise NotRunError(
            "mode is vercel: Vercel Cron calls the endpoints, so there is nothing to run here",
            hint="to run jobs here anyway: jobctl run --local",
        )
    from jobctl.cli.trigger_dev import register

    whole = not options.only and not context.catalogue.warnings  # what is left out is not to be removed
    code = register(context, jobs, dry_run=options.dry_run, prune=whole)
    if code == ExitCode.DONE and context.process.get("NOTIFY_SOCKET"):
        from jobctl.systemd.sd_notify import ServiceManager

        # a service that ends before it was ready counts as failed, and would be started again
        ServiceManager.of(context.process, context.clock).tell("READY=1", "STATUS=schedules are registered")
    return code


def _sample_site(context: Context) -> Context:
    """The same command in a sample site of its own, made where there is none yet."""
    from jobctl.demo.make import FOLDER, make
    from jobctl.settings.variables import VARIABLES

    folder = Path(context.common.project or ".").absolute() / FOLDER
    with context.output.working("making the sample site"):
        made = make(folder, context.now())
    shown = _nearby(str(folder))
    out = context.output
    out.note(
        f"{'made' if made else 'going on with'} a sample site in {shown}: database, content repository, mail"
    )
    out.note("from another terminal:")
    command = typed()
    for line in (
        f"cd {shlex.quote(str(folder))}",
        f"{command} status",
        f"{command} analytics",
        "ls .jobctl/outbox",
    ):
        out.note(f"  {line}")
    # what is set for another site does not count in this one
    process = {name: value for name, value in context.process.items() if name not in VARIABLES}
    common = context.common._replace(project=str(folder), verbose=True)
    return Context(common, process, context.clock, out)


def _schedule(manager: LocalJobManager, stop: Stop, reload: Reload) -> int:
    try:
        manager.start()
        while not stop.wait(1.0):
            if manager.wait_ended(0):
                break
            reload.look()
    finally:
        interrupted = manager.shutdown()
    return interrupted


def _reporter(options: Options, context: Context, manager: LocalJobManager) -> Reporter:
    out = context.output
    production = context.environment.text("NODE_ENV") == "production"
    routine = (production or out.verbose) and not out.quiet
    as_json = out.json or options.form is Form.JSON
    if out.is_animated and not options.no_live and not as_json:
        return LiveReporter(context, routine=routine, statuses=manager.get_all_job_statuses)
    return Reporter(context, routine=routine, as_json=as_json)


def _greet(options: Options, context: Context, jobs: list[Job], grace: timedelta) -> None:
    out = context.output
    out.note(
        f"jobctl {__version__}, mode {context.mode.value} (why: jobctl mode), {counted(len(jobs), 'job')},"
        f" {counted(options.workers, 'worker')}, store {_nearby(context.store.place)}"
    )
    out.note(f"Ctrl-C ends it when the running jobs have ended ({format_duration(grace)} at most)")
    other = scheduler_presence(context.store, context.project.state, context.clock)
    if other.running:
        out.note(f"another scheduler shares this store: pid {other.pid} on {other.host}")
    if context.catalogue.note:
        out.note(context.catalogue.note)
    for reason, number in Counter(job.unmet for job in jobs if job.unmet).items():
        out.note(f"{'1 job is' if number == 1 else f'{number} jobs are'} stopped: {reason}")
    for warning in context.environment.warnings:
        out.warn(warning)


def _nearby(place: str) -> str:
    """A path as it is seen from the working folder, where that is shorter."""
    folder = f"{Path.cwd()}{os.sep}"
    return place.removeprefix(folder)


def _farewell(reporter: Reporter, interrupted: int, context: Context) -> None:
    if reporter.stuck and context.output.is_shared:
        return  # whoever does not read the log does not read this either
    runs = counted(reporter.tally.completed + reporter.tally.failed, "run")
    context.output.note(f"stopped: {runs}, {interrupted} interrupted")
