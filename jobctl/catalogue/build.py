"""A job out of settings, from a project file or a decorator: each key by itself, then all together."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jobctl.catalogue.values import READERS
from jobctl.errors import ConfigurationError, ConfigurationErrors, ScheduleError
from jobctl.model import Job, Schedule, Target
from jobctl.schedules import Cron, Every
from jobctl.text import ID_HINT, is_job_id, quote, suggestion

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
