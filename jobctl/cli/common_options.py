"""The options that every command takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

if TYPE_CHECKING:
    import typer


MAX_COUNT = 2**31 - 1
"""A larger count fits neither a database nor a list."""


class Common(NamedTuple):
    """The options that every command takes. ``cli.app`` adds them to each command for Typer."""

    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document on standard output.", rich_help_panel="Common"),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only results and errors.", rich_help_panel="Common")
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Print more, and the traceback of an internal error.",
            rich_help_panel="Common",
        ),
    ] = False
    color: Annotated[
        Literal["auto", "always", "never"],
        typer.Option(
            "--color",
            metavar="WHEN",
            help="When to use colours: auto, always or never.",
            rich_help_panel="Common",
        ),
    ] = "auto"
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="The project's folder.",
            show_default="the nearest upward with a project file, or this one",
            rich_help_panel="Common",
        ),
    ] = None

    @classmethod
    def guess(cls, words: list[str]) -> Common:
        """The options of a call that could not be parsed, as far as its error message needs them."""
        return cls(
            json="--json" in words,
            verbose="-v" in words or "--verbose" in words,
            color=_value(words, "--color") or "auto",  # type: ignore[arg-type]
            project=_value(words, "--project"),
        )


def _value(words: list[str], name: str) -> str | None:
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(f"{name}="):
            return word[len(name) + 1 :]
    return None
