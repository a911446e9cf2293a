"""``jobctl export PLATFORM DIR``: writes what another platform needs to run these same jobs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.terminal import rows
from jobctl.cli.views import crons
from jobctl.cli.words import NAMES
from jobctl.errors import ExitCode, UsageError
from jobctl.exports.folder import RECORD, Fate, Written, compare, write
from jobctl.exports.plans import Plan
from jobctl.settings.secret import cron_secret_weakness
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from jobctl.exports.vercel import Placed


class Options(NamedTuple):
    """What to write, and where."""

    platform: Annotated[str | None, argument("|".join(NAMES["platform"]))] = None
    folder: Annotated[str | None, argument("DIR")] = None
    check: Annotated[bool, option("export", "--check")] = False
    plan: Annotated[Plan | None, option("export", "--plan")] = None


def run(options: Options, context: Context) -> int:
    """Write what has changed, or with ``--check`` say what would."""
    _demand(options)
    folder = Path(options.folder or "")
    placed: list[Placed] = []
    merged: dict[str, str] = {}
    if options.platform == "vercel":
        from jobctl.exports.vercel import config, deployment_files, place

        files = deployment_files(folder, context.project)
        placed = place(folder, context.catalogue.jobs, options.plan or Plan.PRO, context.now())
        merged = config(folder, placed)
    elif options.platform == "schema":
        from jobctl.exports.schema import schema_files

        files = schema_files(context.catalogue.others)
    else:
        from jobctl.exports.trigger_dev import worker_files

        files = worker_files(folder, context.project, context.catalogue.jobs)
    found = compare(folder, files, merged) if options.check else write(folder, files, merged)
    _show(found, placed, folder, options, context)
    weak = cron_secret_weakness(context.environment.secret("CRON_SECRET"))
    if weak and options.platform == "vercel":
        context.output.warn(weak)
    _caution(options, context)
    stale = [one for one in found if one.fate not in {Fate.UNCHANGED, Fate.EDITED}]
    return ExitCode.JOB_FAILED if options.check and stale else ExitCode.DONE


def _caution(options: Options, context: Context) -> None:
    """A warning for each job of which something does not hold there."""
    from jobctl.managers.elsewhere import AT_TRIGGER_DEV, AT_VERCEL, not_kept

    queued = {"trigger-dev": AT_TRIGGER_DEV, "vercel": AT_VERCEL}.get(options.platform or "")
    for job in context.catalogue.jobs if queued else ():
        if words := not_kept(job, queued or ""):
            context.output.warn(f"{job.id}: {words}")


def _demand(options: Options) -> None:
    known = NAMES["platform"]
    if options.platform is None or options.folder is None:
        raise UsageError("export needs a platform and a folder", hint="jobctl export trigger-dev worker")
    if options.platform not in known:
        raise UsageError(
            f"there is no platform {quote(options.platform)}",
            hint=suggestion(options.platform, known, f"all: {', '.join(known)}"),
        )
    if options.plan is not None and options.platform != "vercel":
        raise UsageError(f"{options.platform} has no --plan: it is for vercel", hint="leave it out")
    if os.path.lexists(options.folder) and not os.path.isdir(options.folder):  # noqa: PTH112
        raise UsageError(f"{quote(options.folder)} is no folder", hint="name a folder, or one to make")


def _show(
    found: list[Written], placed: "list[Placed]", folder: Path, options: Options, context: Context
) -> None:
    out = context.output
    if out.json:
        document: dict[str, Any] = {
            "platform": options.platform,
            "folder": str(folder),
            "check": options.check,
            "files": [{"name": one.name, "change": one.fate.value} for one in found],
        }
        if options.platform == "vercel":
            document["crons"] = crons.document(placed)
        out.document(document)
        return
    out.present(lambda terminal: crons.screen(placed, terminal), lambda: crons.piped(placed))
    for warning in crons.warnings(placed):
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
    if not options.check and any(one.fate is Fate.CREATED for one in told):
        if options.platform == "schema":
            place = os.path.relpath(folder / told[0].name, context.project.folder)
            shown = place if place.startswith("../") else f"./{place}"
            out.note(f"first line of jobctl.toml, for editors: #:schema {shown}")
            return
        how = f"{folder / 'README.md'}" if options.platform == "trigger-dev" else "vercel deploy --prod"
        out.note(f"how to deploy it: {how}; keep {RECORD} beside it")
        if options.platform == "vercel":
            out.note("set CRON_SECRET, and JOBCTL_STATE to a postgresql:// address, in the Vercel project")
