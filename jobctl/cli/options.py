"""What the commands' options are made of: names, help and choices come from ``words``."""

from enum import Enum
from typing import Any, NamedTuple

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


class Declared(NamedTuple):
    """What Typer makes a parameter of, when it is needed. An argument has no ``names``."""

    names: tuple[str, ...]
    settings: dict[str, Any]

    def parameter(self) -> Any:
        """Typer's option or argument."""
        import typer

        made = typer.Option if self.names else typer.Argument
        return made(*self.names, show_default=False, **self.settings)


def option(command: str, name: str, **limits: Any) -> Declared:
    """The option for one in ``words``; ``min`` and ``max`` bound a number."""
    return _declared(name, COMMANDS[command].options[name], **limits)


def common_options() -> dict[str, tuple[Any, Declared, Any]]:
    """Parameter name to type, option and default, for all of ``COMMON``."""
    types = {"--color": (When, When.AUTO), "--project": (str | None, None)}
    return {
        name[2:]: (kind, _declared(name, words), default)
        for name, words in COMMON.items()
        for kind, default in [types.get(name, (bool, False))]
    }


def argument(metavar: str = "ID", *, hidden: bool = False) -> Declared:
    """A positional argument."""
    return Declared((), {"metavar": metavar, "help": "", "hidden": hidden})


class When(Enum):
    """When to colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def behind_command(args: list[str]) -> list[str]:
    """``--json status`` as ``status --json``: leading common options moved behind the command."""
    shorts = {words.short: name for name, words in COMMON.items() if words.short}
    moved: list[str] = []
    rest = list(args)
    while rest:
        name, assigned, _ = rest[0].partition("=")
        words = COMMON.get(shorts.get(name, name))
        if words is None:
            break
        moved.append(rest.pop(0))
        if words.value and not assigned and rest:
            moved.append(rest.pop(0))
    return [*rest[:1], *moved, *rest[1:]] if rest else moved


def _declared(name: str, words: Option, **limits: Any) -> Declared:
    value = "|".join(words.choices) or words.value
    names = (name, words.short) if words.short else (name,)
    return Declared(names, {"help": words.text, "metavar": value or None, **limits})


def _value(args: list[str], name: str) -> str | None:
    for at, word in enumerate(args):
        if word == name and at + 1 < len(args):
            return args[at + 1]
        if word.startswith(f"{name}="):
            return word[len(name) + 1 :]
    return None
