"""The keys of a job, as a project file or a decorator gives them: what each may hold, and how a job is made of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobctl.durations import parse_duration
from jobctl.errors import ConfigurationError, ConfigurationErrors, ScheduleError
from jobctl.model import Command, Job, OnOverlap, Schedule, Target
from jobctl.schedules import Cron, Every
from jobctl.settings.paths import with_home
from jobctl.text import ID_HINT, is_job_id, quote, suggestion

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


_TOGETHER = ("call", "command", "every", "cron", "timezone")
"""What one of these may say depends on the others."""

Where = Callable[[str], str]
"""The place of a key, ``""`` for the job itself."""


def build_job(job_id: str, settings: Mapping[str, Any], where: Where, base: Job | None = None) -> Job:
    """A new job, or ``base`` with some of its settings changed.

    Raises:
        ConfigurationErrors: all that is wrong with it, each with its place.
    """
    builder = _Builder(job_id, settings, where, base)
    job = builder.build()
    if builder.faults:
        raise ConfigurationErrors(builder.faults)
    return job


class _Builder:
    def __init__(self, job_id: str, settings: Mapping[str, Any], where: Where, base: Job | None) -> None:
        self._id = job_id
        self._label = f"[jobs.{quote(job_id)[1:-1]}]"
        self._settings = settings
        self._where = where
        self._base = base
        self.faults: list[ConfigurationError] = []

    def build(self) -> Job:
        self._check_id()
        for key in self._settings:
            if key not in READERS:
                self._unknown(key)
        target = self._target()
        schedule = self._schedule()
        changes = {key: self._value(key) for key in READERS if key not in _TOGETHER}
        changes |= {"schedule": schedule, "target": target}
        given = {key: value for key, value in changes.items() if value is not None}
        if self._base is None:
            bare = {"name": self._id, "schedule": None, "target": "", "origin": self._where("")}
            return Job(self._id, **{**bare, **given})
        if self._settings:
            given["origin"] = f"{self._base.origin}, changed in {self._where('')}"
        return replace(self._base, **given)

    def _fault(self, key: str, message: str, hint: str | None = None) -> None:
        label = self._label + (f".{key}" if key else "")
        self.faults.append(ConfigurationError(f"{label}: {message}", where=self._where(key), hint=hint))

    def _unknown(self, key: str) -> None:
        self.faults.append(
            ConfigurationError(
                f"{self._label} has no key {quote(key)}",
                where=self._where(key),
                # looked for as often as somebody may read it: each takes a tenth of a millisecond
                hint=suggestion(key, READERS, f"Keys: {', '.join(sorted(READERS))}")
                if len(self.faults) < 20
                else None,
            )
        )

    def _check_id(self) -> None:
        if not is_job_id(self._id):
            self._fault("", f"{quote(self._id)} is not a job id", ID_HINT)

    def _value(self, key: str) -> Any:
        """What the settings say of a key; None where that is nothing, or cannot be used."""
        value = self._settings.get(key)
        try:
            return None if value is None else READERS[key](value)
        except (ConfigurationError, ScheduleError) as error:
            self._fault(key, error.problem, error.hint)
            return None

    def _target(self) -> Target | None:
        given = [key for key in ("call", "command") if self._settings.get(key) is not None]
        if len(given) == 2:
            self._fault("command", "a job has either call or command, not both")
        if not given and self._base is None:
            self._fault("", "it needs `call` or `command`")
        target: Target | None = self._value("call") or self._value("command")
        return target

    def _schedule(self) -> Schedule | None:
        every, cron = self._settings.get("every"), self._settings.get("cron")
        zone = self._value("timezone")
        if every is not None and cron is not None:
            self._fault("cron", "a job has either every or cron, not both")
            return None
        if every is not None:
            interval = self._value("every")
            if zone is not None:
                self._fault("timezone", "an interval has no time zone", "use cron for wall-clock times")
            return self._made("every", lambda: Every(interval)) if interval is not None else None
        base = self._base.schedule if self._base else None
        if cron is None and zone is not None:
            if isinstance(base, Cron):
                return self._made("timezone", lambda: Cron(base.expression, zone))
            self._fault("timezone", "a time zone needs cron")
            return None
        cron = self._value("cron")
        if cron is None:
            return None
        if zone is not None and self._made("timezone", lambda: Cron("* * * * *", zone)) is None:
            return None
        kept = base.timezone if isinstance(base, Cron) else "UTC"
        return self._made("cron", lambda: Cron(cron, zone or kept))

    def _made(self, key: str, make: Callable[[], Schedule]) -> Schedule | None:
        try:
            return make()
        except ScheduleError as error:
            value = self._settings[key]
            shown = f"{quote(value)}: " if isinstance(value, str) and key == "cron" else ""
            span = getattr(error, "span", None)
            caret = ""
            if span and span[1] and isinstance(value, str) and value.isprintable():
                caret = f"\n{value}\n{' ' * span[0]}{'^' * max(1, span[1] - span[0])}"
            self._fault(key, f"{shown}{error.problem}{caret}", error.hint)
            return None
