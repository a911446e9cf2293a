"""What a job's settings may hold, key by key: each value read by itself, or refused with what was expected."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from jobctl.durations import parse_duration
from jobctl.errors import ConfigurationError
from jobctl.model import Command, OnOverlap
from jobctl.settings.paths import with_home
from jobctl.text import quote

MOST_MIB = 1_000_000
_CALL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    raise _unlike("a text of one line", value)


def _folder(value: Any) -> str:
    return str(with_home(_text(value), "it"))


def _cron(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _unlike("a text", value)


def _whole(value: Any, least: int = 0, most: int = 100, unit: str = "") -> int:
    # 3.0 is whole as well, to JSON Schema and to most of its editors
    if type(value) in {int, float} and least <= value <= most and value == int(value):
        return int(value)
    raise _unlike(f"a whole number{unit} from {least} to {most}", value)


def _mib(value: Any) -> int:
    return _whole(value, 1, MOST_MIB, " of MiB")


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _unlike("true or false", value)


def _duration(value: Any) -> timedelta:
    if isinstance(value, str):
        return parse_duration(value)
    raise _unlike("a duration in quotes", value, hint='write a text such as "30s" or "5m"')


def _timeout(value: Any) -> timedelta:
    found = _duration(value)
    if found < timedelta(milliseconds=1):
        raise ConfigurationError(f"{quote(value)} is too short")
    return found


def _on_overlap(value: Any) -> OnOverlap:
    if value in list(OnOverlap):
        return OnOverlap(value)
    raise _unlike('"skip" or "queue"', value)


def _url(value: Any) -> str:
    from jobctl.catalogue.notify_settings import is_url

    if is_url(value):
        return str(value)
    raise ConfigurationError("expected a URL", hint="write https://… or the name of a variable: $NAME")


def _variables(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(map(_is_variable, value)) and all(map(_is_value, value.values())):
        return dict(value)
    raise ConfigurationError("expected a table of names and texts", hint='write { PGUSER = "app" }')


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(map(_is_variable, value)):
        return tuple(value)
    raise ConfigurationError("expected a list of variables' names", hint='write ["PGPASSWORD"]')


def _call(value: Any) -> str:
    if isinstance(value, str) and _CALL.fullmatch(value):
        return value
    raise ConfigurationError(f"{_shown(value)} is not an import text", hint='write "package.module:function"')


def _command(value: Any) -> Command:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if not (texts and value and value[0]):
        raise ConfigurationError(
            "expected a list of texts that begins with a program"
            + ("" if texts else f", not {_shown(value)}"),
            hint='write the program and its arguments: ["pg_dump", "app"]',
        )
    if not all(map(_is_value, value)):
        raise ConfigurationError("no program takes an argument with a zero character")
    return Command(tuple(value))


READERS: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "call": _call,
    "command": _command,
    "every": _duration,
    "cron": _cron,
    "timezone": _text,
    "timeout": _timeout,
    "retries": _whole,
    "retry_delay": _duration,
    "catch_up": _yes_or_no,
    "enabled": _yes_or_no,
    "jitter": _duration,
    "overlap": _on_overlap,
    "group": _text,
    "grace": _duration,
    "environment": _variables,
    "folder": _folder,
    "needs": _names,
    "check_in": _url,
    "memory_mib": _mib,
}
"""Every key of a job. A reader raises ``ConfigurationError`` or ``ScheduleError`` without a place."""


def _unlike(expected: str, value: Any, *, hint: str | None = None) -> ConfigurationError:
    return ConfigurationError(f"expected {expected}, not {_shown(value)}", hint=hint)


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def _is_value(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**18):
        return str(value)
    return {"list": "a list", "dict": "a table", "int": "so large a number"}.get(
        type(value).__name__, "a date"
    )
