"""What a job's function takes: a JSON Schema of its parameters, and Python values for them, by its type hints.

Only processes that import jobs use it: workers, and the child process that checks calls.
"""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jobctl.arguments import DURATION, Schema, as_json, check, conforms
from jobctl.durations import parse_duration
from jobctl.errors import PermanentJobError, UsageError

_SCALARS: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {"type": "string", "format": DURATION},
    dict: {"type": "object"},
    Mapping: {"type": "object"},
    type(None): {"type": "null"},
}
_LISTS: tuple[Any, ...] = (list, tuple, set, frozenset, Sequence, Iterable)
_UNIONS = (Union, types.UnionType)


def schema_of(function: Callable[..., Any]) -> Schema:
    """The schema of the arguments that a function takes by name."""
    parameters = _parameters(function)
    if parameters is None:
        return {"type": "object"}
    named = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    return {
        "type": "object",
        "properties": {each.name: _schema(_hint(each)) for each in named},
        "required": [each.name for each in named if each.default is each.empty],
        "additionalProperties": len(named) < len(parameters),
    }


def build(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The Python values of JSON values, as a function's type hints ask for.

    Raises:
        PermanentJobError: the function does not take them.
    """
    name = getattr(function, "__name__", "the job")
    try:
        check(name, schema_of(function), [], arguments)
    except UsageError as error:
        raise PermanentJobError(error.problem) from None
    hints = {each.name: _hint(each) for each in _parameters(function) or ()}
    return {name: _build(hints.get(name, Any), value) for name, value in arguments.items()}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Those that can be given by name; None where the function does not say."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # a hint may name what is imported for type checkers only
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # some functions in C
            return None
    by_name = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return [
        each
        for each in signature.parameters.values()
        if each.kind in {*by_name, inspect.Parameter.VAR_KEYWORD}
    ]


def _hint(parameter: inspect.Parameter) -> Any:
    """The type hint, without aliases; else the type of the default, where that is a plain value."""
    hint = parameter.annotation
    if hint is parameter.empty or isinstance(hint, str):
        hint = type(parameter.default)
        return hint if hint in {bool, int, float, str} else Any
    return hint


def _meant(hint: Any) -> Any:
    """What a hint means: behind ``Annotated``, ``NewType`` and the ``type`` statement."""
    if get_origin(hint) is Annotated:
        return _meant(get_args(hint)[0])
    for attribute in ("__supertype__", "__value__"):
        if not isinstance(hint, type) and hasattr(hint, attribute):
            return _meant(getattr(hint, attribute))
    return hint


def _schema(hint: Any) -> Schema:
    """The schema of a hint; a type that is not known takes any JSON value."""
    hint = _meant(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in _UNIONS:
        return {"anyOf": [_schema(each) for each in inner]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [as_json(member) for member in hint]}
    if _is_list(origin or hint, inner):
        return {"type": "array", "items": _schema(inner[0]) if inner else {}}
    named = origin or hint
    return _SCALARS.get(named, {}) if isinstance(named, type) else {}


def _build(hint: Any, value: Any) -> Any:
    """The Python value of a JSON value that conforms to the hint's schema."""
    hint = _meant(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return _build(next(each for each in inner if conforms(_schema(each), value)), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(member for member in hint if as_json(member) == value)
    collection = origin or hint
    if _is_list(collection, inner):
        make = collection if collection in {tuple, set, frozenset} else list
        return make(_build(inner[0] if inner else Any, item) for item in value)
    if hint is date:
        return date.fromisoformat(value)
    if hint is datetime:
        read = datetime.fromisoformat(value)
        return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    if hint is timedelta:
        return parse_duration(value)
    return float(value) if hint is float else value


def _is_list(collection: Any, inner: tuple[Any, ...]) -> bool:
    """Whether a hint is a list of any length."""
    return collection in _LISTS and (not inner or collection is not tuple or inner[1:] == (...,))
