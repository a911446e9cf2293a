"""YAML as on the site: version 1.2 with the core schema, the default of npm's ``yaml``.

PyYAML parses it, but implements version 1.1, in which ``Yes`` is true, ``12:30`` is 750 and a date is not a text.
"""

import math
import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_TAG = "tag:yaml.org,2002:"
_FOREIGN = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
"""Characters that are plain text in version 1.2, but line breaks or errors in PyYAML."""
_HIDDEN = 0x100000
"""They pass through PyYAML as private use characters, from here on."""
_EXACT = 2**53
"""Larger whole numbers are not exact in JavaScript, where every number is a double."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML has it


for _name, _form, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"[Tt]rue|TRUE|[Ff]alse|FALSE", list("tTfF")),
    ("int", r"0o[0-7]+|[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_form})\Z"), _first)


def parse(text: str) -> Any:
    """Parse one document to plain values. Keys are texts, and whole numbers that JavaScript cannot hold are floats.

    Raises:
        ValueError: it is not valid YAML, has several documents, or a key twice.
    """
    hidden = re.sub(
        rf"[{_FOREIGN}]|\r(?!\n)", lambda found: chr(_HIDDEN + ord(found[0])), text.removeprefix("\ufeff")
    )
    try:
        node = yaml.compose(hidden, _Loader)
        return None if node is None else _value(node, {})
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it cannot be read as YAML: {error}") from error


def text_of(value: Any) -> str:
    """A value as JavaScript converts it to text: ``12.50`` is ``12.5``, null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _number_text(value) if isinstance(value, int | float) else str(value)


def _value(node: Node, known: dict[Node, Any]) -> Any:
    if isinstance(node, ScalarNode):
        return _scalar(node.tag.removeprefix(_TAG), _shown(node.value))
    if node in known:
        return known[node]
    if isinstance(node, SequenceNode):
        items: list[Any] = []
        known[node] = items
        items.extend(_value(item, known) for item in node.value)
        return items
    found: dict[str, Any] = {}
    known[node] = found
    if isinstance(node, MappingNode):
        keys = set()
        for key, value in node.value:
            plain = _value(key, known)
            if isinstance(key, ScalarNode):
                if (type(plain), plain) in keys:
                    raise ValueError(f"the key {text_of(plain)!r} occurs twice")
                keys.add((type(plain), plain))
            found[text_of(plain)] = _value(value, known)
    return found


def _scalar(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind not in {"int", "float"}:
        return text
    try:
        whole = {"0x": 16, "0o": 8}.get(text[:2])
        number = float(int(text[2:], whole)) if whole else float(re.sub(r"(?i)\.(?=inf|nan)", "", text))
    except OverflowError:
        number = float("inf")
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _shown(text: str) -> str:
    return re.sub(
        f"[{chr(_HIDDEN)}-{chr(_HIDDEN + 0xFFFF)}]", lambda found: chr(ord(found[0]) - _HIDDEN), text
    )


def _number_text(number: float) -> str:
    """As by ECMAScript's ``Number::toString``: the same digits as ``repr``, but other exponents."""
    from decimal import Decimal

    digits = repr(float(number)).removesuffix(".0")
    if math.isnan(number) or math.isinf(number):
        return {"nan": "NaN", "inf": "Infinity"}.get(digits, "-Infinity")
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return f"{Decimal(digits):f}".removeprefix("-" if number == 0 else "").removesuffix(".0")
    mantissa, _, exponent = digits.partition("e")
    return f"{mantissa}e{int(exponent):+}"
