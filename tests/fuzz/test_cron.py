"""Any text as a schedule, any as a time zone, at any time of the calendar."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron, Crons, Every, parse_schedule
from jobctl.schedules.convert import fields_in_utc
from jobctl.schedules.zones import zone
from jobctl.trigger_dev.cron import caution, trigger_cron
from tests.support.fuzzing import (
    FOREIGN,
    SURROGATES,
    anything,
    bounded,
    check_message,
    examples,
    mutated,
    repeated,
)

TOKENS = "0123456789*/,-LW#?@ \t" + FOREIGN
NAMES = ("JAN", "dec", "Mon", "sun", "FOO", "L", "5L", "L5", "5#2", "1#0", "*", "?", "H", "R", "@daily")


def field(number: st.SearchStrategy[str], step: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    span = st.builds("{}-{}".format, number, number) | number | st.just("*")
    item = span | st.builds("{}/{}".format, span, step)
    return st.just("*") | st.lists(item, min_size=1, max_size=3).map(",".join)


def inside(least: int, most: int, *names: str) -> st.SearchStrategy[str]:
    number = st.integers(least, most).map(str) | st.sampled_from([str(least), *names])
    return field(number, st.integers(1, most).map(str))


right = st.tuples(
    st.just("") | inside(0, 59), inside(0, 59), inside(0, 23),
    inside(1, 31, "L"), inside(1, 12, "JAN", "dec"), inside(0, 7, "Mon", "5L", "L5", "5#2", "1#5"),
).map(" ".join)  # fmt: skip
number = st.integers(-1, 61).map(str) | st.sampled_from(["00", "007", "9" * 60, "9" * 5000, "٣", "²", *NAMES])
wrong = st.lists(field(number, number), min_size=4, max_size=7).map(" ".join)
fields = right | wrong
interval = st.builds("{}{}{}".format, st.sampled_from(["", "every "]), st.decimals(0, 10**7, places=1), st.sampled_from(["ms", "s", "m", "h", "d", "w", "y", ""]))  # fmt: skip
alias = st.sampled_from(["@hourly", "@daily", "@reboot", " @Weekly ", "@YEARLY", "@daily *"])
near = mutated(fields | interval | alias, TOKENS)
text = near | st.text(TOKENS, max_size=40) | anything | repeated(field(number, number) | anything)

VALID = sorted(available_timezones() - {"Factory", "localtime"})
zones = st.sampled_from(VALID)
odd_zones = (
    mutated(zones, "/.-_")
    | st.sampled_from(["localtime", "posixrules", "right/UTC", "posix/UTC", "America", "../UTC", "/etc/passwd", "UTC\0", "x" * 300, SURROGATES])
    | anything
)  # fmt: skip
BEGIN = datetime(1970, 1, 2, tzinfo=UTC)
clocks = st.datetimes(BEGIN.replace(tzinfo=None), datetime(2270, 1, 1), timezones=st.just(UTC))
instants = clocks | st.datetimes(timezones=st.just(UTC))


@pytest.mark.slow
@examples(150)
@given(text, instants)
@example("9" * 5000 + " * * * *", datetime.min.replace(tzinfo=UTC))
@example("* * * * *", datetime.max.replace(tzinfo=UTC))
@example("0," * 500_000 + "0 * * * *", datetime.min.replace(tzinfo=UTC))
def test_any_text_is_a_schedule_or_is_refused_in_a_sentence(text: str, start: datetime) -> None:
    with bounded():
        try:
            found = parse_schedule(text)
        except ScheduleError as error:
            check_message(error)
            return
        again = parse_schedule(found.text)
        assert again == found
        instant = start
        for _ in range(3):
            try:
                following = found.next_after(instant, start)
            except ScheduleError as error:
                check_message(error)
                return
            assert following > instant
            assert again.next_after(instant, start) == following
            instant = following


@pytest.mark.slow
@examples(100)
@given(right, zones, clocks, st.timedeltas(timedelta(0), timedelta(days=36_525)))
@example("* * * * * *", "Pacific/Apia", datetime(2069, 12, 31, tzinfo=UTC), timedelta(days=36_524))
@example("0 0 29 2 *", "Africa/Monrovia", datetime(1972, 2, 1, tzinfo=UTC), timedelta(days=760))
def test_any_absence_is_counted_in_any_zone(
    expression: str, name: str, until: datetime, absence: timedelta
) -> None:
    with bounded():
        try:
            cron = Cron(expression, name)
        except ScheduleError:
            return
        after = max(until - absence, BEGIN)
        newest, number = cron.latest_until(until, after), cron.count(after, until)
        assert (newest is None) == (number == 0)
        assert newest is None or after < newest <= until


@pytest.mark.slow
@examples(75)
@given(odd_zones)
def test_any_text_is_a_zone_or_is_refused_in_a_sentence(name: str) -> None:
    with bounded():
        try:
            assert zone(name).key == name
        except ScheduleError as error:
            check_message(error)


@pytest.mark.slow
@examples(75)
@given(right | interval, zones)
def test_any_schedule_is_said_elsewhere_or_refused_in_a_sentence(text: str, name: str) -> None:
    with suppress(ScheduleError):
        schedule = parse_schedule(text, name)
        for say in (trigger_cron, lambda one: caution(one, NOW), _in_utc):
            with bounded():
                try:
                    say(schedule)
                except ScheduleError as error:
                    check_message(error)


NOW = datetime(2026, 11, 23, tzinfo=UTC)


def _in_utc(schedule: Cron | Crons | Every) -> object:
    return fields_in_utc(schedule, NOW) if isinstance(schedule, Cron) else None
