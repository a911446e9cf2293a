"""Makes ``jobctl/cli/command_data.py`` from the Typer application: ``python -m tests.support.command_data``."""

import inspect
from pathlib import Path
from typing import Any

import typer

import jobctl.cli
from jobctl.cli.app import PANELS, app, build, declared
from jobctl.cli.shared_parameters import job_ids

FILE = Path(jobctl.cli.__file__).with_name("command_data.py")
_HEAD = '''\
"""Every command with its arguments and options, for TAB and for simple calls, which do not load Typer.

Generated from the Typer application by ``python -m tests.support.command_data``; do not edit.
"""

from typing import NamedTuple


class Argument(NamedTuple):
    """A positional argument. It takes ``values`` alone, where there are any; TAB offers ``offers``."""

    parameter: str
    is_required: bool
    values: tuple[str, ...]
    offers: tuple[str, ...]


class Option(NamedTuple):
    """An option; ``value`` names its value in help and is empty for a flag. ``parameter`` is empty where Typer acts itself."""

    parameter: str
    short: str
    value: str
    offers: tuple[str, ...]
    help: str

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.value


class CommandEntry(NamedTuple):
    """A command: one clause of help, its arguments, and its options without the common ones."""

    summary: str
    arguments: tuple[Argument, ...]
    options: dict[str, Option]


JOBS = ("job ids",)
"""Stands in ``offers`` for the ids of the project's jobs."""

# fmt: off
# ruff: noqa: COM819, Q000
'''


def source() -> str:
    """The module's text."""
    commands = {name: build(name) for names in PANELS.values() for name in names}
    common = _options(next(iter(commands.values())), {}, common=True)
    parts = [_HEAD, "COMMON = {\n", *_lines(common, "    "), "}\n", "ROOT_OPTIONS = {\n"]
    root = typer.main.get_command(app)
    context = root.make_context("jobctl", [], resilient_parsing=True)
    version = {one.opts[0]: one for one in root.get_params(context)}["--version"]
    parts += [*_lines({"--version": _option(version, ())}, "    "), "}\n", "COMMANDS = {\n"]
    for name, command in commands.items():
        hints = declared(inspect.getmodule(_function(name)).run)  # type: ignore[union-attr]
        summary = command.help.partition("\n")[0].rstrip(".")
        arguments = [_argument(one, hints) for one in command.params if one.param_type_name == "argument"]
        options = _options(command, hints, common=False)
        parts.append(
            f"    {name!r}: CommandEntry({summary!r}, ({''.join(f'{one}, ' for one in arguments)}), {{\n"
        )
        parts += [*_lines(options, "        "), "    }),\n"]
    return "".join([*parts, "}\n"])


def examples(name: str) -> list[str]:
    """The calls that end a command's help."""
    return [line.strip() for line in build(name).epilog.splitlines() if line.strip()]


def _function(name: str) -> Any:
    from importlib import import_module

    return import_module(f"jobctl.cli.commands.{name}").run


def _lines(options: dict[str, str], indent: str) -> list[str]:
    return [f"{indent}{name!r}: {option},\n" for name, option in options.items()]


def _options(command: Any, hints: dict[str, Any], *, common: bool) -> dict[str, str]:
    context = command.make_context(command.name, [], resilient_parsing=True)
    return {
        max(one.opts, key=len): _option(one, _offers(one, hints))
        for one in command.get_params(context)
        if one.param_type_name == "option" and (one.rich_help_panel == "Common") is common
    }


def _option(option: Any, offers: tuple[str, ...] | str) -> str:
    short = next((one for one in option.opts if not one.startswith("--")), "")
    value = "" if option.is_flag else option.metavar or "|".join(_choices(option)) or option.type.name.upper()
    parameter = option.name if option.expose_value else ""
    return f"Option({parameter!r}, {short!r}, {value!r}, {offers}, {option.help!r})"


def _argument(argument: Any, hints: dict[str, Any]) -> str:
    choices, offers = _choices(argument), _offers(argument, hints)
    return f"Argument({argument.name!r}, {argument.required}, {choices}, {offers})"


def _choices(parameter: Any) -> tuple[str, ...]:
    return tuple(str(getattr(one, "value", one)) for one in getattr(parameter.type, "choices", ()))


def _offers(parameter: Any, hints: dict[str, Any]) -> tuple[str, ...] | str:
    (info,) = getattr(hints.get(parameter.name), "__metadata__", (None,))
    complete = getattr(info, "autocompletion", None)
    if complete is job_ids:
        return "JOBS"
    return tuple(complete()) if complete else _choices(parameter)


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
