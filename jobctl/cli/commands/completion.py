"""``jobctl completion SHELL``: prints the script that ``completions/`` holds too."""

from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument
from jobctl.cli.scripts import SCRIPTS
from jobctl.cli.words import SHELLS
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion


class Options(NamedTuple):
    """What is asked for."""

    shell: Annotated[str | None, argument("bash|zsh|fish")] = None


def run(options: Options, context: Context) -> int:
    """Print the script."""
    shell = options.shell
    if shell is None:
        raise UsageError(
            "completion needs a shell: bash, zsh or fish", hint="jobctl completion --help shows where it goes"
        )
    if shell not in SCRIPTS:
        raise UsageError(
            f"there is no completion for {quote(shell)}",
            hint=suggestion(shell, SHELLS, "there is one for bash, zsh and fish"),
        )
    if context.output.json:
        context.output.document({"shell": shell, "script": SCRIPTS[shell]})
    else:
        context.output.raw(SCRIPTS[shell])
    return 0
