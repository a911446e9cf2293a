"""What ``mode`` shows: the mode, every rule with what decided it, the conditions and the files."""

from collections.abc import Iterator

from jobctl.cli.views.look import Look, one_line, pad
from jobctl.modes import Explained, Explanation, Seen
from jobctl.text import counted


def screen(found: Explanation, folder: str, look: Look) -> Iterator[str]:
    """The explanation, for a person; the same lines in a pipe, without colour."""
    yield f"{look.paint(found.mode.value, 'bold')}: {found.meaning}    manager: {found.manager}"
    yield ""
    names = max(len(rule.mode.value) for rule in found.rules)
    for number, rule in enumerate(found.rules, 1):
        answer = look.paint("YES", "green") if rule.matched else "no " if rule.asked else "-  "
        yield f"  {number} {rule.mode.value:<{names}}  {answer}  {_reason(rule)}"
    for rule in found.rules:
        if len(rule.variables) > 1:
            yield ""
            yield from _conditions(rule, look)
    yield ""
    yield from _files(found, folder)
    if found.content:
        yield ""
        yield "set by the content, before the environment"
        yield from (f"  {one.name} {one.shown}, {one.source}" for one in found.content)
    if found.hidden:
        yield ""
        yield "values that lost"
        yield from (f"  {name}, {source}: hidden by {by}" for name, source, by in found.hidden)
    yield ""
    yield "To see another case: NODE_ENV=production jobctl mode"


def _reason(rule: Explained) -> str:
    text = one_line(rule.reason)
    if len(rule.variables) == 1 and rule.asked and rule.variables[0].value is not None:
        return f"{text}    {rule.variables[0].source}"
    return text


def _conditions(rule: Explained, look: Look) -> Iterator[str]:
    hold = sum(seen.satisfied for seen in rule.variables)
    yield f"{rule.mode.value}, condition by condition ({hold} of {len(rule.variables)} hold)"
    names = max(len(seen.name) for seen in rule.variables)
    values = min(max(len(_value(seen)) for seen in rule.variables), 40)
    for seen in rule.variables:
        answer = look.paint("yes", "green") if seen.satisfied else "no "
        wanted = "" if seen.satisfied else f"  (must be {seen.expected})"
        yield f"  {answer}  {seen.name:<{names}}  {pad(_value(seen), values)}  {seen.source}{wanted}"


def _value(seen: Seen) -> str:
    if seen.value is None:
        return "-"
    if seen.value == "":
        return '""'
    return one_line(seen.value if seen.secret else f'"{seen.value}"')


def _files(found: Explanation, folder: str) -> Iterator[str]:
    yield f"files for NODE_ENV={one_line(found.node_env)} ({found.node_env_source}) in {one_line(folder)}, first wins"
    names = max(len("process environment"), *(len(file.name) for file in found.files))
    yield f"  {pad('process environment', names)}  always"
    for file in found.files:
        count = counted(file.variables, "variable")
        yield f"  {pad(file.name, names)}  {file.passed_over or (count if file.found else 'not there')}"
