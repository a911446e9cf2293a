"""The definition of a job by its keys: each value as a project file has it, without secrets, and its place."""

import json
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, NamedTuple

from jobctl.catalogue.job_keys import KEYS
from jobctl.durations import write_duration
from jobctl.model import CatchUp, Command, Expectations, Job
from jobctl.schedules import Cron, Every, unfiltered
from jobctl.settings.masking import MASK, Mask, secret_texts

DEFAULT = "default"


class Setting(NamedTuple):
    """A key of a job.

    Attributes:
        value: a JSON value.
        place: ``jobctl.toml:12``, a module's file and line, a package, ``built-in`` or ``default``.
    """

    key: str
    value: Any
    place: str

    @property
    def text(self) -> str:
        """The value on one line, for people; of ``environment`` only the names."""
        if self.key == "environment":
            return ", ".join(self.value)
        if isinstance(self.value, Mapping):
            return ", ".join(f"{name}={_word(each)}" for name, each in self.value.items())
        if isinstance(self.value, list):
            return (" " if self.key == "command" else ", ").join(map(str, self.value))
        return _word(self.value)


def definition(job: Job, mask: Mask) -> list[Setting]:
    """Each key that is set or has a default with an effect, in the order of the documentation."""
    own = Mask(secret_texts({**_texts(job.arguments), **job.environment, **_words(job)}))
    elsewhere = DEFAULT if job.origins else job.origin
    found: list[Setting] = []
    for key in KEYS:
        value = _value(job, key)
        if key in job.origins or (value not in (None, {}, []) and _has_effect(job, key)):
            found.append(Setting(key, own.value(mask.value(value)), job.origins.get(key, elsewhere)))
    return found


def _has_effect(job: Job, key: str) -> bool:
    """Whether a default means something for this job."""
    if key == "retry_delay":
        return job.retries > 0
    return key != "catch_up_limit" or job.catch_up is CatchUp.EACH


def _value(job: Job, key: str) -> Any:
    target, schedule = job.target, unfiltered(job.schedule) if job.schedule else None
    match key:
        case "call":
            name = target if isinstance(target, str) else getattr(target, "__qualname__", None)
            return None if isinstance(target, Command) else name
        case "command":
            return list(target.argv) if isinstance(target, Command) else None
        case "every":
            return write_duration(schedule.interval) if isinstance(schedule, Every) else None
        case "cron":
            crons = [each.text for each in schedule.members if isinstance(each, Cron)] if schedule else []
            return (crons[0] if len(crons) == 1 else crons) or None
        case "timezone":
            return schedule.timezone if schedule and not isinstance(schedule, Every) else None
        case "catch_up":
            return str(CatchUp.of(job.catch_up) if isinstance(job.catch_up, bool) else job.catch_up)
        case "environment":
            return dict.fromkeys(job.environment, MASK)
        case _:
            return _as_json(getattr(job, key))


def _as_json(value: Any) -> Any:
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, Expectations):
        return {
            name: write_duration(getattr(value, name))
            for name in Expectations.__annotations__
            if getattr(value, name) is not None
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _texts(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {name: _word(value) for name, value in arguments.items()}


def _words(job: Job) -> dict[str, str]:
    """The words of its command, which may be addresses with a password."""
    words = job.target.argv if isinstance(job.target, Command) else ()
    return {f"word {number}": word for number, word in enumerate(words)}
