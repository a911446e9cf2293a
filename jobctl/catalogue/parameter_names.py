"""The parameters of a job's function as its source shows them, for completion: no module is imported."""

import ast
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple


class Parameter(NamedTuple):
    """A parameter that an argument can be given for.

    Attributes:
        hint: its type hint as written; empty without.
        choices: the values that it takes, where the hint lists them.
    """

    name: str
    hint: str
    choices: tuple[str, ...]


def parameters_in_source(target: str, folder: Path) -> list[Parameter]:
    """The parameters of ``module:function``; none where the source is not found.

    Args:
        folder: the project's, where modules are searched first.

    Raises:
        OSError, ValueError, SyntaxError: the source cannot be read.
    """
    module, _, function = target.partition(":")
    file = _source_of(module, folder)
    if file is None:
        return []
    nodes: list[ast.stmt] = ast.parse(file.read_bytes()).body
    for name in function.split("."):
        found = [
            node
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
        ]
        if not found:
            return []
        if not isinstance(found[-1], ast.ClassDef):
            arguments = found[-1].args
            return [_parameter(each) for each in (*arguments.args, *arguments.kwonlyargs)]
        nodes = found[-1].body
    return []


def _source_of(module: str, folder: Path) -> Path | None:
    places: list[str] | None = None
    spec = None
    for name in module.split("."):
        here = [str(folder)] if places is None else places
        spec = PathFinder.find_spec(name, here) or (PathFinder.find_spec(name) if places is None else None)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    origin = spec.origin if spec else None
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _parameter(argument: ast.arg) -> Parameter:
    hint = "" if argument.annotation is None else ast.unparse(argument.annotation)
    return Parameter(argument.arg, hint, tuple(_choices(argument.annotation)))


def _choices(hint: ast.expr | None) -> Iterator[str]:
    """The values of each ``Literal`` in a hint, and of ``bool``."""
    for node in ast.walk(hint) if hint is not None else ():
        if isinstance(node, ast.Name) and node.id == "bool":
            yield from ("true", "false")
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "Literal":
            yield from (str(each.value) for each in ast.walk(node.slice) if isinstance(each, ast.Constant))
