"""``jobctl mode``: which scheduler is in charge, and by which variable from which place."""

from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import option
from jobctl.cli.views.mode import piped, screen
from jobctl.modes import explain


class Options(NamedTuple):
    """How much is wanted."""

    short: Annotated[bool, option("mode", "--short")] = False


def run(options: Options, context: Context) -> int:
    """Explain."""
    found = explain(context.environment)
    out = context.output
    if out.json:
        out.document(found.to_json())
    elif options.short:
        out.line(found.mode.value)
    else:
        folder = str(context.project.folder)
        out.present(lambda terminal: screen(found, folder, terminal), lambda: piped(found, folder))
    if not out.json and not options.short:
        for warning in found.warnings:
            out.warn(warning)
    return 0
