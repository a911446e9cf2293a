"""``jobctl export PLATFORM DIR``: writes what another platform needs to run these same jobs."""

from pathlib import Path
from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.views.table import rows
from jobctl.cli.words import NAMES
from jobctl.errors import ExitCode, UsageError
from jobctl.exports.folder import RECORD, Fate, Written, compare, write
from jobctl.text import quote, suggestion


class Options(NamedTuple):
    """What to write, and where."""

    platform: str | None = None
    folder: str | None = None
    check: bool = False


def command(
    context: Context,
    *,
    platform: Annotated[str | None, argument("|".join(NAMES["platform"]))] = None,
    folder: Annotated[str | None, argument("DIR")] = None,
    check: Annotated[bool, option("export", "--check")] = False,
) -> int:
    """Parse."""
    return run(Options(platform, folder, check), context)


def run(options: Options, context: Context) -> int:
    """Write what has changed, or with ``--check`` say what would."""
    _demand(options)
    folder = Path(options.folder or "")
    from jobctl.exports.trigger_dev import worker_files

    files = worker_files(folder, context.project, context.catalogue.jobs)
    found = compare(folder, files) if options.check else write(folder, files)
    _show(found, folder, options, context)
    stale = [one for one in found if one.fate not in {Fate.UNCHANGED, Fate.EDITED}]
    return ExitCode.JOB_FAILED if options.check and stale else ExitCode.DONE


def _demand(options: Options) -> None:
    known = NAMES["platform"]
    if options.platform is None or options.folder is None:
        raise UsageError("export needs a platform and a folder", hint="jobctl export trigger-dev worker")
    if options.platform not in known:
        raise UsageError(
            f"there is no platform {quote(options.platform)}",
            hint=suggestion(options.platform, known, f"all: {', '.join(known)}"),
        )
    folder = Path(options.folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{quote(options.folder)} is no folder", hint="name a folder, or one to make")


def _show(found: list[Written], folder: Path, options: Options, context: Context) -> None:
    out = context.output
    if out.json:
        out.document(
            {
                "platform": options.platform,
                "folder": str(folder),
                "check": options.check,
                "files": [{"name": one.name, "change": one.fate.value} for one in found],
            }
        )
        return
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
        out.note(f"how to deploy it: {folder / 'README.md'}; keep {RECORD} beside it")
