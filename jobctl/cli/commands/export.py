"""``jobctl export PLATFORM DIR``: writes what another platform, or an editor, needs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from jobctl.cli.context import Context
from jobctl.cli.terminal import Column, Terminal, rows
from jobctl.errors import ExitCode, UsageError
from jobctl.export_folder import RECORD, Contents, ExportedFile, FileChange, compare, write
from jobctl.settings.masking import cron_secret_weakness
from jobctl.text import quote
from jobctl.vercel.crons import Plan, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from jobctl.export_bundle import Bundle, Wheel
    from jobctl.vercel.export import PlannedCall


class _Request(NamedTuple):
    platform: str
    folder: Path
    check: bool
    plan: Plan
    target: Target
    from_index: bool


class _Export(NamedTuple):
    files: Contents
    merged: dict[str, str] = {}  # noqa: RUF012 - never changed
    calls: "tuple[PlannedCall, ...]" = ()
    wheel: "Wheel | None" = None
    bundle: "Bundle | None" = None
    warning: str | None = None


def run(
    context: Context,
    platform: Annotated[
        Literal["trigger-dev", "vercel", "schema"],
        typer.Argument(metavar="PLATFORM", help="trigger-dev, vercel, or schema for an editor."),
    ],
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder to write to.")],
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit 1 where a file is out of date or something is missing."
        ),
    ] = False,
    plan: Annotated[
        Plan | None, typer.Option("--plan", help="Vercel's plan: crons once a day at most, or once a minute.")
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option("--target", help="Vercel's list of calls to write; schedules are in beta."),
    ] = None,
    from_index: Annotated[
        bool,
        typer.Option(
            "--from-index", help="Install jobctl from the package index instead of including this version."
        ),
    ] = False,
) -> int:
    """Write the files for another platform, or an editor.

    Examples:
        jobctl export trigger-dev worker
        jobctl export vercel . --plan hobby
        jobctl export vercel vercel-jobs --target schedules
        jobctl export vercel . --check
        jobctl export schema .
    """
    of_vercel = [("--plan", plan), ("--target", target)]
    if platform != "vercel" and (name := next((name for name, value in of_vercel if value), None)):
        raise UsageError(f"{platform} has no {name}: it is for vercel", hint="leave it out")
    request = _Request(platform, Path(folder), check, plan or Plan.PRO, target or Target.CRONS, from_index)
    if platform == "schema" and from_index:
        raise UsageError("schema has no --from-index: it installs nothing", hint="leave it out")
    if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112
        raise UsageError(
            f"{quote(folder)} is not a folder", hint="name a folder; it is made where there is none"
        )
    with context.output.working("making the files"):
        return _export(request, context)


def _export(request: _Request, context: Context) -> int:
    made = _PLATFORMS[request.platform](request, context)
    act = compare if request.check else write
    files = act(request.folder, made.files, made.merged, platform=request.platform)
    missing: list[str] = []
    if made.bundle is not None:
        from jobctl.export_bundle import ignored, still_missing

        missing = still_missing(request.folder, made.bundle, made.wheel, request.platform)
        missing += ignored(request.folder, made.files)
    if context.output.json:
        context.output.document(_document(files, made, missing, request))
    else:
        _show(files, made, request, context)
    for sentence in filter(None, [*missing, made.warning]):
        context.output.warn(sentence)
    if made.bundle is not None and context.catalogue.note:
        context.output.note(context.catalogue.note)
    weak = cron_secret_weakness(context.environment.secret("CRON_SECRET"))
    if weak and request.platform == "vercel":
        context.output.warn(weak)
    _warn_of_settings(request, context)
    stale = [file for file in files if file.change not in {FileChange.UNCHANGED, FileChange.EDITED}]
    return ExitCode.JOB_FAILED if request.check and (stale or missing) else ExitCode.DONE


def _schema(request: _Request, context: Context) -> _Export:
    from jobctl.catalogue.job_keys import schema_files

    del request
    return _Export(schema_files(context.catalogue.others))


def _trigger_dev(request: _Request, context: Context) -> _Export:
    from jobctl.trigger_dev import export

    wheel, bundle = _bundle(request, context, export.EXTRAS)
    jobs = context.catalogue.jobs
    files = export.worker_files(request.folder, context.project.location, jobs, bundle, wheel)
    return _Export(files, wheel=wheel, bundle=bundle)


def _vercel(request: _Request, context: Context) -> _Export:
    from jobctl.vercel import export

    jobs, plan, target = context.catalogue.jobs, request.plan, request.target
    wheel, bundle = _bundle(request, context, export.EXTRAS)
    longest = export.longest_call(jobs, plan)
    files = export.deployment_files(request.folder, context.project.location, bundle, wheel, longest)
    calls = export.plan_calls(request.folder, jobs, plan, context.now(), target)
    merged = export.config(request.folder, calls, longest, target)
    return _Export(files, merged, tuple(calls), wheel, bundle, export.timeout_warning(jobs, plan))


_PLATFORMS = {"schema": _schema, "trigger-dev": _trigger_dev, "vercel": _vercel}


def _bundle(request: _Request, context: Context, extras: tuple[str, ...]) -> "tuple[Wheel | None, Bundle]":
    """The wheel of jobctl, None with ``--from-index``, and what else the jobs need."""
    from jobctl.export_bundle import collect, pack

    wheel = None if request.from_index else pack()
    return wheel, collect(context.project.location, context.catalogue.jobs, extras)


def _warn_of_settings(request: _Request, context: Context) -> None:
    """Warn of job settings that the platform does not honour."""
    from jobctl.catalogue.job_keys import AT_TRIGGER_DEV, AT_VERCEL, not_honoured
    from jobctl.managers.status import AFTER_IS_LOCAL

    at_trigger_dev = request.platform == "trigger-dev"
    if not at_trigger_dev and request.platform != "vercel":
        return
    jitter = at_trigger_dev or request.target is Target.SCHEDULES
    for job in context.catalogue.jobs:
        clauses = [not_honoured(job, AT_TRIGGER_DEV if at_trigger_dev else AT_VERCEL, jitter=jitter)]
        if at_trigger_dev and job.after and job.enabled:
            clauses.append(AFTER_IS_LOCAL)
        if at_trigger_dev and job.schedule and job.enabled:
            from jobctl.trigger_dev.cron import caution

            clauses.append(caution(job.schedule, context.now()) or "")
        if text := "; ".join(filter(None, clauses)):
            context.output.warn(f"{job.id}: {text}")


def _document(
    files: list[ExportedFile], made: _Export, missing: list[str], request: _Request
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "platform": request.platform,
        "folder": str(request.folder),
        "check": request.check,
        "files": [{"name": file.name, "change": file.change.value} for file in files],
    }
    if request.platform == "vercel":
        document["crons"] = [
            {
                "id": call.job_id,
                "path": call.path,
                "change": call.fit.value,
                "cron": call.cron or None,
                "detail": call.detail or None,
                "hint": call.hint,
            }
            for call in made.calls
        ]
    if made.bundle is not None:
        document["missing"] = missing
    return document


def _show(files: list[ExportedFile], made: _Export, request: _Request, context: Context) -> None:
    out, folder = context.output, request.folder
    records = [(call.job_id, call.fit.value, call.cron) for call in made.calls]
    out.present(lambda terminal: _tables(made.calls, terminal), lambda: rows((), records, header=False))
    for call in made.calls:
        if call.detail:
            verb = "runs" if call.cron else "is left out:"
            out.warn(f"{call.job_id} {verb} {call.detail}" + (f"; {call.hint}" if call.hint else ""))
    changed = [file for file in files if file.change is not FileChange.UNCHANGED]
    out.lines(rows((), ((file.change.value, str(folder / file.name)) for file in changed), header=False))
    for file in changed:
        if file.change is FileChange.EDITED:
            out.warn(f"{folder / file.name} was edited, so it stays; remove it to have it written again")
    same = len(files) - len(changed)
    if same or not changed:
        out.note("1 file is up to date" if same == 1 else f"{same} files are up to date")
    if not request.check and any(file.change is FileChange.CREATED for file in changed):
        _show_next_step(changed[0], made, request, context)


def _show_next_step(first: ExportedFile, made: _Export, request: _Request, context: Context) -> None:
    out, folder = context.output, request.folder
    if request.platform == "schema":
        path = os.path.relpath(folder / first.name, context.project.folder)
        out.note(
            f"first line of jobctl.toml, for editors: #:schema {path if path.startswith('../') else f'./{path}'}"
        )
        return
    how = f"{folder / 'README.md'}"
    if request.platform == "vercel":
        own = any(name.startswith("project/") for name in made.files)
        how = "vercel deploy --prod" + (f", in {folder}: a Vercel project of its own" if own else "")
    out.note(f"how to deploy it: {how}; keep {RECORD} there: the next export needs it")
    if request.platform == "vercel":
        out.note("set CRON_SECRET, and JOBCTL_STATE to a postgresql:// address, in the Vercel project")


_STYLES = {"exact": "green", "changed": "yellow", "left out": "red"}


def _tables(calls: "Sequence[PlannedCall]", terminal: Terminal) -> "Iterator[RenderableType]":
    if calls:
        yield terminal.table(
            [Column("JOB"), Column("VERCEL"), Column("CRON, UTC")],
            [
                (call.job_id, terminal.text(call.fit.value, _STYLES[call.fit.value]), call.cron)
                for call in calls
            ],
        )
