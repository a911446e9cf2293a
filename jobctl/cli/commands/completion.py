"""``jobctl completion SHELL``: prints the completion script for a shell, which runs ``jobctl`` for each TAB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

if TYPE_CHECKING:
    import typer

    from jobctl.cli.context import Context

FOLDER = Path(__file__).parents[1] / "completions"
FILES = {"bash": "jobctl.bash", "zsh": "_jobctl", "fish": "jobctl.fish"}
"""Wheels install these files where the shells load them from, see ``pyproject.toml``."""


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
    script = (FOLDER / FILES[shell]).read_text(encoding="utf-8")
    if context.output.json:
        context.output.document({"shell": shell, "script": script})
    else:
        context.output.raw(script)
    return 0
