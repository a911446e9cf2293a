"""Calendars of the project file: dates under a name, which jobs exclude."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.catalogue.project_file import ProjectFile
from jobctl.clock import SystemClock
from jobctl.errors import (
    ConfigurationError,
    ScheduleError,
    install_hint,
    raise_any,
)
from jobctl.schedules.excluding import FORMS, DateRange, merged, parse_dates
from jobctl.text import is_job_id, quote, suggestion
from jobctl.toml_file import read_text

AT = "@"
"""Before the name of a calendar, where a job excludes its dates."""
EXTRA = "calendars"
PACKAGES = ("icalendar", "recurring-ical-events")
"""Of the extra."""
YEARS_AHEAD = 10
"""How far yearly and other recurrences are followed."""
MAX_EVENTS = 20_000
_KEYS = ("dates", "file")
_DAY = timedelta(days=1)
_OFTEN = {"HOURLY", "MINUTELY", "SECONDLY"}

Fault = tuple[str, ConfigurationError | ScheduleError]
"""A key, and what is wrong with its value."""
FileState = tuple[int, int, int]
"""Modification time, size and inode of a file."""


def file_state(path: Path) -> FileState | None:
    """What differs between a file and an edited one; None where it cannot be found."""
    try:
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def named_files(file: ProjectFile, folder: Path) -> list[Path]:
    """The files of calendars, as a project file names them."""
    settings = (each for each in file.calendars.values() if isinstance(each, dict))
    return [folder / each["file"] for each in settings if isinstance(each.get("file"), str)]


class Calendars:
    """The dates of each calendar.

    Attributes:
        files: the files that were read, as they were then.
    """

    def __init__(
        self,
        dates: Mapping[str, Sequence[DateRange]] | None = None,
        files: Mapping[Path, FileState | None] | None = None,
    ) -> None:
        self._dates = dates or {}
        self.files = files or {}
        self._merged: dict[tuple[str, ...], tuple[DateRange, ...]] = {}

    @classmethod
    def load(cls, file: ProjectFile, folder: Path) -> "Calendars":
        """Read the calendars of a project file.

        Args:
            folder: of the project.

        Raises:
            ConfigurationError: all that is wrong, each with its place.
        """
        dates: dict[str, list[DateRange]] = {}
        files: dict[Path, FileState | None] = {}
        faults: list[ConfigurationError] = []
        for name, settings in file.calendars.items():
            for key, problem in _read(name, settings, folder, dates.setdefault(name, []), files):
                label = f"[calendars.{quote(name)[1:-1]}]" + (f".{key}" if key else "")
                where = file.place("calendars", name, *([key] if key else []))
                faults.append(
                    ConfigurationError(f"{label}: {problem.problem}", where=where, hint=problem.hint)
                )
        raise_any(faults)
        return cls(dates, files)

    def dates(self, excluded: Sequence[str]) -> tuple[DateRange, ...]:
        """The dates of a job's ``exclude``, in order.

        Raises:
            ConfigurationError: there is no such calendar.
        """
        entries = tuple(excluded)
        if entries not in self._merged:
            self._merged[entries] = merged(each for entry in entries for each in self._of(entry))
        return self._merged[entries]

    def _of(self, entry: str) -> Sequence[DateRange]:
        if not entry.startswith(AT):
            return [parse_dates(entry)]
        name = entry.removeprefix(AT)
        if name not in self._dates:
            known = ", ".join(AT + each for each in self._dates)
            more = f"Calendars: {known}" if known else f"define it: [calendars.{name}]"
            raise ConfigurationError(
                f"there is no calendar {quote(entry)}", hint=suggestion(name, self._dates, more)
            )
        return self._dates[name]


def _read(
    name: str,
    settings: Any,
    folder: Path,
    dates: list[DateRange],
    files: dict[Path, FileState | None],
) -> Iterator[Fault]:
    """Add the dates of a calendar; yields each fault with its key."""
    if not is_job_id(name):
        yield "", ConfigurationError(f"{quote(name)} is not a name", hint="write a name such as holidays")
    if not isinstance(settings, dict) or not settings:
        yield "", ConfigurationError("it needs dates or file", hint='write dates = ["2026-12-25"]')
        return
    for key in settings:
        if key not in _KEYS:
            hint = suggestion(key, _KEYS, f"Keys: {', '.join(_KEYS)}")
            yield "", ConfigurationError(f"there is no key {quote(key)}", hint=hint)
    yield from _read_dates(settings.get("dates", []), dates)
    if "file" in settings:
        yield from _read_file(settings["file"], folder, dates, files)


def _read_dates(given: Any, dates: list[DateRange]) -> Iterator[Fault]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        yield "dates", ConfigurationError("expected a list of dates in quotes", hint=FORMS)
        return
    for each in given:
        try:
            dates.append(parse_dates(each))
        except ScheduleError as error:
            yield "dates", error


def _read_file(
    source: Any, folder: Path, dates: list[DateRange], files: dict[Path, FileState | None]
) -> Iterator[Fault]:
    if not isinstance(source, str) or not source.strip() or not source.isprintable():
        yield "file", ConfigurationError("expected the name of a file", hint='write "holidays.ics"')
        return
    path = folder / source
    files[path] = file_state(path)
    try:
        dates += _events(path)
    except ConfigurationError as error:
        yield "file", ConfigurationError(f"{quote(source)}: {error.problem}", hint=error.hint)


def _events(path: Path) -> list[DateRange]:
    """The dates of all-day events: recurrences from the year before this one on, as far as they are followed."""
    text = read_text(path)
    try:
        import icalendar
        import recurring_ical_events
    except ImportError:
        raise ConfigurationError(
            "calendar files need a package that is not installed", hint=install_hint(EXTRA)
        ) from None
    try:
        calendar = icalendar.Calendar.from_ical(text)
        events = [event for event in calendar.walk("VEVENT") if _counts(event)]
    except Exception as error:  # of a package, for a text that anyone may have written
        raise ConfigurationError("it is not an iCalendar file") from error
    if not events:
        raise ConfigurationError("it has no all-day event, and only these exclude dates")
    calendar.subcomponents = events
    this_year = SystemClock().now().year
    dates: list[DateRange] = []
    for year in range(this_year - 1, this_year + YEARS_AHEAD + 1):
        try:
            found = recurring_ical_events.of(calendar).between(date(year, 1, 1), date(year + 1, 1, 1))
            dates += [_dates_of(event) for event in found]
        except Exception as error:
            raise ConfigurationError("its recurrences cannot be read") from error
        if len(dates) > MAX_EVENTS:
            raise ConfigurationError(
                f"it has more than {MAX_EVENTS:,} events, with their recurrences, in {YEARS_AHEAD} years"
            )
    return dates


def _counts(event: Any) -> bool:
    """Whether an event is of whole days, and not cancelled or more often than daily."""
    begin = event.get("DTSTART")
    if begin is None or isinstance(begin.dt, datetime) or str(event.get("STATUS", "")).upper() == "CANCELLED":
        return False
    rules = event.get("RRULE", [])
    rules = rules if isinstance(rules, list) else [rules]
    return not any(str(each).upper() in _OFTEN for rule in rules for each in rule.get("FREQ", []))


def _dates_of(event: Any) -> DateRange:
    begin = event["DTSTART"].dt
    end = event["DTEND"].dt if "DTEND" in event else begin + _DAY  # the day after the last
    return begin, max(begin, end - _DAY)
