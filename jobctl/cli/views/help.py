"""Help: the root page, which fits a small terminal, and a page a command; for a terminal and for a pipe."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jobctl.cli.terminal import GAP, Terminal
from jobctl.cli.words import COMMANDS, COMMON, GROUPS, HELP, NAMES, OPERANDS, Option

if TYPE_CHECKING:
    from rich.console import RenderableType

_ROOT_USAGE = "Usage: jobctl COMMAND [OPTIONS]     background jobs of a site, and your own"
_BEGIN = "Begin   jobctl run --demo     jobctl mode     jobctl help COMMAND     jobctl -V"
_WIDTH = 80


class Section(NamedTuple):
    """A title, and names with what they mean."""

    title: str
    rows: Sequence[tuple[str, str]]


def overview() -> Iterator[str]:
    """What ``jobctl`` alone shows in a pipe: each command on a line, by what it is for."""
    yield _ROOT_USAGE
    yield ""
    for group, name, summary in _listed():
        yield f"{group:<7} {name:<11} {summary}"
    yield _each()
    yield _BEGIN


def overview_screen(terminal: Terminal) -> "Iterator[RenderableType]":
    """The same on a terminal."""
    from rich.table import Table

    yield terminal.text(_ROOT_USAGE)
    yield ""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for style in ("bold", "cyan", ""):
        grid.add_column(style=style, no_wrap=bool(style))
    for group, name, summary in _listed():
        grid.add_row(f"{group:<7}", f"{name:<11}", summary)
    yield grid
    yield terminal.text(_each(), "dim")
    yield terminal.text(_BEGIN, "dim")


def piped(usage: str, name: str, operands: Iterable[str]) -> Iterator[str]:
    """The page of a command in a pipe."""
    from textwrap import wrap

    yield usage
    yield ""
    yield f"  {_summary(name)}"
    for section in sections(name, operands):
        yield ""
        yield f"{section.title}:"
        width = max(len(one) for one, _ in section.rows)
        indent = " " * min(width + 2 * GAP, 34)
        for one, text in section.rows:
            head = f"  {one:<{len(indent) - GAP}}"
            lines = wrap(text, _WIDTH - len(indent), break_on_hyphens=False) or [""]
            if len(head) > len(indent):
                yield head.rstrip()
                head = indent
            yield f"{head}{lines[0]}".rstrip()
            yield from (f"{indent}{line}" for line in lines[1:])
    yield ""
    yield "Examples:"
    yield from (f"  $ {one}" for one in COMMANDS[name].examples)


def screen(usage: str, name: str, operands: Iterable[str], terminal: Terminal) -> "Iterator[RenderableType]":
    """The same on a terminal."""
    yield terminal.text(usage, "bold")
    yield ""
    yield _summary(name)
    for section in sections(name, operands):
        yield ""
        yield terminal.heading(section.title)
        yield terminal.fields(
            (terminal.text(f"  {one}", "cyan"), _meaning(text, terminal)) for one, text in section.rows
        )
    yield ""
    yield terminal.heading("Examples")
    for one in COMMANDS[name].examples:
        yield terminal.hanging("  $ ", one, "dim")


def sections(name: str, operands: Iterable[str]) -> list[Section]:
    """Arguments, the command's own options, and those of every command."""
    command = COMMANDS[name]
    found = [
        Section(
            "Arguments", [(one, OPERANDS.get(one) or ", ".join(NAMES[command.argument])) for one in operands]
        ),
        Section("Options", _options(command.options)),
        Section("Options of every command", _options({**COMMON, "--help": HELP})),
    ]
    return [one for one in found if one.rows]


def _summary(name: str) -> str:
    summary = COMMANDS[name].summary
    return f"{summary[:1].upper()}{summary[1:]}."


def _options(options: dict[str, Option]) -> list[tuple[str, str]]:
    return [(option.names(long), option.text) for long, option in options.items()]


def _meaning(text: str, terminal: Terminal) -> "RenderableType":
    meaning, found, default = text.partition(" [default: ")
    return terminal.text(meaning).append(f"{found}{default}", "dim")


def _listed() -> Iterator[tuple[str, str, str]]:
    for group in GROUPS:
        label = group
        for name, one in COMMANDS.items():
            if one.group == group and name != "help":  # which the last line shows
                yield label, name, one.summary
                label = ""


def _each() -> str:
    options = "  ".join(
        f"{one.short or name} {one.value}".rstrip() for name, one in {**COMMON, "--help": HELP}.items()
    )
    return f"Each    {options} (options, examples)"
