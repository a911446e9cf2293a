"""What the README tells is what there is: commands, options, variables, exit codes, examples."""

import re
import shlex
from pathlib import Path

import pytest

from jobctl.cli.words import COMMANDS, COMMON, HELP, VERSION, Option
from jobctl.errors import ExitCode
from jobctl.settings.variables import VARIABLES

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SHELL = [
    line
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
EVERYWHERE = {**COMMON, "--help": HELP, "--version": VERSION}


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(title: str) -> list[str]:
    rows = re.findall(r"^\| (.*?) \|", section(title), re.MULTILINE)
    return [cell for cell in rows[1:] if not set(cell) <= set("- |")]


def called(line: str) -> list[list[str]]:
    """The calls of jobctl on a line of a shell, as words."""
    words = shlex.split(line.removeprefix("$ ").replace("…", ""), comments=True)
    calls: list[list[str]] = []
    for word in words:
        if word == "jobctl" or word.endswith("/jobctl"):
            calls.append([])
        elif word in {"&&", "|", ";"}:
            calls.append(["-"])
        elif calls:
            calls[-1].append(word)
    return [call for call in calls if call and call[0] in COMMANDS]


def names(options: dict[str, Option]) -> set[str]:
    return {*options, *(one.short for one in options.values() if one.short)}


def test_every_command_has_its_row() -> None:
    told = {name for cell in first_cells("Commands") for name in re.findall(r"`(\w+)", cell)}

    assert told == set(COMMANDS)


def test_every_option_that_is_told_is_one_of_the_commands() -> None:
    for line in section("Commands").splitlines():
        cells = line.strip("| ").split(" | ")
        if cells[0].startswith("`"):
            own = [COMMANDS[name].options for name in re.findall(r"`(\w+)", cells[0])]
            known = set().union(*(names(one) for one in own), names(EVERYWHERE))
            assert set(re.findall(r"`(-[-\w]*)", line)) <= known, line


def test_every_variable_has_its_row() -> None:
    told = {name for cell in first_cells("Variables") for name in re.findall(r"`(\w+)`", cell)}

    assert set(VARIABLES) <= told


def test_every_exit_code_has_its_row() -> None:
    told = {int(code) for cell in first_cells("Exit codes") for code in cell.split(", ")}

    assert told == {*(int(code) for code in ExitCode), 143}


@pytest.mark.parametrize(
    "line", [*SHELL, *(line for one in COMMANDS.values() for line in one.examples)], ids=str
)
def test_every_call_that_is_shown_can_be_made(line: str) -> None:
    for name, *words in called(line):
        known = names({**COMMANDS[name].options, **EVERYWHERE})
        assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_of_itself(name: str) -> None:
    examples = COMMANDS[name].examples

    assert examples
    assert all(any(call[0] == name for call in called(line)) for line in examples)
