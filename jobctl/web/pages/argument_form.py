"""A form for the arguments of a job, made from what its function takes, and what was typed into it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jobctl.arguments import DURATION, Schema, choices, words
from jobctl.settings.masking import sounds_secret

PREFIX = "argument."
OTHERS = "others"
DRY_RUN = "dry_run"
_INPUTS = {"integer": "number", "number": "decimal", "boolean": "choice", "object": "lines", "array": "lines"}


class Field(NamedTuple):
    """A field of the form.

    Attributes:
        kind: ``text``, ``number``, ``decimal``, ``date``, ``choice``, ``lines`` or ``password``.
        help: what it takes.
        value: what was typed.
        given: the value that the definition gives, where nothing is typed.
    """

    name: str
    kind: str
    help: str
    is_required: bool
    value: str
    given: str
    choices: tuple[str, ...] = ()


def fields_of(schema: Schema, given: Mapping[str, Any], typed: Iterable[tuple[str, str]]) -> list[Field]:
    """The fields for a schema, without ``dry_run``.

    Args:
        given: arguments of the definition, masked.
        typed: what the form had before.
    """
    values = {name.removeprefix(PREFIX): value for name, value in typed if name.startswith(PREFIX)}
    required = schema.get("required", ())
    return [
        Field(
            name,
            _kind(name, parameter),
            words(parameter),
            name in required and name not in given,
            values.get(name, ""),
            _text(given[name]) if name in given else "",
            tuple(choices(parameter)) if _kind(name, parameter) == "choice" else (),
        )
        for name, parameter in schema.get("properties", {}).items()
        if name != DRY_RUN
    ]


def takes_others(schema: Schema) -> bool:
    """Whether a job takes arguments of any name."""
    return bool(schema.get("additionalProperties", True))


def texts_of(schema: Schema, form: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arguments that were typed, as names and texts. An empty field gives none."""
    found: list[tuple[str, str]] = []
    properties: Mapping[str, Schema] = schema.get("properties", {})
    for key, value in form:
        name = key.removeprefix(PREFIX)
        if key.startswith(PREFIX) and value.strip():
            text = value.replace("\r\n", "\n")
            if _is_list(properties.get(name, {})) and not text.startswith("["):
                found += [(name, line) for line in text.split("\n") if line.strip()]
            else:
                found.append((name, text))
        elif key == OTHERS:
            pairs = [line.partition("=") for line in value.splitlines() if line.strip()]
            found += [(name.strip(), text) for name, _, text in pairs]
    return found


def _kind(name: str, parameter: Schema) -> str:
    if "enum" in parameter or parameter.get("type") == "boolean":
        return "choice"
    others = [each for each in parameter.get("anyOf", ()) if each.get("type") != "null"]
    if len(others) == 1:
        return _kind(name, others[0])
    if parameter.get("format") == "date":
        return "date"
    if parameter.get("format") in {DURATION, "date-time"}:
        return "text"
    kind = _INPUTS.get(parameter.get("type", "string"), "text")
    return "password" if kind == "text" and sounds_secret(name) else kind


def _is_list(parameter: Schema) -> bool:
    return parameter.get("type") == "array" or any(map(_is_list, parameter.get("anyOf", ())))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
