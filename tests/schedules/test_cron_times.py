"""Due times: ordinary days against an obvious reference and cronsim, nights of clock changes by hand."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobctl.schedules import Cron
from jobctl.schedules.walltime import readings, wall

SECOND = timedelta(seconds=1)


def due(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Due times as the wall shows them, with their offset."""
    cron = Cron(expression, zone)
    instant = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = []
    for _ in range(count):
        instant = cron.next_after(instant)
        found.append(instant.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z")[:-2])
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # spring: 02:00-03:00 does not exist
        ("30 2 * * *", "America/New_York", "2026-03-07 12:00", ["08 03:00 -04", "09 02:30 -04"]),
        ("0,15,30 2 * * *", "America/New_York", "2026-03-07 12:00", ["08 03:00 -04", "09 02:00 -04"]),
        ("0 */2 * * *", "America/New_York", "2026-03-08 00:30", ["08 04:00 -04", "08 06:00 -04"]),
        ("*/30 * * * *", "America/New_York", "2026-03-08 01:10", ["08 01:30 -05", "08 03:00 -04"]),
        ("* 2 * * *", "America/New_York", "2026-03-08 01:10", ["09 02:00 -04"]),
        # autumn: 01:00-02:00 comes twice
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["01 01:30 -04", "02 01:30 -05"]),
        (
            "30 * * * *",
            "America/New_York",
            "2026-11-01 00:40",
            ["01 01:30 -04", "01 01:30 -05", "01 02:30 -05"],
        ),
        ("59 1 * * *", "Europe/London", "2026-10-24 12:00", ["25 01:59 +01", "26 01:59 +00"]),
        ("30 1 * * *", "Europe/Dublin", "2026-03-28 12:00", ["29 02:00 +01", "30 01:30 +01"]),
        # half an hour
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", ["04 02:30 +11", "05 02:15 +11"]),
        (
            "*/20 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-05 00:50",
            ["05 01:00 +11", "05 01:20 +11", "05 01:40 +11", "05 01:40 +10"],
        ),
        # a day that was skipped: longer than three hours
        ("0 12 * * *", "Pacific/Apia", "2011-12-29 11:00", ["29 12:00 -10", "31 12:00 +14"]),
        ("0-59 0 12 * * *", "Pacific/Apia", "2011-12-29 12:01", ["31 12:00 +14"]),
        # changes at midnight
        ("0 0 * * *", "America/Santiago", "2026-09-05 12:00", ["06 01:00 -03", "07 00:00 -03"]),
        ("30 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00", ["04 01:00 -02", "05 00:30 -02"]),
        ("*/15 */15 * * *", "America/Sao_Paulo", "2018-11-03 23:50", ["04 15:00 -02"]),
        # two hours
        ("30 2 * * *", "Antarctica/Troll", "2026-03-28 12:00", ["29 03:00 +02", "30 02:30 +02"]),
        # Ramadan
        ("30 2 * * *", "Africa/Casablanca", "2026-03-21 12:00", ["22 03:00 +01", "23 02:30 +01"]),
    ],
)
def test_a_night_when_clocks_change(expression: str, zone: str, start: str, expected: list[str]) -> None:
    assert due(expression, zone, start, len(expected)) == expected


def test_from_the_second_pass_a_fixed_time_waits_for_the_next_day() -> None:
    cron = Cron("30 1 * * *", "America/New_York")
    second_pass = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)

    assert cron.next_after(second_pass) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def test_notes_say_what_happens_to_a_time() -> None:
    spring, autumn = Cron("30 2 * * *", "Europe/Berlin"), Cron("30 * * * *", "Europe/Berlin")

    assert spring.note(datetime(2027, 3, 28, 1, 0, tzinfo=UTC)) == "02:30 does not exist"
    assert spring.note(datetime(2027, 3, 29, 0, 30, tzinfo=UTC)) is None
    assert autumn.note(datetime(2027, 10, 31, 0, 30, tzinfo=UTC)) == "02:30 comes twice, this is the first"
    assert autumn.note(datetime(2027, 10, 31, 1, 30, tzinfo=UTC)) == "02:30 comes twice, this is the second"


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01", "2028-02-29"),
        ("0 0 29 2 1", "2026-01-01", "2026-02-02"),
        ("0 0 L * *", "2026-02-10", "2026-02-28"),
        ("0 0 * * 5#2", "2026-11-01", "2026-11-13"),
        ("0 0 * * L5", "2026-11-01", "2026-11-27"),
        ("0 0 * * 5L", "2026-11-01", "2026-11-27"),
        ("0 0 13 * 5", "2026-11-01", "2026-11-06"),
        ("0 0 */13 * 5", "2026-11-01", "2026-11-27"),
        ("0 0 * * 7", "2026-11-01", "2026-11-08"),
        ("0 0 5-5 * *", "2026-11-06", "2026-12-05"),
        ("@yearly", "2026-11-06", "2027-01-01"),
        ("0 0 31 12 *", "2026-12-31", "2027-12-31"),
    ],
)
def test_days(expression: str, start: str, expected: str) -> None:
    after = datetime.fromisoformat(start).replace(tzinfo=UTC)

    assert Cron(expression).next_after(after).date().isoformat() == expected


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    ranges = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stars = st.one_of(st.just("*"), st.integers(1, most).map(lambda step: f"*/{step}"))
    steps = st.tuples(ranges, st.integers(1, most)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    one = st.one_of(number.map(str), ranges, steps)
    return st.one_of(stars, st.lists(one, min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Europe/London",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Antarctica/Troll",
    ]
)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


def matches(cron: Cron, time: datetime) -> bool:
    """The obvious reference: does this wall time fit the fields?"""
    second, minute, hour, day, month, weekday = cron.values
    in_day, in_week = time.day in day.numbers, (time.weekday() + 1) % 7 in weekday.numbers
    days = (in_day and in_week) if day.star or weekday.star else (in_day or in_week)
    return (
        time.second in second.numbers
        and time.minute in minute.numbers
        and time.hour in hour.numbers
        and time.month in month.numbers
        and days
    )


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, ZONES, INSTANTS)
@example("*/20 1 * * *", "Australia/Lord_Howe", datetime(2026, 4, 4, 14, 50, tzinfo=UTC))
def test_the_next_time_is_later_matches_and_does_not_depend_on_what_was_asked_before(
    expression: str, zone: str, start: datetime
) -> None:
    cron = Cron(expression, zone)
    first = cron.next_after(start)
    second = cron.next_after(first)

    assert start < first < second
    assert Cron(expression, zone).next_after(first) == second
    assert cron.next_after(first - SECOND) == first
    shown = wall(first, ZoneInfo(zone)).replace(fold=0)
    in_a_gap = wall(first - SECOND, ZoneInfo(zone)).replace(fold=0) + SECOND < shown
    assert matches(cron, shown) or (cron.fixed_time and in_a_gap)


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, INSTANTS)
def test_nothing_in_between_matches(expression: str, start: datetime) -> None:
    cron = Cron(expression)
    found = cron.next_after(start)
    assume(found - start < timedelta(days=2))
    minute = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < found:
        assert not matches(cron, minute)
        minute += timedelta(minutes=1)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, ZONES, INSTANTS)
def test_cronsim_agrees_away_from_clock_changes(expression: str, zone: str, start: datetime) -> None:
    assume(
        not re.search(r"\b(\d+)-\1/", expression)
    )  # a step over a range of one value: cronsim runs to the end
    tz = ZoneInfo(zone)
    ours = Cron(expression, zone).next_after(start)
    near = [start, ours, ours + timedelta(hours=4), ours - timedelta(hours=4), start + timedelta(hours=4)]
    assume(len({one.astimezone(tz).utcoffset() for one in near}) == 1)

    theirs = next(CronSim(expression, start.astimezone(tz)))

    assert ours == theirs.astimezone(UTC)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, ZONES, INSTANTS, st.timedeltas(timedelta(minutes=1), timedelta(days=20)))
def test_the_newest_until_is_the_last_that_listing_finds(
    expression: str, zone: str, start: datetime, span: timedelta
) -> None:
    cron = Cron(expression, zone)
    listed, instant = None, cron.next_after(start)
    for _ in range(3000):
        if instant > start + span:
            break
        listed, instant = instant, cron.next_after(instant)
    else:
        assume(False)

    assert cron.latest_until(start + span, start) == listed


def test_a_year_of_seconds_is_not_listed() -> None:
    cron = Cron("* * * * * *")
    end = datetime(2027, 1, 1, tzinfo=UTC)

    assert cron.latest_until(end, datetime(2026, 1, 1, tzinfo=UTC)) == end
    assert cron.count(datetime(2026, 1, 1, tzinfo=UTC), end) == 100


@settings(max_examples=60, deadline=None)
@given(ZONES, st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)))
def test_readings_show_the_time_that_was_asked(zone: str, time: datetime) -> None:
    for instant in readings(time, ZoneInfo(zone)):
        assert wall(instant, ZoneInfo(zone)).replace(fold=0) == time
