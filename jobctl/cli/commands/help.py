"""``jobctl help [COMMAND|TOPIC]``: help on a command, or a page of the documentation."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import jobctl
from jobctl.cli.context import Context
from jobctl.cli.options import argument
from jobctl.cli.words import COMMANDS, NAMES
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

PAGES = Path(jobctl.__file__).with_name("docs")
FORMER_NAMES = {"files": "reliability", "project-file": "jobs"}
"""Pages by the names that they had before version 0.9."""
_LINK_TO_PAGE = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md\)")


class Options(NamedTuple):
    """The command or topic; None shows the overview of all commands."""

    what: Annotated[str | None, argument("COMMAND|TOPIC")] = None


def run(options: Options, context: Context) -> int:
    """Show the help of a command, or a page."""
    what, out = options.what, context.output
    topic = FORMER_NAMES.get(what or "", what)
    if topic in NAMES["help"]:
        text = (PAGES / f"{topic}.md").read_text(encoding="utf-8")
        if out.json:
            out.document({"topic": topic, "text": text})
        else:
            out.page(lambda _: _drawn(text), text.splitlines)
        return 0
    if what is not None and what not in COMMANDS:
        raise UsageError(
            f"there is no help on {quote(what)}",
            hint=suggestion(
                what,
                [*COMMANDS, *NAMES["help"]],
                f"commands: jobctl help; topics: {', '.join(NAMES['help'])}",
            ),
        )
    from jobctl.cli.app import help_on

    help_on(what)
    return 0


def _drawn(text: str) -> "Iterable[RenderableType]":
    from rich.markdown import Markdown

    # a link to another page is a command to type
    return [Markdown(_LINK_TO_PAGE.sub(r"\1 (`jobctl help \2`)", text), hyperlinks=False)]
