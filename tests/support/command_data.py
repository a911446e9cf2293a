"""Makes ``jobctl/cli/command_data.py`` from the Typer application: ``python -m tests.support.command_data``."""

from pathlib import Path
from typing import Any

import typer

import jobctl.cli
from jobctl.cli.app import PANELS, app, build, command_module
from jobctl.cli.options import job_arguments, job_ids

FILE = Path(jobctl.cli.__file__).with_name("command_data.py")
_STAND_INS = {job_ids: "JOBS", job_arguments: "JOB_ARGUMENTS"}
_DATA = "# fmt: off\n"
"""Where the generated part of the module begins."""
_ALIASES = "COMMANDS |= {alias: COMMANDS[name] for alias, name in ALIASES.items()}\n"


def source() -> str:
    """The module's text."""
    commands = {name: build(name) for names in PANELS.values() for name in names}
    common = _options(next(iter(commands.values())), {}, common=True)
    head, mark, _ = FILE.read_text(encoding="utf-8").partition(_DATA)
    parts = [
        head,
        mark,
        "# ruff: noqa: COM819, Q000\n",
        "COMMON = {\n",
        *_lines(common, "    "),
        "}\n",
        "ROOT_OPTIONS = {\n",
    ]
    root = typer.main.get_command(app)
    context = root.make_context("jobctl", [], resilient_parsing=True)
    version = {one.opts[0]: one for one in root.get_params(context)}["--version"]
    parts += [*_lines({"--version": _option(version, ())}, "    "), "}\n", "COMMANDS = {\n"]
    for name, command in commands.items():
        hints = command_module(name).run.__annotations__
        summary = command.help.partition("\n")[0].rstrip(".")
        arguments = [_offers(one, hints) for one in command.params if one.param_type_name == "argument"]
        options = _options(command, hints, common=False)
        parts.append(
            f"    {name!r}: CommandEntry({summary!r}, ({''.join(f'{one}, ' for one in arguments)}), {{\n"
        )
        parts += [*_lines(options, "        "), "    }),\n"]
    return "".join([*parts, "}\n", _ALIASES])


def examples(name: str) -> list[str]:
    """The calls that end a command's help."""
    return [line.strip() for line in build(name).epilog.splitlines() if line.strip()]


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
    return f"Option({short!r}, {value!r}, {offers}, {option.help!r})"


def _choices(parameter: Any) -> tuple[str, ...]:
    return tuple(str(getattr(one, "value", one)) for one in getattr(parameter.type, "choices", ()))


def _offers(parameter: Any, hints: dict[str, Any]) -> tuple[str, ...] | str:
    (info,) = getattr(hints.get(parameter.name), "__metadata__", (None,))
    complete = getattr(info, "autocompletion", None)
    if complete in _STAND_INS:
        return _STAND_INS[complete]
    return tuple(complete()) if complete else _choices(parameter)


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
