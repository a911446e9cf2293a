"""``jobctl export PLATFORM DIR``: writes what another platform needs to run these same jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from jobctl.cli.terminal import Column, Terminal, rows
from jobctl.errors import ExitCode, UsageError
from jobctl.export_folder import RECORD, Contents, Fate, Written, compare, write
from jobctl.settings.masking import cron_secret_weakness
from jobctl.text import quote
from jobctl.vercel.crons import Plan, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import typer
    from rich.console import RenderableType

    from jobctl.bundle import Carried, Wheel
    from jobctl.cli.context import Context
    from jobctl.vercel.export import Placed


class _Request(NamedTuple):
    platform: str
    folder: Path
    check: bool
    plan: Plan
    target: Target
    from_index: bool


class Export(NamedTuple):
    """What is to be written, and what to say of it."""

    files: Contents
    merged: dict[str, str] = {}  # noqa: RUF012 - never written to
    placed: tuple[Placed, ...] = ()
    wheel: Wheel | None = None
    carried: Carried | None = None
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
        Target | None, typer.Option("--target", help="Vercel's list of calls to write.")
    ] = None,
    from_index: Annotated[
        bool, typer.Option("--from-index", help="Install the released jobctl instead of carrying this one.")
    ] = False,
) -> int:
    """Write what another platform, or an editor, needs.

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
    _demand(request)
    with context.output.working("making the files"):
        return _export(request, context)


def _export(request: _Request, context: Context) -> int:
    made = _PLATFORMS[request.platform](request, context)
    put = compare if request.check else write
    found = put(request.folder, made.files, made.merged)
    missing: list[str] = []
    if made.carried is not None:
        from jobctl.bundle import ignored, still_missing

        missing = still_missing(request.folder, made.carried, made.wheel, request.platform)
        missing += ignored(request.folder, made.files)
    if context.output.json:
        context.output.document(_document(found, made, missing, request))
    else:
        _show(found, made, request, context)
    for sentence in filter(None, [*missing, made.warning]):
        context.output.warn(sentence)
    if made.carried is not None and context.catalogue.note:
        context.output.note(context.catalogue.note)
    weak = cron_secret_weakness(context.environment.secret("CRON_SECRET"))
    if weak and request.platform == "vercel":
        context.output.warn(weak)
    _caution(request, context)
    stale = [one for one in found if one.fate not in {Fate.UNCHANGED, Fate.EDITED}]
    return ExitCode.JOB_FAILED if request.check and (stale or missing) else ExitCode.DONE


def _schema(request: _Request, context: Context) -> Export:
    from jobctl.catalogue.json_schema import schema_files

    del request
    return Export(schema_files(context.catalogue.others))


def _trigger_dev(request: _Request, context: Context) -> Export:
    from jobctl.trigger_dev import export

    wheel, carried = _along(request, context, export.EXTRAS)
    files = export.worker_files(
        request.folder, context.project.location, context.catalogue.jobs, carried, wheel
    )
    return Export(files, wheel=wheel, carried=carried)


def _vercel(request: _Request, context: Context) -> Export:
    from jobctl.vercel import export

    jobs, plan, target = context.catalogue.jobs, request.plan, request.target
    wheel, carried = _along(request, context, export.EXTRAS)
    longest = export.longest_call(jobs, plan)
    files = export.deployment_files(request.folder, context.project.location, carried, wheel, longest)
    placed = export.place(request.folder, jobs, plan, context.now(), target)
    merged = export.config(request.folder, placed, longest, target)
    return Export(files, merged, tuple(placed), wheel, carried, export.too_long(jobs, plan))


_PLATFORMS = {"schema": _schema, "trigger-dev": _trigger_dev, "vercel": _vercel}


def _along(request: _Request, context: Context, extras: tuple[str, ...]) -> tuple[Wheel | None, Carried]:
    """The wheel of jobctl, None where the index has it, and what the jobs need besides."""
    from jobctl.bundle import carry, pack

    return (None if request.from_index else pack()), carry(
        context.project.location, context.catalogue.jobs, extras
    )


def _caution(request: _Request, context: Context) -> None:
    """Warn of settings that the platform does not honour."""
    from jobctl.platforms import AT_TRIGGER_DEV, AT_VERCEL, not_honoured

    there = request.platform == "trigger-dev"
    if not there and request.platform != "vercel":
        return
    jitter = there or request.target is Target.SCHEDULES
    for job in context.catalogue.jobs:
        found = [not_honoured(job, AT_TRIGGER_DEV if there else AT_VERCEL, jitter=jitter)]
        if there and job.schedule and job.enabled:
            from jobctl.trigger_dev.cron import caution

            found.append(caution(job.schedule, context.now()) or "")
        if words := "; ".join(filter(None, found)):
            context.output.warn(f"{job.id}: {words}")


def _demand(request: _Request) -> None:
    if request.platform == "schema" and request.from_index:
        raise UsageError("schema has no --from-index: it installs nothing", hint="leave it out")
    if os.path.lexists(request.folder) and not os.path.isdir(request.folder):  # noqa: PTH112
        raise UsageError(f"{quote(str(request.folder))} is no folder", hint="name a folder, or one to make")


def _document(found: list[Written], made: Export, missing: list[str], request: _Request) -> dict[str, Any]:
    document: dict[str, Any] = {
        "platform": request.platform,
        "folder": str(request.folder),
        "check": request.check,
        "files": [{"name": one.name, "change": one.fate.value} for one in found],
    }
    if request.platform == "vercel":
        document["crons"] = crons_document(made.placed)
    if made.carried is not None:
        document["missing"] = missing
    return document


def _show(found: list[Written], made: Export, request: _Request, context: Context) -> None:
    out, placed, folder = context.output, made.placed, request.folder
    out.present(lambda terminal: crons_table(placed, terminal), lambda: piped_crons(placed))
    for warning in cron_warnings(placed):
        out.warn(warning)
    told = [one for one in found if one.fate is not Fate.UNCHANGED]
    out.lines(rows((), ((one.fate.value, str(folder / one.name)) for one in told), header=False))
    for one in told:
        if one.fate is Fate.EDITED:
            out.warn(f"{folder / one.name} was edited, so it stays; remove it to have it written anew")
    same = len(found) - len(told)
    words = "1 file is as it should be" if same == 1 else f"{same} files are as they should be"
    if same or not told:
        out.note(words)
    if not request.check and any(one.fate is Fate.CREATED for one in told):
        if request.platform == "schema":
            place = os.path.relpath(folder / told[0].name, context.project.folder)
            shown = place if place.startswith("../") else f"./{place}"
            out.note(f"first line of jobctl.toml, for editors: #:schema {shown}")
            return
        how = f"{folder / 'README.md'}"
        if request.platform == "vercel":
            own = any(name.startswith("project/") for name in made.files)
            how = "vercel deploy --prod" + (f", in {folder}: a Vercel project of its own" if own else "")
        out.note(f"how to deploy it: {how}; keep {RECORD} beside it")
        if request.platform == "vercel":
            out.note("set CRON_SECRET, and JOBCTL_STATE to a postgresql:// address, in the Vercel project")


_STYLES = {"exact": "green", "changed": "yellow", "left out": "red"}


def piped_crons(placed: Iterable[Placed]) -> Iterable[str]:
    """One job a line, tabs between."""
    return rows((), ((one.job_id, one.kept.value, one.cron) for one in placed), header=False)


def crons_table(placed: Sequence[Placed], terminal: Terminal) -> Iterator[RenderableType]:
    """A table, where there is a job to show."""
    if placed:
        titles = [Column("JOB"), Column("VERCEL"), Column("CRON, UTC")]
        yield terminal.table(
            titles,
            [
                (one.job_id, terminal.text(one.kept.value, _STYLES[one.kept.value]), one.cron)
                for one in placed
            ],
        )


def cron_warnings(placed: Iterable[Placed]) -> Iterator[str]:
    """A sentence for each schedule that is not kept."""
    for one in placed:
        if one.told:
            what = "runs" if one.cron else "is left out:"
            hint = f"; {one.hint}" if one.hint else ""
            yield f"{one.job_id} {what} {one.told}{hint}"


def crons_document(placed: Iterable[Placed]) -> list[dict[str, Any]]:
    """The same for ``--json``."""
    return [
        {
            "id": one.job_id,
            "path": one.path,
            "change": one.kept.value,
            "cron": one.cron or None,
            "detail": one.told or None,
            "hint": one.hint,
        }
        for one in placed
    ]
