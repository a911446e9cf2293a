"""Every sentence that a user can meet, collected from the source: ``python -m tests.support.sentences`` prints them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jobctl

PACKAGE = Path(jobctl.__file__).parent
_SHOWN_BY = {"warn", "note", "message", "report_error"}
"""Methods whose first argument people read."""
_SENTENCES = (
    "cli/views/events.py",
    "cli/views/runs.py",
    "cli/views/status.py",
    "subscribers/notification.py",
)
"""Modules whose texts are sentences, wherever they stand in them."""


class Sentence(NamedTuple):
    """A text with its place and kind: ``error``, ``hint``, ``message``, ``help`` or ``event``. Values are in braces."""

    place: str
    kind: str
    text: str


def sentences() -> list[Sentence]:
    """All, in the order of the files."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found += [Sentence(f"{name}:{line}", kind, text) for line, kind, text in sorted(set(_of(tree, name)))]
    return found


def _of(tree: ast.Module, name: str) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called.endswith("Error") and node.args:
                yield from _texts(node.args[0], "error")
            elif called in _SHOWN_BY and node.args:
                yield from _texts(node.args[0], "message")
            for keyword in node.keywords:
                if keyword.arg == "hint" or (keyword.arg == "help" and called in {"Option", "Argument"}):
                    yield from _texts(keyword.value, keyword.arg)
    if name in _SENTENCES:
        inside = {
            id(part)
            for one in ast.walk(tree)
            if isinstance(one, ast.Expr | ast.JoinedStr)  # documentation, and parts of a text
            for part in ast.iter_child_nodes(one)
        }
        for node in ast.walk(tree):
            if id(node) not in inside:
                yield from (
                    (line, "event", text) for line, _, text in _texts(node, "") if text.count(" ") > 1
                )


def _texts(node: ast.AST, kind: str) -> Iterator[tuple[int, str, str]]:
    """The texts that an expression may have; both ways of a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, kind, node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [
            f"{{{ast.unparse(one.value)}}}"
            if isinstance(one, ast.FormattedValue)
            else str(getattr(one, "value", ""))
            for one in node.values
        ]
        yield node.lineno, kind, "".join(parts)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, kind)
        yield from _texts(node.orelse, kind)


if __name__ == "__main__":
    for sentence in sentences():
        print(f"{sentence.kind:<8} {sentence.place:<46} {sentence.text}")
