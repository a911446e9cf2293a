"""``jobctl mode``: which scheduler is in charge, and by which variable from which place."""

from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import option
from jobctl.cli.views.mode import piped, screen
from jobctl.errors import ConfigurationError, ConfigurationErrors, ExitCode
from jobctl.modes import explain, resolve
from jobctl.project import Surroundings


class Options(NamedTuple):
    """How much is wanted."""

    short: Annotated[bool, option("mode", "--short")] = False


def run(options: Options, context: Context) -> int:
    """Explain, also where settings are wrong: then with their errors, and as wrong use."""
    project, environment = context.settings()
    others: list[ConfigurationError] = []
    try:
        Surroundings.of(project, environment)
    except ConfigurationError as error:
        others.append(error)
    found = explain(environment, others)
    out = context.output
    if options.short and found.problems:
        raise ConfigurationErrors(list(found.problems))
    if out.json:
        out.document(found.to_json())
    elif options.short:
        out.line(str(resolve(environment)))
    else:
        folder = str(project.folder)
        out.present(lambda terminal: screen(found, folder, terminal), lambda: piped(found, folder))
    if not out.json and not options.short:
        for warning in found.warnings:
            out.warn(warning)
    if not found.problems:
        return ExitCode.DONE
    if not out.json:
        out.problem(ConfigurationErrors(list(found.problems)))
    return ExitCode.USAGE
