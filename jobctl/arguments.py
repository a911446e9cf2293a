"""The arguments of a run: what a job takes, as a JSON Schema, and values for it, read from text or JSON.

Arguments are kept and sent as JSON values, and checked before a run is recorded. ``signature`` makes the schema
of a function, and the Python values for the call.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isfinite
from typing import Any

from jobctl.durations import parse_duration, write_duration
from jobctl.errors import ScheduleError, UsageError
from jobctl.text import quote, suggestion

Schema = Mapping[str, Any]
"""A JSON Schema of these keywords: ``type``, ``format``, ``enum``, ``items`` and ``anyOf``; that of a job's arguments also
``properties``, ``required`` and ``additionalProperties``."""
OF_PROGRAM: Schema = {"type": "object"}
"""A program takes arguments of any name: it finds them in its variables."""
DURATION = "jobctl-duration"
"""The format of a text such as ``1h30m``."""
LARGEST = 64 * 1024
"""Bytes of all arguments of a run, as JSON."""
_YES, _NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "object": 'a JSON object: {"name": …}',
    "null": "null",
    "date": "a date such as 2026-12-24",
    "date-time": "a time such as 2026-12-24T09:00+01:00",
    DURATION: "a duration such as 30s or 1h30m",
}
_FORMATS: dict[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    DURATION: parse_duration,
}
_PYTHON: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def check(
    job_id: str,
    schema: Schema,
    texts: Iterable[tuple[str, str]],
    values: Mapping[str, Any],
    *,
    is_partial: bool = False,
) -> dict[str, Any]:
    """The arguments as JSON values.

    Args:
        job_id: for messages.
        schema: of all arguments of the job.
        texts: names and values as typed; a name of a list may occur several times. They replace ``values``.
        values: JSON values.
        is_partial: others may be added later, so none is missing.

    Raises:
        UsageError: a name is unknown, missing or given twice, a value is not what the parameter takes, or all
            together are larger than 64 KiB.
    """
    import json

    typed: dict[str, Any] = {}
    for name, text in texts:
        parameter = _parameter(job_id, schema, name)
        try:
            is_null = text == "null" and conforms(parameter, None)
            if (items := _items(parameter)) is not None and not (text.startswith("[") or is_null):
                typed.setdefault(name, []).append(_read(items, text))
                continue
            value = _read(parameter, text)
        except (ValueError, OverflowError, RecursionError, ScheduleError):
            raise _refusal(job_id, name, parameter, quote(text)) from None
        if name in typed:
            raise UsageError(f'{job_id}: the argument "{name}" is given twice')
        typed[name] = value
    found = {**values, **typed}
    for name, value in found.items():
        parameter = _parameter(job_id, schema, name)
        if not conforms(parameter, value):
            shown = quote(value) if isinstance(value, str) else quote(json.dumps(value))[1:-1]
            raise _refusal(job_id, name, parameter, shown)
    for name in schema.get("required", ()):
        if name not in found and not is_partial:
            takes = words(_parameter(job_id, schema, name))
            raise UsageError(f'{job_id} needs the argument "{name}": {takes}', hint=f"add {name}=VALUE")
    if len(json.dumps(found).encode()) > LARGEST:
        raise UsageError(
            f"the arguments of {job_id} are larger than 64 KiB",
            hint="put them into a file, and give its name",
        )
    return found


def words(schema: Schema) -> str:
    """What a parameter takes, for people, such as ``a whole number``."""
    if "enum" in schema:
        named = [quote(choice)[1:-1] for choice in choices(schema)]
        return " or ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(words(each) for each in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"a list: {words(schema.get('items', {}))} each"
    return "any value" if kind is None else _WORDS[schema.get("format", kind)]


def choices(schema: Schema) -> list[str]:
    """Every text that a parameter takes, where they are few."""
    if schema.get("type") == "boolean":
        return ["true", "false"]
    if "anyOf" in schema:
        return [choice for each in schema["anyOf"] for choice in choices(each)]
    return [
        _as_text(value) for value in schema.get("enum", choices(schema["items"]) if "items" in schema else ())
    ]


def conforms(schema: Schema, value: Any) -> bool:
    """Whether a JSON value is what a parameter takes."""
    if "enum" in schema:
        return any(type(value) is type(choice) and value == choice for choice in schema["enum"])
    if "anyOf" in schema:
        return any(conforms(each, value) for each in schema["anyOf"])
    kind = schema.get("type")
    if kind is None:
        return True
    if type(value) not in _PYTHON[kind]:
        return False
    if kind == "number":
        return isfinite(value)
    if kind == "array":
        return all(conforms(schema.get("items", {}), item) for item in value)
    if "format" in schema:
        try:
            _FORMATS[schema["format"]](value)
        except (ValueError, ScheduleError):
            return False
    return True


def as_json(value: Any) -> Any:
    """A Python value as arguments have it: times and durations are texts, an enumeration's member its text or name.

    Raises:
        UsageError: JSON cannot hold it.
    """
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return write_duration(value)
    raise UsageError(f"an argument must be a value that JSON can hold, not {type(value).__name__}")


def variables_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """The variables by which a program gets its arguments.

    ``JOBCTL_ARGUMENTS`` holds all as a JSON object, ``JOBCTL_ARG_NAME`` each: a text as it is, else JSON.
    """
    import json

    each = {f"JOBCTL_ARG_{name.upper()}": _as_text(value) for name, value in arguments.items()}
    return {"JOBCTL_ARGUMENTS": json.dumps(dict(arguments)), **each} if arguments else {}


def _parameter(job_id: str, schema: Schema, name: str) -> Schema:
    """The schema of a parameter."""
    known: Mapping[str, Schema] = schema.get("properties", {})
    if name in known:
        return known[name]
    takes_any = schema.get("additionalProperties", True)
    if takes_any and name.isidentifier():
        return {}
    takes = ", ".join(f"{each} ({words(parameter)})" for each, parameter in known.items())
    if takes_any:
        otherwise = "a name has letters, digits and _, and does not begin with a digit"
    else:
        otherwise = f"it takes: {takes}" if takes else "it takes no arguments"
    raise UsageError(f"{job_id} has no parameter {quote(name)}", hint=suggestion(name, known, otherwise))


def _items(schema: Schema) -> Schema | None:
    """The schema of the items, where a parameter takes a list, or a list or null."""
    if schema.get("type") == "array":
        items: Schema = schema.get("items", {})
        return items
    others = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return _items(others[0]) if len(others) == 1 else None


def _read(schema: Schema, text: str) -> Any:
    """The JSON value of a text; whether it conforms is checked later. Raises ``ValueError`` and others."""
    if "enum" in schema:
        return next((value for value in schema["enum"] if _as_text(value) == text), text)
    if "anyOf" in schema:
        return _read_first(schema["anyOf"], text)
    match schema.get("type"):
        case "integer":
            return int(text)
        case "number":
            return _read_json(text)
        case "boolean":
            word = text.strip().lower()
            return word in _YES if word in _YES | _NO else text
        case "string":
            return text
        case "null":
            return None if text == "null" else text
        case None if text[:1] not in {"{", "["}:
            return text
    return _read_json(text)


def _read_first(schemas: Iterable[Schema], text: str) -> Any:
    """By the first of several schemas that takes the text; null before a text."""
    for each in sorted(schemas, key=lambda each: each.get("type") != "null"):
        try:
            value = _read(each, text)
        except (ValueError, OverflowError):
            continue
        if conforms(each, value):
            return value
    return text


def _read_json(text: str) -> Any:
    import json

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def _as_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _refusal(job_id: str, name: str, parameter: Schema, shown: str) -> UsageError:
    return UsageError(f'{job_id}: the argument "{name}" takes {words(parameter)}, not {shown}')
