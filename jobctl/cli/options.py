"""What the commands' options are made of: names, help and choices come from ``words``."""

from enum import Enum
from typing import Any, NamedTuple

import typer

from jobctl.cli.words import COMMANDS, COMMON, Option

MOST = 2**31 - 1
"""The largest number that is taken as a count: more would fit neither a database nor a list."""


class Common(NamedTuple):
    """The options that every command takes."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"
    project: str | None = None

    @classmethod
    def guess(cls, args: list[str]) -> "Common":
        """What a call means that could not be parsed to its end: enough to tell its error as asked."""
        return cls(
            json="--json" in args,
            verbose="-v" in args or "--verbose" in args,
            color=_value(args, "--color") or "auto",
            project=_value(args, "--project"),
        )


def option(command: str, name: str, **limits: Any) -> Any:
    """The Typer option for one in ``words``; ``min`` and ``max`` bound a number."""
    return _typer_option(name, COMMANDS[command].options[name], **limits)


def common_options() -> dict[str, tuple[Any, Any, Any]]:
    """Parameter name to type, Typer option and default, for all of ``COMMON``."""
    types = {"--color": (When, When.AUTO), "--project": (str | None, None)}
    return {
        name[2:]: (kind, _typer_option(name, words), default)
        for name, words in COMMON.items()
        for kind, default in [types.get(name, (bool, False))]
    }


def argument(metavar: str = "ID", *, hidden: bool = False) -> Any:
    """A positional argument."""
    return typer.Argument(metavar=metavar, show_default=False, help="", hidden=hidden)


class When(Enum):
    """When to colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _typer_option(name: str, words: Option, **limits: Any) -> Any:
    names = [name, words.short] if words.short else [name]
    value = "|".join(words.choices) or words.value
    return typer.Option(*names, help=words.text, metavar=value or None, show_default=False, **limits)


def _value(args: list[str], name: str) -> str | None:
    for at, word in enumerate(args):
        if word == name and at + 1 < len(args):
            return args[at + 1]
        if word.startswith(f"{name}="):
            return word[len(name) + 1 :]
    return None
