"""``jobctl completion SHELL``: prints the script of ``completions/``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jobctl.cli.context import Context

SCRIPTS = Path(__file__).parents[1] / "completion_scripts"
"""A file for each shell; in the repository links to ``completions/``."""


def run(
    context: Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")
    ],
) -> int:
    """Print the completion script for a shell.

    Examples:
        jobctl completion bash > ~/.local/share/bash-completion/completions/jobctl
        jobctl completion zsh > "${fpath[1]}/_jobctl"
        jobctl completion fish > ~/.config/fish/completions/jobctl.fish
    """
    script = (SCRIPTS / shell).read_text(encoding="utf-8")
    if context.output.json:
        context.output.document({"shell": shell, "script": script})
    else:
        context.output.raw(script)
    return 0
