"""The public API is fully typed and documented: what ``jobctl`` exports, and the types that these mention."""

import ast
import enum
import functools
import importlib
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import jobctl


def mentioned(hint: Any) -> Iterator[Any]:
    """The classes of jobctl in a type."""
    if inspect.isclass(hint) and hint.__module__.startswith("jobctl"):
        yield hint
    for part in typing.get_args(hint):
        yield from mentioned(part)


def methods(cls: type) -> dict[str, Any]:
    """The public methods and properties that a class defines itself, and its initializer."""
    return {
        name: value.fget if isinstance(value, property) else inspect.unwrap(getattr(cls, name))
        for name, value in vars(cls).items()
        if (not name.startswith("_") or (name == "__init__" and not getattr(cls, "_is_protocol", False)))
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
    }


@functools.cache
def names_for_type_checkers(module: str) -> dict[str, Any]:
    """The names of a module, with those that it imports under ``TYPE_CHECKING``."""
    found = importlib.import_module(module)
    names = dict(vars(found))
    for node in ast.parse(inspect.getsource(found)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module, "exec"), names)
    return names


def hints_of(thing: Any) -> Iterator[Any]:
    names = names_for_type_checkers(thing.__module__)
    yield from typing.get_type_hints(thing, names).values()
    for method in methods(thing).values() if inspect.isclass(thing) else ():
        yield from typing.get_type_hints(method, names_for_type_checkers(method.__module__)).values()


def public() -> list[Any]:
    found: list[Any] = []
    todo = [getattr(jobctl, name) for name in jobctl.__all__]
    while todo:
        thing = todo.pop(0)
        if thing not in found:
            found.append(thing)
            todo += [each for hint in hints_of(thing) for each in mentioned(hint)]
    return found


PUBLIC = public()


def test_the_types_that_the_api_mentions_are_found() -> None:
    assert {"Job", "OnOverlap", "Command", "RunStatus", "JobOptions"} <= {thing.__name__ for thing in PUBLIC}


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_every_parameter_and_attribute_has_a_type(thing: Any) -> None:
    functions = methods(thing) if inspect.isclass(thing) else {thing.__name__: thing}
    for name, function in functions.items():
        signature = inspect.signature(function)
        untyped = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in {"self", "cls"}
        ]
        assert not untyped, name
        assert signature.return_annotation is not signature.empty, name
    if inspect.isclass(thing) and not issubclass(thing, enum.Enum):
        typed = {name for base in thing.__mro__ for name in getattr(base, "__annotations__", {})}
        values = {
            name
            for name, value in vars(thing).items()
            if not name.startswith("_")
            and not callable(value)
            and not isinstance(value, property | functools.cached_property | classmethod | staticmethod)
            and not inspect.ismemberdescriptor(value)
        }
        assert values <= typed


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_every_class_and_function_is_documented(thing: Any) -> None:
    assert thing.__doc__
    if inspect.isclass(thing):
        for name, function in methods(thing).items():
            assert name == "__init__" or inspect.getdoc(function), name
