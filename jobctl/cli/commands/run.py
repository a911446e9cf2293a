"""``jobctl run``: runs the local scheduler in the foreground, until a signal stops it."""

import os
import shlex
from collections import Counter
from contextlib import closing, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobctl import __version__
from jobctl.cli.context import Context
from jobctl.cli.foreground import typed
from jobctl.cli.options import Grace, Workers, job_ids
from jobctl.cli.run_display import LiveReporter, Reporter
from jobctl.cli.times import read_span
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.managers.local import DEFAULT_WORKERS, LocalJobManager
from jobctl.managers.reload import Reload, file_version
from jobctl.modes import Mode
from jobctl.scheduler.liveness import scheduler_presence
from jobctl.signals import Stop
from jobctl.text import counted

if TYPE_CHECKING:
    from jobctl.cli.page_process import PageProcess
    from jobctl.model import Job


PAGE_PORT = 8321
_POLL_S = 2.0  # between reads of the project file; each costs an idle scheduler CPU


def run(
    context: Context,
    *,
    workers: Workers = DEFAULT_WORKERS,
    grace: Grace = "30s",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="ID", help="Schedule only this job; may be repeated.", autocompletion=job_ids
        ),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"], typer.Option("--log-format", help="Format of the events.")
    ] = "text",
    no_live: Annotated[
        bool, typer.Option("--no-live", help="Print plain lines, without a live table.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Schedule here, whatever the mode.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the page, for browsers of this machine.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Port of the page, 0 for any free one.",
            show_default=str(PAGE_PORT),
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Run on a sample site of its own.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="In Trigger.dev mode, show what would be registered.")
    ] = False,
) -> int:
    """Run the local scheduler in the foreground.

    Examples:
        jobctl run
        jobctl run --demo --web
        jobctl run --workers 8 --grace 2m
    """
    if demo:
        with closing(_sample_site(context)) as sample:
            return run(
                sample,
                workers=workers,
                grace=grace,
                only=only,
                log_format=log_format,
                no_live=no_live,
                local=local,
                web=web,
                port=port,
                open_page=open_page,
                dry_run=dry_run,
            )
    if (port is not None or open_page) and not web:
        raise UsageError("--port and --open go with --web")
    limit = read_span(grace, "--grace")
    mode = Mode.LOCAL if local else context.mode
    version = file_version(context.project.folder)
    jobs = [context.job(job_id) for job_id in only or ()] or list(context.catalogue.jobs)
    if mode is not Mode.LOCAL:
        if web:
            raise UsageError(
                f"--web goes with the local scheduler, and the mode is {mode.value}",
                hint="the page is also in: jobctl serve",
            )
        return _run_in_other_mode(mode, jobs, context, dry_run=dry_run, is_whole=not only)
    if dry_run:
        raise UsageError(
            "mode is local: nothing is registered, so --dry-run has nothing to show",
            hint="when jobs are due: jobctl next ID",
        )
    page = _page(context, PAGE_PORT if port is None else port, opens=open_page) if web else None
    manager = context.scheduling_manager(workers=workers, grace=limit)
    manager.add(jobs)
    reporter = _reporter(
        context, manager, as_json=context.output.json or log_format == "json", is_live=not no_live
    )
    manager.bus.subscribe(reporter)
    if context.process.get("NOTIFY_SOCKET"):
        from jobctl.systemd.sd_notify import notify_of_scheduler

        notify_of_scheduler(manager, context.process, context.clock)
    _report_start(context, jobs, workers, limit)
    subscribers = context.subscribers(manager)
    reload = Reload(
        manager,
        subscribers,
        context.project,
        jobs,
        only=only or (),
        version=version,
        calendar_files=context.catalogue.calendar_files,
    )
    if page is not None:
        manager.bus.subscribe(page)
    with page or nullcontext(), reporter.showing(), subscribers, Stop(again=manager.end_now) as stop:
        interrupted = _schedule(manager, stop, reload, page)
    _report_stop(reporter, interrupted, context)
    return stop.exit_code if interrupted else ExitCode.DONE


def _run_in_other_mode(
    mode: Mode, jobs: "list[Job]", context: Context, *, dry_run: bool, is_whole: bool
) -> int:
    """Register the schedules in Trigger.dev mode.

    Raises:
        NotRunError: scheduling is disabled, or Vercel schedules.
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

    # schedules of jobs that are left out here stay
    code = register(context, jobs, dry_run=dry_run, prune=is_whole and not context.catalogue.warnings)
    if code == ExitCode.DONE and context.process.get("NOTIFY_SOCKET"):
        from jobctl.systemd.sd_notify import ServiceManager

        # systemd restarts a service that ends before it is ready
        ServiceManager.of(context.process, context.clock).notify("READY=1", "STATUS=schedules are registered")
    return code


def _sample_site(context: Context) -> Context:
    """The context of the sample site, which is created if it does not exist."""
    from jobctl.cli.context import Context
    from jobctl.demo.create import FOLDER, make
    from jobctl.settings.variables import VARIABLES

    folder = Path(context.common.project or ".").absolute() / FOLDER
    with context.output.working("making the sample site"):
        made = make(folder, context.now())
    shown = _relative(str(folder))
    out = context.output
    out.note(f"{'made' if made else 'using'} a sample site in {shown}: database, content repository, mail")
    out.note("from another terminal:")
    command = typed()
    for line in (
        f"cd {shlex.quote(str(folder))}",
        f"{command} status",
        f"{command} analytics",
        "ls .jobctl/outbox",
    ):
        out.note(f"  {line}")
    # variables of another site are not for the sample site
    process = {name: value for name, value in context.process.items() if name not in VARIABLES}
    common = context.common._replace(project=str(folder), verbose=True)
    return Context(common, process, context.clock, out)


def _page(context: Context, port: int, *, opens: bool) -> "PageProcess":
    from jobctl.cli.page_process import PageProcess

    return PageProcess(context, port, opens=opens)


def _schedule(manager: LocalJobManager, stop: Stop, reload: Reload, page: "PageProcess | None") -> int:
    try:
        manager.start()
        while not stop.wait(_POLL_S):
            if manager.wait_ended(0):
                break
            reload.poll()
            if page is not None:
                page.poll()
    finally:
        interrupted = manager.shutdown()
    return interrupted


def _reporter(context: Context, manager: LocalJobManager, *, as_json: bool, is_live: bool) -> Reporter:
    out = context.output
    production = context.environment.text("NODE_ENV") == "production"
    routine = (production or out.verbose) and not out.quiet
    if out.is_animated and is_live and not as_json:
        return LiveReporter(context, routine=routine, statuses=manager.get_all_job_statuses)
    return Reporter(context, routine=routine, as_json=as_json)


def _report_start(context: Context, jobs: "list[Job]", workers: int, grace: timedelta) -> None:
    out = context.output
    out.note(
        f"jobctl {__version__}, mode {context.mode.value} (why: jobctl mode), {counted(len(jobs), 'job')},"
        f" {counted(workers, 'worker')}, store {_relative(context.store.place)}"
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


def _relative(place: str) -> str:
    """A path relative to the working folder, if it is inside."""
    folder = f"{Path.cwd()}{os.sep}"
    return place.removeprefix(folder)


def _report_stop(reporter: Reporter, interrupted: int, context: Context) -> None:
    if reporter.stuck and context.output.is_shared:
        return  # standard error is not read either
    runs = counted(reporter.tally.completed + reporter.tally.failed, "run")
    context.output.note(f"stopped: {runs}, {interrupted} interrupted")
