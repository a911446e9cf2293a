"""The keys of a job, in one table: how each is read and what it means; jobs built from them; what other schedulers ignore.

The project file, ``@job``, ``jobctl new``, the JSON Schema and the documentation all use this table.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple, TypedDict

from jobctl.catalogue.calendars import AT, Calendars
from jobctl.catalogue.notify_settings import OCCASIONS, URLS, is_url
from jobctl.catalogue.warning_codes import CODES, read_codes
from jobctl.durations import parse_duration, write_duration
from jobctl.errors import ConfigurationError, ConfigurationErrors, ScheduleError, UsageError
from jobctl.files import with_home
from jobctl.model import AUTO, CatchUp, Command, Expectations, Job, OnOverlap, Schedule, Target
from jobctl.schedules import Cron, Every, Excluding, cron_schedule, unfiltered
from jobctl.schedules.crons import MOST as MOST_CRONS
from jobctl.schedules.excluding import FORMS, parse_dates
from jobctl.text import DOTTED_NAME, ID_HINT, IDENTIFIER, MAX_ID, is_job_id, quote, suggestion

MAX_MIB = 1_000_000
MAX_CATCH_UP = 1000
_MOST_HINTS = 20
"""A suggestion for an unknown key takes a tenth of a millisecond, and a file may have thousands."""

# Patterns of the JSON Schema are read by an editor's engine: classes are spelt out, since engines differ on \w and \d.
_PART = r"[0-9]{1,12}(\.[0-9]{1,6})? ?(ms|s|m|h|d|w)"
_HIDDEN = r"\x00-\x1f\x7f-\xa0\xad"
_LETTERS = "\u00a1-\uffff"  # of other alphabets
_LABEL = f"[A-Za-z0-9_{_LETTERS}-]{{1,63}}"
_HOST = rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])"

JsonSchema = dict[str, Any]
FLAG: JsonSchema = {"type": "boolean"}
URL: JsonSchema = {
    "type": "string",
    "pattern": rf"^([$]{IDENTIFIER}|[Hh][Tt][Tt][Pp][Ss]?://{_HOST}(:[0-9]{{1,5}})?([/?#][!-~{_LETTERS}]*)?)$",
}
_DURATION: JsonSchema = {"type": "string", "maxLength": 100, "pattern": rf"^\s*{_PART}( ?{_PART})*\s*$"}
_TEXT: JsonSchema = {"type": "string", "pattern": rf"^ *[^ {_HIDDEN}][^{_HIDDEN}]*$"}
_CRON: JsonSchema = {"type": "string", "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4,5})\s*$"}
_CRONS: JsonSchema = {
    "anyOf": [_CRON, {"type": "array", "items": _CRON, "minItems": 1, "maxItems": MOST_CRONS}]
}
_DATES: JsonSchema = {
    "type": "string",
    "pattern": r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}(\s*\.\.\s*[0-9]{4}-[0-9]{2}-[0-9]{2})?\s*$",
}
_EXCLUDE_FORMS = f'{FORMS}, or "@holidays"'
_EXPECTATIONS = tuple(Expectations.__annotations__)
_LEAST_EXPECTED = timedelta(seconds=1)
_CALL_FORM = f"{DOTTED_NAME}:{DOTTED_NAME}"
_CALL: JsonSchema = {"type": "string", "pattern": f"^{_CALL_FORM}$"}
_VALUE: JsonSchema = {"type": "string", "pattern": r"^[^\x00]*$"}
_VARIABLE: JsonSchema = {"type": "string", "pattern": f"^{IDENTIFIER}$"}
COMMAND: JsonSchema = {
    "type": "array",
    "prefixItems": [{**_VALUE, "minLength": 1}],
    "items": _VALUE,
    "minItems": 1,
}


def _duration_except(too_short: str) -> JsonSchema:
    """A duration that is not a single part matching ``too_short``."""
    return {**_DURATION, "not": {"pattern": rf"^\s*({too_short})\s*$"}}


def _read_text(value: Any) -> str:
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    raise _unexpected("a text of one line", value)


def _read_folder(value: Any) -> str:
    return str(with_home(_read_text(value), "it"))


def _read_cron(value: Any) -> list[str]:
    """One expression or several."""
    given = [value] if isinstance(value, str) else value
    if isinstance(given, list) and given and all(isinstance(each, str) for each in given):
        if len(given) > MOST_CRONS:
            raise ConfigurationError(f"expected at most {MOST_CRONS} expressions, not {len(given)}")
        return given
    raise _unexpected(
        "a text or a list of texts" if given != [] else "at least one expression",
        value,
        hint='write "0 9 * * *" or ["0 9 * * 1-5", "0 11 * * 6"]',
    )


def _read_integer(value: Any, least: int = 0, most: int = 100, unit: str = "") -> int:
    # 3.0 is an integer too, to JSON Schema and to most of its editors
    if type(value) in {int, float} and least <= value <= most and value == int(value):
        return int(value)
    raise _unexpected(f"a whole number{unit} from {least} to {most}", value)


def _read_mib(value: Any) -> int:
    return _read_integer(value, 1, MAX_MIB, " of MiB")


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _unexpected("true or false", value)


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, str):
        return parse_duration(value)
    raise _unexpected("a duration in quotes", value, hint='write a text such as "30s" or "5m"')


def _read_timeout(value: Any) -> timedelta:
    duration = _read_duration(value)
    if duration < timedelta(milliseconds=1):
        raise ConfigurationError(f"{quote(value)} is too short")
    return duration


_OVERLAPS = '"skip", "queue" or "replace"'


def _read_overlap(value: Any) -> OnOverlap:
    if value in list(OnOverlap):
        return OnOverlap(value)
    raise _unexpected(_OVERLAPS, value)


def _read_catch_up(value: Any) -> CatchUp:
    if isinstance(value, bool):
        return CatchUp.of(value)
    if value in list(CatchUp):
        return CatchUp(value)
    raise _unexpected('"none", "last", "each", true or false', value)


def _read_catch_up_limit(value: Any) -> int:
    return _read_integer(value, 1, MAX_CATCH_UP)


def _read_check_in(value: Any) -> str:
    if value == AUTO or is_url(value):
        return str(value)
    raise ConfigurationError(
        f'expected a URL or "{AUTO}"', hint=f'write https://…, the name of a variable: $NAME, or "{AUTO}"'
    )


def _read_variables(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(map(_is_variable, value)) and all(map(_is_value, value.values())):
        return dict(value)
    raise ConfigurationError("expected a table of names and texts", hint='write { PGUSER = "app" }')


def _read_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(map(_is_variable, value)):
        return tuple(value)
    raise ConfigurationError("expected a list of variables' names", hint='write ["PGPASSWORD"]')


def _read_job_ids(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(each, str) and is_job_id(each) for each in value):
        return tuple(dict.fromkeys(value))
    raise ConfigurationError("expected a list of jobs' ids", hint='write ["repository-sync"]')


def _read_exclude(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigurationError("expected a list of dates and calendars, in quotes", hint=_EXCLUDE_FORMS)
    for each in value:
        if not each.startswith(AT):
            try:
                parse_dates(each)
            except ScheduleError as error:
                raise ScheduleError(error.problem, hint=f'{error.hint or FORMS}, or "@holidays"') from None
        elif not is_job_id(each.removeprefix(AT)):
            raise ConfigurationError(f"{quote(each)} is not a calendar", hint=_EXCLUDE_FORMS)
    return tuple(dict.fromkeys(value))


def _read_arguments(value: Any) -> dict[str, Any]:
    from jobctl.arguments import as_json

    if not (isinstance(value, dict) and all(map(_is_variable, value))):
        raise ConfigurationError("expected a table of arguments", hint='write { limit = 5, kind = "old" }')
    try:
        return {name: as_json(each) for name, each in value.items()}
    except UsageError as error:
        raise ConfigurationError(error.problem) from None


def _read_call(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(_CALL_FORM, value):
        return value
    raise ConfigurationError(f"{_shown(value)} is not an import path", hint='write "package.module:function"')


def _read_expect(value: Any) -> Expectations:
    names = ", ".join(_EXPECTATIONS)
    if not isinstance(value, Mapping) or not value:
        raise ConfigurationError(
            f"expected a table with {names}", hint='write { start_within = "2m", success_every = "26h" }'
        )
    for name in value:
        if name not in _EXPECTATIONS:
            raise ConfigurationError(
                f"expected {names}, not {quote(str(name))}", hint=suggestion(str(name), _EXPECTATIONS) or None
            )
    read: dict[str, timedelta] = {}
    for name, each in value.items():
        try:
            read[name] = _read_duration(each)
        except (ConfigurationError, ScheduleError) as error:
            raise ConfigurationError(f"{name}: {error.problem}", hint=error.hint) from None
        if read[name] < _LEAST_EXPECTED:
            raise ConfigurationError(
                f"{name}: {quote(str(each))} is less than {write_duration(_LEAST_EXPECTED)}"
            )
    return Expectations(**read)


def _read_command(value: Any) -> Command:
    texts = isinstance(value, list) and all(isinstance(word, str) for word in value)
    if not (texts and value and value[0]):
        raise ConfigurationError(
            "expected a list of texts that begins with a program"
            + ("" if texts else f", not {_shown(value)}"),
            hint='write the program and its arguments: ["pg_dump", "app"]',
        )
    if not all(map(_is_value, value)):
        raise ConfigurationError("no program takes an argument with a zero character")
    return Command(tuple(value))


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(IDENTIFIER, value) is not None


def _is_value(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _unexpected(expected: str, value: Any, *, hint: str | None = None) -> ConfigurationError:
    return ConfigurationError(f"expected {expected}, not {_shown(value)}", hint=hint)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**18):
        return str(value)
    return {
        "list": "a list" if value else "an empty list",
        "dict": "a table",
        "int": "so large a number",
    }.get(type(value).__name__, "a date")


class JobKey(NamedTuple):
    """One key of a job.

    Attributes:
        read: turns the value of a project file into that of ``Job``. Raises ``ConfigurationError`` or
            ``ScheduleError``, without a place.
        schema: the JSON Schema of the value. It accepts a little more than ``read``: no pattern knows whether a cron
            expression names a day, whether a time zone exists, or how long several parts of a duration are.
        meaning: one sentence.
    """

    read: Callable[[Any], Any]
    schema: JsonSchema
    meaning: str


_MINIMUM_1_S = _duration_except(r"0*[0-9]{1,3}(\.[0-9]+)? ?ms|0+(\.[0-9]+)? ?s|[0.]+ ?[mhdw]")
_MINIMUM_1_MS = _duration_except(r"0+(\.[0-9]+)? ?ms|[0.]+ ?[smhdw]")
_RETRIES: JsonSchema = {"type": "integer", "minimum": 0, "maximum": 100}
_MIB: JsonSchema = {"type": "integer", "minimum": 1, "maximum": MAX_MIB}
_OVERLAP: JsonSchema = {"enum": [choice.value for choice in OnOverlap]}
_CATCH_UP: JsonSchema = {"enum": [True, False, *(choice.value for choice in CatchUp)]}
_CATCH_UP_LIMIT: JsonSchema = {"type": "integer", "minimum": 1, "maximum": MAX_CATCH_UP}
_NAMES: JsonSchema = {"type": "array", "items": _VARIABLE}
_CHECK_IN: JsonSchema = {"anyOf": [URL, {"const": AUTO}]}
_JOB_ID: JsonSchema = {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": MAX_ID}
_EXCLUDE: JsonSchema = {
    "type": "array",
    "items": {"anyOf": [_DATES, {"type": "string", "pattern": "^@[a-z0-9]+(-[a-z0-9]+)*$"}]},
}
_JOB_IDS: JsonSchema = {"type": "array", "items": _JOB_ID, "minItems": 1}
_VARIABLES: JsonSchema = {
    "type": "object",
    "propertyNames": {"pattern": _VARIABLE["pattern"]},
    "additionalProperties": _VALUE,
}
_ARGUMENTS: JsonSchema = {"type": "object", "propertyNames": {"pattern": _VARIABLE["pattern"]}}
_EXPECT: JsonSchema = {
    "type": "object",
    "properties": dict.fromkeys(_EXPECTATIONS, _MINIMUM_1_S),
    "additionalProperties": False,
    "minProperties": 1,
}
CODES_SCHEMA: JsonSchema = {"type": "array", "items": {"enum": list(CODES)}}
_Duration = timedelta | str | None
_Interval = timedelta | float | str | None


# fmt: off
class JobOptions(TypedDict, total=False):
    """The keys that ``@job`` accepts too. ``None`` is the same as leaving a key out."""

    name: Annotated[str | None, JobKey(_read_text, _TEXT, "Name for people.")]
    every: Annotated[_Interval, JobKey(_read_duration, _MINIMUM_1_S, "Interval between due times, such as 30s, 5m or 1h30m.")]
    cron: Annotated[str | Sequence[str] | None, JobKey(_read_cron, _CRONS, "Cron expression: five fields, or six with seconds first; or a list of them.")]
    timezone: Annotated[str | None, JobKey(_read_text, _TEXT, "IANA time zone of cron.")]
    exclude: Annotated[Sequence[str] | None, JobKey(_read_exclude, _EXCLUDE, 'Dates on which its slots are skipped: "2026-12-24", "2026-12-24..2026-12-26", "@holidays".')]
    after: Annotated[Sequence[str] | None, JobKey(_read_job_ids, _JOB_IDS, "Jobs; it runs once when all of them have completed since its last start.")]
    timeout: Annotated[_Duration, JobKey(_read_timeout, _MINIMUM_1_MS, "Time limit of one attempt.")]
    retries: Annotated[int | None, JobKey(_read_integer, _RETRIES, "Further attempts after a failed first one.")]
    retry_delay: Annotated[_Duration, JobKey(_read_duration, _DURATION, "Delay before the first retry; it doubles with each further one.")]
    catch_up: Annotated[str | bool | None, JobKey(_read_catch_up, _CATCH_UP, 'Run slots that were missed while no scheduler ran: the "last", "each", or "none". true is "last".')]
    catch_up_limit: Annotated[int | None, JobKey(_read_catch_up_limit, _CATCH_UP_LIMIT, 'With catch_up = "each": how many slots may wait; older ones are missed.')]
    enabled: Annotated[bool | None, JobKey(_read_flag, FLAG, "Whether the job is scheduled; if not, it can still be triggered.")]
    jitter: Annotated[_Duration, JobKey(_read_duration, _DURATION, "Start each slot up to this much later, but before the next one.")]
    overlap: Annotated[str | None, JobKey(_read_overlap, _OVERLAP, f"What to do with a slot while a run blocks it: {_OVERLAPS}.")]
    group: Annotated[str | None, JobKey(_read_text, _TEXT, "Jobs of the same group never run at the same time.")]
    grace: Annotated[_Duration, JobKey(_read_duration, _DURATION, "Time between SIGTERM and SIGKILL when a run must end.")]
    environment: Annotated[Mapping[str, str] | None, JobKey(_read_variables, _VARIABLES, "Environment variables for its runs.")]
    folder: Annotated[str | None, JobKey(_read_folder, _TEXT, "Working folder of its runs, relative to the project's folder.")]
    needs: Annotated[Sequence[str] | None, JobKey(_read_names, _NAMES, "Environment variables that must be set for it to run.")]
    check_in: Annotated[str | None, JobKey(_read_check_in, _CHECK_IN, 'URL of a monitor, or $NAME, to call at each start, success and failure; "auto" makes the monitor.')]
    arguments: Annotated[Mapping[str, Any] | None, JobKey(_read_arguments, _ARGUMENTS, "Arguments for its function or program, unless a run is given others.")]
    expect: Annotated[Mapping[str, timedelta | str] | None, JobKey(_read_expect, _EXPECT, "Durations after which the job is late: start_within and done_within of its due time, success_every of its last success.")]
    ignore_warnings: Annotated[Sequence[str] | None, JobKey(read_codes, CODES_SCHEMA, "Codes of warnings that jobctl plan does not give about it.")]
    memory_mib: Annotated[int | None, JobKey(_read_mib, _MIB, "Limit of a run's address space in MiB, on Linux.")]


# fmt: on


OPTIONS: dict[str, JobKey] = {key: hint.__metadata__[0] for key, hint in JobOptions.__annotations__.items()}
KEYS: dict[str, JobKey] = {
    "call": JobKey(_read_call, _CALL, 'Function to run: "package.module:function".'),
    "command": JobKey(_read_command, COMMAND, 'Program to run, with its arguments: ["pg_dump", "app"].'),
    **OPTIONS,
}
"""Every key of a job, in the order of the documentation."""


_REPLACED = {
    "call": ("command",),
    "command": ("call",),
    "every": ("cron", "timezone", "after"),
    "cron": ("every", "after"),
    "after": ("every", "cron", "timezone"),
}
"""The keys of a base that a key takes the place of."""


def default_text(key: str) -> str | None:
    """The default of a key as a user writes it; None if it has none."""
    default = "UTC" if key == "timezone" else getattr(Job, key, None)
    if isinstance(default, timedelta):
        return write_duration(default)
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if isinstance(default, int | str) else None


Place = Callable[[str], str]
"""The place of a key, for messages; of the job itself for an empty text."""


def build_job(
    job_id: str,
    settings: Mapping[str, Any],
    place: Place,
    base: Job | None = None,
    *,
    calendars: Calendars | None = None,
) -> Job:
    """A new job, or ``base`` with some of its settings changed.

    Args:
        calendars: whose dates the job may exclude; None: they are not known yet, and the schedule leaves no dates out.

    Raises:
        ConfigurationErrors: all that is wrong with it, each with its place.
    """
    builder = _JobBuilder(job_id, settings, place, base)
    builder.calendars = calendars
    job = builder.build()
    if builder.faults:
        raise ConfigurationErrors(builder.faults)
    return job


class _JobBuilder:
    """Reads each key by itself, then those that depend on each other; collects every fault."""

    def __init__(self, job_id: str, settings: Mapping[str, Any], place: Place, base: Job | None) -> None:
        self._id = job_id
        self._settings = settings
        self._place = place
        self._base = base
        self.calendars: Calendars | None = None
        self.faults: list[ConfigurationError] = []

    def build(self) -> Job:
        if not is_job_id(self._id):
            self._fault("", f"{quote(self._id)} is not a job id", ID_HINT)
        self._refuse_with_after()
        changes: dict[str, Any] = {"target": self._target(), "schedule": self._schedule()}
        for key in self._settings:
            if key not in KEYS:
                self._unknown(key)
            elif key not in {"call", "command", "every", "cron", "timezone"}:
                changes[key] = self._value(key)
        changes = {key: value for key, value in changes.items() if value is not None}
        if "after" in changes:
            changes["schedule"] = None
        elif "schedule" in changes:
            changes["after"] = ()
        self._exclude(changes)
        changes["origins"] = self._origins()
        if self._base is None:
            required = {"name": self._id, "schedule": None, "target": "", "origin": self._place("")}
            job = Job(self._id, **{**required, **changes})
        else:
            if self._settings:
                changes["origin"] = f"{self._base.origin}, changed in {self._place('')}"
            job = replace(self._base, **changes)
        self._demand_period(job)
        return job

    def _demand_period(self, job: Job) -> None:
        """A monitor must know how often the job runs."""
        has_period = job.schedule is not None or (job.expect is not None and job.expect.success_every)
        if job.check_in == AUTO and not has_period and not self.faults:
            self._fault(
                "check_in",
                f'"{AUTO}" makes a monitor, which needs a period, and the job has no schedule',
                'write expect = { success_every = "26h" }',
            )

    def _origins(self) -> dict[str, str]:
        """The place of each key that is set, also of those that the base keeps."""
        own = {key: self._place(key) for key, value in self._settings.items() if value is not None}
        replaced = {key for given in own for key in _REPLACED.get(given, ())}
        base = self._base.origins if self._base else {}
        return {**{key: place for key, place in base.items() if key not in replaced}, **own}

    @property
    def _label(self) -> str:
        return f"[jobs.{quote(self._id)[1:-1]}]"

    def _fault(self, key: str, message: str, hint: str | None = None) -> None:
        label = self._label + (f".{key}" if key else "")
        self.faults.append(ConfigurationError(f"{label}: {message}", where=self._place(key), hint=hint))

    def _unknown(self, key: str) -> None:
        hint = None
        if len(self.faults) < _MOST_HINTS:
            hint = suggestion(key, KEYS, f"Keys: {', '.join(sorted(KEYS))}")
        message = f"{self._label} has no key {quote(key)}"
        self.faults.append(ConfigurationError(message, where=self._place(key), hint=hint))

    def _value(self, key: str) -> Any:
        """The value of a key for ``Job``; None if it is not set or invalid."""
        value = self._settings.get(key)
        try:
            return None if value is None else KEYS[key].read(value)
        except (ConfigurationError, ScheduleError) as error:
            self._fault(key, error.problem, error.hint)
            return None

    def _target(self) -> Target | None:
        given = [key for key in ("call", "command") if self._settings.get(key) is not None]
        if len(given) == 2:
            self._fault("command", "a job has either call or command, not both")
        if not given and self._base is None:
            self._fault("", "it needs `call` or `command`")
        target: Target | None = None
        for key in given:
            target = target or self._value(key)
        return target

    def _refuse_with_after(self) -> None:
        given = [key for key in ("after", "every", "cron", "timezone") if self._settings.get(key) is not None]
        if given[:1] == ["after"]:
            for key in given[1:]:
                self._fault("after", f"a job has either after or {key}, not both")

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
            return self._built("every", lambda: Every(interval)) if interval is not None else None
        base = unfiltered(self._base.schedule) if self._base and self._base.schedule else None
        if cron is None and zone is not None:
            if base is not None and not isinstance(base, Every):
                return self._built("timezone", lambda: cron_schedule(base.text, zone))
            self._fault("timezone", "a time zone needs cron")
            return None
        cron = self._value("cron")
        if cron is None:
            return None
        if zone is not None and self._built("timezone", lambda: Cron("* * * * *", zone)) is None:
            return None
        place = zone or (base.timezone if base else "UTC")
        given = self._settings["cron"]
        if isinstance(given, str):
            return self._built("cron", lambda: Cron(given, place), given)
        crons = [self._built("cron", partial(Cron, each, place), each) for each in cron]
        return None if None in crons else self._built("cron", lambda: cron_schedule(cron, place))

    def _exclude(self, changes: dict[str, Any]) -> None:
        """Leave the excluded dates out of the schedule."""
        excluded = changes.get("exclude", self._base.exclude if self._base else ())
        schedule = changes.get("schedule", self._base.schedule if self._base else None)
        if schedule is None:
            if changes.get("exclude") and not self._settings.keys() & {"every", "cron"}:
                self._fault("exclude", "only a job with every or cron has times to exclude")
            return
        schedule = unfiltered(schedule)
        if excluded and self.calendars is not None:
            try:
                schedule = Excluding(schedule, self.calendars.dates(excluded))
            except ConfigurationError as error:
                self._fault("exclude", error.problem, error.hint)
        changes["schedule"] = schedule

    def _built(self, key: str, build: Callable[[], Schedule], value: Any = None) -> Schedule | None:
        """The schedule, or None and a fault; for cron with a caret below the wrong part of ``value``."""
        try:
            return build()
        except ScheduleError as error:
            shown = f"{quote(value)}: " if isinstance(value, str) and key == "cron" else ""
            span = getattr(error, "span", None)
            caret = ""
            if span and span[1] and isinstance(value, str) and value.isprintable():
                caret = f"\n{value}\n{' ' * span[0]}{'^' * max(1, span[1] - span[0])}"
            self._fault(key, f"{shown}{error.problem}{caret}", error.hint)
            return None


SCHEMA_FILE = "jobctl.schema.json"
_MAIL = {"type": "string", "pattern": r"^[^\x00]*@[^\x00]*$"}


def schema(others: Iterable[str]) -> dict[str, Any]:
    """The schema, draft 2020-12.

    Args:
        others: ids of the jobs that are defined elsewhere; the file may change any of their keys.
    """
    change = {
        "type": "object",
        "properties": {name: {**key.schema, "description": _description(name)} for name, key in KEYS.items()},
        "additionalProperties": False,
        "allOf": [
            {"not": {"required": ["call", "command"]}},
            {"not": {"required": ["every", "cron"]}},
            {"not": {"required": ["every", "timezone"]}},
            *({"not": {"required": ["after", key]}} for key in ("every", "cron", "timezone")),
        ],
    }
    own = {
        "allOf": [{"$ref": "#/$defs/change"}],
        "anyOf": [{"required": ["call"]}, {"required": ["command"]}],
        "dependentRequired": {"timezone": ["cron"]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jobctl.toml",
        "description": "The jobs of a project.",
        "type": "object",
        "properties": {
            "ignore_warnings": {
                **CODES_SCHEMA,
                "description": "Codes of warnings that jobctl plan does not give.",
            },
            "builtin": {**FLAG, "description": "Whether the site's built-in jobs are in the catalogue."},
            "modules": {
                "type": "array",
                "items": {"type": "string", "pattern": f"^{DOTTED_NAME}$"},
                "description": "Modules whose @job functions join the catalogue.",
            },
            "notify": {
                "type": "object",
                "description": "Who is notified when a job fails, recovers or misses slots.",
                "properties": {
                    **dict.fromkeys(URLS, URL),
                    "command": COMMAND,
                    "mail": {"anyOf": [_MAIL, {"type": "array", "items": _MAIL, "minItems": 1}]},
                    "on": {"type": "array", "items": {"enum": [one.value for one in OCCASIONS]}},
                },
                "additionalProperties": False,
            },
            "calendars": {
                "type": "object",
                "description": "Dates that jobs exclude, by the name of the calendar.",
                "propertyNames": {key: _JOB_ID[key] for key in ("pattern", "maxLength")},
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "dates": {"type": "array", "items": _DATES, "description": "Dates and ranges."},
                        "file": {**_TEXT, "description": "An iCalendar file, relative to the project file."},
                    },
                    "additionalProperties": False,
                    "minProperties": 1,
                },
            },
            "jobs": {
                "type": "object",
                "description": "Jobs by id; the id of a job that is defined elsewhere changes that job.",
                "propertyNames": {key: _JOB_ID[key] for key in ("pattern", "maxLength")},
                "properties": {one: {"$ref": "#/$defs/change"} for one in others},
                "additionalProperties": own,
            },
        },
        "additionalProperties": False,
        "$defs": {"change": change},
    }


def _description(key: str) -> str:
    default = default_text(key)
    return f"{KEYS[key].meaning} Default: {default}." if default else KEYS[key].meaning


def schema_files(others: Iterable[str]) -> dict[str, str]:
    """The schema by file name, for a project with these other jobs, see ``schema``."""
    return {SCHEMA_FILE: json.dumps(schema(others), indent=2) + "\n"}


AT_TRIGGER_DEV = "every slot waits there, not only the newest"
AT_VERCEL = "a slot that comes while a run is in progress is dropped there"


def not_honoured(job: Job, queued: str, *, jitter: bool = False) -> str:
    """The settings that another platform ignores, in clauses; empty where there are none, or no schedule.

    Args:
        queued: what the platform does with a slot that would wait here.
        jitter: the platform spreads times by the job's jitter.
    """
    if job.schedule is None or not job.enabled:
        return ""
    clauses = {
        f'overlap = "{job.overlap.value}" has no effect: {queued}': job.overlap is not OnOverlap.SKIP,
        "group has an effect only among runs that share a run store (JOBCTL_STATE)": job.group is not None,
        "jitter has no effect: it starts on time": bool(job.jitter) and not jitter,
    }
    return "; ".join(clause for clause, applies in clauses.items() if applies)
