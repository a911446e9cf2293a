"""``jobctl help [COMMAND|TOPIC]``: help on a command, or a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import jobctl
from jobctl.cli.command_data import COMMANDS
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer
    from rich.console import RenderableType

    from jobctl.cli.context import Context

PAGES = Path(jobctl.__file__).with_name("docs")
TOPICS = (
    "getting-started",
    "jobs",
    "schedules",
    "running",
    "library",
    "site",
    "mail",
    "trigger-dev",
    "vercel",
    "http",
    "several-machines",
    "observability",
    "deployment",
    "variables",
    "secrets",
    "exit-codes",
    "reliability",
    "performance",
    "internals",
)
FORMER_NAMES = {"files": "reliability", "project-file": "jobs"}
"""Pages by the names that they had before version 0.9."""
_LINK_TO_PAGE = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md\)")


def run(
    context: Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="COMMAND|TOPIC",
            help=f"A command, or a topic: {', '.join(TOPICS)}.",
            autocompletion=lambda: [*TOPICS, *COMMANDS],
        ),
    ] = None,
) -> int:
    """Show help on a command, or on a topic.

    Examples:
        jobctl help status
        jobctl help getting-started
        jobctl help exit-codes
    """
    out = context.output
    page = FORMER_NAMES.get(topic or "", topic)
    if page in TOPICS:
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        if out.json:
            out.document({"topic": page, "text": text})
        else:
            out.page(lambda _: _drawn(text), text.splitlines)
        return 0
    if topic is not None and topic not in COMMANDS:
        raise UsageError(
            f"there is no help on {quote(topic)}",
            hint=suggestion(
                topic,
                [*COMMANDS, *TOPICS],
                f"commands: jobctl help; topics: {', '.join(TOPICS)}",
            ),
        )
    from jobctl.cli.app import help_on

    help_on(topic, out)
    return 0


def _drawn(text: str) -> Iterable[RenderableType]:
    from rich.markdown import Markdown

    # a link to another page is a command to type
    return [Markdown(_LINK_TO_PAGE.sub(r"\1 (`jobctl help \2`)", text), hyperlinks=False)]
