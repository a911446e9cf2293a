"""A job out of settings, from a project file or a decorator: checked key by key."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobctl.durations import parse_duration
from jobctl.errors import ConfigurationError, ConfigurationErrors, ScheduleError
from jobctl.model import Command, Job, OnOverlap, Schedule, Target
from jobctl.notify.settings import is_url
from jobctl.schedules import Cron, Every
from jobctl.text import ID_HINT, is_job_id, quote, suggestion

KEYS = (
    "name", "call", "command", "every", "cron", "timezone", "timeout", "retries", "retry_delay", "catch_up",
    "enabled", "jitter", "overlap", "group", "grace", "environment", "folder", "needs",
    "check_in",
)  # fmt: skip
_CALL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)

Where = Callable[[str], str]
"""The place of a key, ``""`` for the job itself."""


def build_job(job_id: str, settings: Mapping[str, Any], where: Where, base: Job | None = None) -> Job:
    """A new job, or ``base`` with some of its settings changed.

    Raises:
        ConfigurationErrors: all that is wrong with it, each with its place.
    """
    builder = _Builder(job_id, settings, where, base)
    job = builder.build()
    if builder.faults or job is None:
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

    def build(self) -> Job | None:
        self._check_id()
        for key in self._settings:
            if key not in KEYS:
                self._unknown(key)
        target = self._target()
        schedule = self._schedule()
        changes: dict[str, Any] = {
            "name": self._text("name"),
            "timeout": self._duration("timeout", least=timedelta(milliseconds=1)),
            "retries": self._whole("retries"),
            "retry_delay": self._duration("retry_delay"),
            "catch_up": self._yes_or_no("catch_up"),
            "enabled": self._yes_or_no("enabled"),
            "jitter": self._duration("jitter"),
            "overlap": self._on_overlap(),
            "group": self._text("group"),
            "grace": self._duration("grace"),
            "environment": self._variables("environment"),
            "folder": self._text("folder"),
            "needs": self._names("needs"),
            "check_in": self._url("check_in"),
            "schedule": schedule,
            "target": target,
        }
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
                hint=suggestion(key, KEYS, f"Keys: {', '.join(sorted(KEYS))}")
                if len(self.faults) < 20
                else None,
            )
        )

    def _check_id(self) -> None:
        if not is_job_id(self._id):
            self._fault("", f"{quote(self._id)} is not a job id", ID_HINT)

    def _text(self, key: str) -> str | None:
        value = self._settings.get(key)
        if value is None or (isinstance(value, str) and value.strip() and value.isprintable()):
            return value
        self._fault(key, f"expected a text of one line, not {_shown(value)}")
        return None

    def _whole(self, key: str) -> int | None:
        value = self._settings.get(key)
        if value is None:
            return None
        # 3.0 is whole as well, to JSON Schema and to most of its editors
        if type(value) in {int, float} and 0 <= value <= 100 and value == int(value):
            return int(value)
        self._fault(key, f"expected a whole number from 0 to 100, not {_shown(value)}")
        return None

    def _url(self, key: str) -> str | None:
        value = self._settings.get(key)
        if value is None or is_url(value):
            return value
        self._fault(key, "expected a URL", "write https://… or the name of a variable: $NAME")
        return None

    def _on_overlap(self) -> OnOverlap | None:
        value = self._settings.get("overlap")
        if value is None or value in list(OnOverlap):
            return None if value is None else OnOverlap(value)
        self._fault("overlap", f'expected "skip" or "queue", not {_shown(value)}')
        return None

    def _variables(self, key: str) -> dict[str, str] | None:
        value = self._settings.get(key)
        if value is None:
            return None
        if isinstance(value, dict) and all(map(_is_variable, value)) and all(map(_is_value, value.values())):
            return dict(value)
        self._fault(key, "expected a table of names and texts", 'write { PGUSER = "app" }')
        return None

    def _names(self, key: str) -> tuple[str, ...] | None:
        value = self._settings.get(key)
        if value is None or (isinstance(value, list) and all(map(_is_variable, value))):
            return None if value is None else tuple(value)
        self._fault(key, "expected a list of variables' names", 'write ["PGPASSWORD"]')
        return None

    def _yes_or_no(self, key: str) -> bool | None:
        value = self._settings.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._fault(key, f"expected true or false, not {_shown(value)}")
        return None

    def _duration(self, key: str, least: timedelta = timedelta(0)) -> timedelta | None:
        value = self._settings.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                found = parse_duration(value)
            except ScheduleError as error:
                self._fault(key, error.problem, error.hint)
                return None
            if found >= least:
                return found
            self._fault(key, f"{quote(value)} is too short")
            return None
        self._fault(
            key, f"expected a duration in quotes, not {_shown(value)}", 'write a text such as "30s" or "5m"'
        )
        return None

    def _target(self) -> Target | None:
        call, command = self._settings.get("call"), self._settings.get("command")
        if call is not None and command is not None:
            self._fault("command", "a job has either call or command, not both")
        if call is not None:
            if isinstance(call, str) and _CALL.fullmatch(call):
                return call
            self._fault("call", f"{_shown(call)} is not an import text", 'write "package.module:function"')
        if command is not None:
            texts = isinstance(command, list) and all(isinstance(one, str) for one in command)
            if texts and command and command[0]:
                if not any("\0" in one for one in command):
                    return Command(tuple(command))
                self._fault("command", "no program takes an argument with a zero character")
                return None
            self._fault(
                "command",
                "expected a list of texts that begins with a program"
                + ("" if texts else f", not {_shown(command)}"),
                'write the program and its arguments: ["pg_dump", "app"]',
            )
        if call is None and command is None and self._base is None:
            self._fault("", "it says nothing to run", "give it call or command")
        return None

    def _schedule(self) -> Schedule | None:
        every, cron = self._settings.get("every"), self._settings.get("cron")
        zone = self._text("timezone")
        if every is not None and cron is not None:
            self._fault("cron", "a job has either every or cron, not both")
            return None
        if every is not None:
            interval = self._duration("every")
            if zone is not None:
                self._fault("timezone", "an interval has no time zone", "use cron for wall-clock times")
            return self._made("every", lambda: Every(interval)) if interval is not None else None
        base = self._base.schedule if self._base else None
        if cron is None and zone is not None:
            if isinstance(base, Cron):
                return self._made("timezone", lambda: Cron(base.expression, zone))
            self._fault("timezone", "a time zone needs cron")
            return None
        if cron is None:
            return None
        if not isinstance(cron, str):
            self._fault("cron", f"expected a text, not {_shown(cron)}")
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
