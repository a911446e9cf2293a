"""``jobctl mode``: which scheduler is in charge, and by which variable from which place."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from jobctl.cli.context import Context
from jobctl.cli.terminal import GAP, Terminal, one_line, plain
from jobctl.errors import ConfigurationError, ConfigurationErrors, ExitCode
from jobctl.modes import ConditionResult, Explanation, RuleResult, explain, resolve
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import RenderableType


def run(
    context: Context, *, short: Annotated[bool, typer.Option("--short", help="Print only the mode.")] = False
) -> int:
    """Show which scheduler is in charge, and why.

    Examples:
        jobctl mode
        NODE_ENV=production jobctl mode
        jobctl mode --short
    """
    project = context.unchecked_project()
    environment = project.environment
    others: list[ConfigurationError] = []
    try:
        _ = project.state
    except ConfigurationError as error:
        others.append(error)
    explanation = explain(environment, others)
    out = context.output
    if short and explanation.problems:
        raise ConfigurationErrors(list(explanation.problems))
    if out.json:
        out.document(explanation.to_json())
    elif short:
        out.line(str(resolve(environment)))
    else:
        folder = str(project.folder)
        out.present(
            lambda terminal: screen(explanation, folder, terminal), lambda: piped(explanation, folder)
        )
    if not out.json and not short:
        for warning in explanation.warnings:
            out.warn(warning)
    if not explanation.problems:
        return ExitCode.DONE
    if not out.json:
        out.problem(ConfigurationErrors(list(explanation.problems)))
    return ExitCode.USAGE


_STYLES = {"BAD": "red", "?": "red", "YES": "green", "yes": "green", "no": "dim", "-": "dim"}
_WIDEST = 40
_OTHER = "To see another case: NODE_ENV=production jobctl mode"


class _Part(NamedTuple):
    """Rows that belong together, below a title."""

    title: str
    rows: list[tuple[str, ...]]


def piped(explanation: Explanation, folder: str) -> Iterator[str]:
    """The explanation as aligned lines."""
    yield f"{_mode(explanation)}: {explanation.meaning}    manager: {explanation.manager or '-'}"
    for part in _parts(explanation, folder):
        yield ""
        if part.title:
            yield part.title
        yield from plain(part.rows, indent=GAP)
    yield ""
    yield _OTHER


def screen(explanation: Explanation, folder: str, terminal: Terminal) -> "Iterator[RenderableType]":
    """The same on a terminal."""
    head = terminal.text(_mode(explanation), "bold" if explanation.mode else "bold red")
    yield head.append(f": {explanation.meaning}; manager: {explanation.manager or '-'}", "not bold")
    for part in _parts(explanation, folder):
        yield ""
        if part.title:
            yield terminal.heading(part.title)
        yield terminal.grid(
            [[terminal.text(cell, _STYLES.get(cell, "")) for cell in row] for row in part.rows], indent=GAP
        )
    yield ""
    yield _OTHER


def _parts(explanation: Explanation, folder: str) -> Iterator[_Part]:
    yield _Part(
        "",
        [
            (
                f"{number} {rule.mode.value}",
                _answer(rule),
                _reason(rule),
            )
            for number, rule in enumerate(explanation.rules, 1)
        ],
    )
    for rule in explanation.rules:
        if len(rule.variables) > 1:
            hold = sum(seen.satisfied for seen in rule.variables)
            title = f"{rule.mode.value}, condition by condition ({hold} of {len(rule.variables)} hold)"
            yield _Part(title, [_condition(seen) for seen in rule.variables])
    files = [("process environment", "always")]
    for file in explanation.files:
        count = counted(file.variables, "variable")
        files.append((file.name, file.ignored_because or (count if file.found else "not there")))
    node_env = f"NODE_ENV={one_line(explanation.node_env)} ({explanation.node_env_source})"
    yield _Part(f"files for {node_env} in {one_line(folder)}, first wins", [*files])
    if explanation.content:
        content = [(f"{setting.name} {setting.shown}, {setting.source}",) for setting in explanation.content]
        yield _Part("set by the content, before the environment", [*content])
    if explanation.hidden:
        hidden = [(f"{name}, {source}: hidden by {by}",) for name, source, by in explanation.hidden]
        yield _Part("values that lost", [*hidden])


def _mode(explanation: Explanation) -> str:
    return explanation.mode.value if explanation.mode else "not decided"


def _answer(rule: RuleResult) -> str:
    if rule.undecided:
        return "?"
    return "YES" if rule.matched else "no" if rule.evaluated else "-"


def _reason(rule: RuleResult) -> str:
    if len(rule.variables) == 1 and rule.evaluated and rule.variables[0].value is not None:
        return f"{rule.reason}    {rule.variables[0].source}"
    return rule.reason


def _condition(seen: ConditionResult) -> tuple[str, ...]:
    if seen.problem is not None:
        return "BAD", seen.name, _value(seen), f"{seen.source}  ({seen.problem})"
    wanted = "" if seen.satisfied else f"  (must be {seen.expected})"
    return "yes" if seen.satisfied else "no", seen.name, _value(seen), f"{seen.source}{wanted}"


def _value(seen: ConditionResult) -> str:
    if seen.value is None:
        return "-"
    if seen.value == "":
        return '""'
    return seen.value if seen.secret else f'"{seen.value}"'
