"""Nights when clocks change: a table by hand, and every minute of them against a slow reference."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobctl.schedules import Cron
from jobctl.schedules.wall_times import changes, readings, wall
from tests.schedules.reference import due_times, night

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
        ("0 2,3 * * *", "America/New_York", "2026-03-07 12:00", ["08 03:00 -04", "09 02:00 -04"]),
        ("0 */2 * * *", "America/New_York", "2026-03-08 00:30", ["08 04:00 -04", "08 06:00 -04"]),
        ("*/30 * * * *", "America/New_York", "2026-03-08 01:10", ["08 01:30 -05", "08 03:00 -04"]),
        ("* 2 * * *", "America/New_York", "2026-03-08 01:10", ["09 02:00 -04"]),
        # autumn: 01:00-02:00 comes twice
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["01 01:30 -04", "02 01:30 -05"]),
        ("30 1 * * *", "America/New_York", "2026-11-01 01:30", ["02 01:30 -05"]),
        ("0-59/30 1 * * *", "America/New_York", "2026-11-01 01:10", ["01 01:30 -04", "02 01:00 -05"]),
        ("30 * * * *", "America/New_York", "2026-11-01 00:40", ["01 01:30 -04", "01 01:30 -05", "01 02:30 -05"]),
        ("30 1 * * *", "Europe/London", "2026-03-28 12:00", ["29 02:00 +01", "30 01:30 +01"]),
        ("59 1 * * *", "Europe/London", "2026-10-24 12:00", ["25 01:59 +01", "26 01:59 +00"]),
        # winter time is the exception there
        ("30 1 * * *", "Europe/Dublin", "2026-03-28 12:00", ["29 02:00 +01", "30 01:30 +01"]),
        ("30 1 * * *", "Europe/Dublin", "2026-10-24 12:00", ["25 01:30 +01", "26 01:30 +00"]),
        # half an hour
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", ["04 02:30 +11", "05 02:15 +11"]),
        (
            "*/20 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-05 00:50",
            ["05 01:00 +11", "05 01:20 +11", "05 01:40 +11", "05 01:40 +10"],
        ),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", ["05 01:45 +11", "06 01:45 +10"]),
        # a day that was skipped: longer than three hours
        ("0 12 * * *", "Pacific/Apia", "2011-12-29 11:00", ["29 12:00 -10", "31 12:00 +14"]),
        ("0 0 * * *", "Pacific/Apia", "2011-12-29 11:00", ["31 00:00 +14", "01 00:00 +14"]),
        ("0 9 30 12 *", "Pacific/Apia", "2011-12-29 11:00", ["30 09:00 +14"]),
        ("*/30 0,23 * * *", "Pacific/Apia", "2011-12-29 23:10", ["29 23:30 -10", "31 00:00 +14"]),
        # changes at midnight
        ("0 0 * * *", "America/Santiago", "2026-09-05 12:00", ["06 01:00 -03", "07 00:00 -03"]),
        ("30 23 * * *", "America/Santiago", "2026-04-04 12:00", ["04 23:30 -03", "05 23:30 -04"]),
        ("30 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00", ["04 01:00 -02", "05 00:30 -02"]),
        ("*/15 */15 * * *", "America/Sao_Paulo", "2018-11-03 23:50", ["04 15:00 -02"]),
        # two hours
        ("30 2 * * *", "Antarctica/Troll", "2026-03-28 12:00", ["29 03:00 +02", "30 02:30 +02"]),
        ("30 1,2 * * *", "Antarctica/Troll", "2026-03-28 12:00", ["29 03:00 +02", "30 01:30 +02"]),
        ("30 2 * * *", "Antarctica/Troll", "2026-10-24 12:00", ["25 02:30 +02", "26 02:30 +00"]),
        # Ramadan
        ("30 2 * * *", "Africa/Casablanca", "2026-02-14 12:00", ["15 02:30 +01", "16 02:30 +00"]),
        ("30 2 * * *", "Africa/Casablanca", "2026-03-21 12:00", ["22 03:00 +01", "23 02:30 +01"]),
    ],
)  # fmt: skip
def test_a_night_when_clocks_change(expression: str, zone: str, start: str, expected: list[str]) -> None:
    assert due(expression, zone, start, len(expected)) == expected


def test_in_the_second_pass_a_fixed_time_is_due_on_the_next_day() -> None:
    cron = Cron("30 1 * * *", "America/New_York")
    second_pass = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)

    assert cron.next_after(second_pass) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


NIGHTS = [
    ("America/New_York", "2026-03-07 16:00", 24),
    ("America/New_York", "2026-10-31 16:00", 24),
    ("Europe/London", "2026-03-28 16:00", 24),
    ("Europe/London", "2026-10-24 16:00", 24),
    ("Europe/Dublin", "2026-03-28 16:00", 24),
    ("Europe/Dublin", "2026-10-24 16:00", 24),
    ("Australia/Lord_Howe", "2026-04-04 16:00", 24),
    ("Australia/Lord_Howe", "2026-10-03 16:00", 24),
    ("Pacific/Apia", "2011-12-29 12:00", 30),
    ("Africa/Casablanca", "2026-02-14 16:00", 24),
    ("Africa/Casablanca", "2026-03-21 16:00", 24),
    ("America/Santiago", "2026-04-04 16:00", 24),
    ("America/Santiago", "2026-09-05 16:00", 24),
    ("America/Sao_Paulo", "2018-02-17 16:00", 24),
    ("America/Sao_Paulo", "2018-11-03 16:00", 24),
    ("Antarctica/Troll", "2026-03-28 16:00", 24),
    ("Antarctica/Troll", "2026-10-24 16:00", 24),
]


def test_the_clocks_do_change_in_these_nights() -> None:
    for place in NIGHTS:
        rows = night(*place)
        zone = ZoneInfo(place[0])
        assert len(list(changes(rows[0][0], rows[-1][0], zone))) == 1
        assert rows[0][1].utcoffset() is None
        assert any(shown.fold or left_out for _, shown, left_out in rows)


def field(most: int, usual: int) -> st.SearchStrategy[str]:
    """A field's text, most of it about the hours in which clocks change."""
    number = st.integers(0, usual)
    ranges = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stars = st.one_of(st.just("*"), st.integers(1, most).map(lambda step: f"*/{step}"))
    steps = st.tuples(ranges, st.integers(1, usual)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    items = st.lists(st.one_of(number.map(str), ranges, steps), min_size=1, max_size=3).map(",".join)
    return st.one_of(items, items, stars, items.map(lambda one: f"{one},*/7"))


TEXTS = st.tuples(field(59, 59), field(23, 4)).map(lambda pair: f"{pair[0]} {pair[1]} * * *")
WITH_SECONDS = st.tuples(st.sampled_from(["0", "30", "*/20", "5,59"]), TEXTS).map(" ".join)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(st.one_of(TEXTS, WITH_SECONDS), st.sampled_from(NIGHTS), st.integers(0, 1300))
@example("*/20 1 * * *", ("Australia/Lord_Howe", "2026-04-04 16:00", 24), 600)
@example("30 */2,3 * * *", ("Antarctica/Troll", "2026-10-24 16:00", 24), 0)
@example("30 2 * * *", ("Pacific/Apia", "2011-12-29 12:00", 30), 0)
@example("30 1,2 * * *", ("America/New_York", "2026-10-31 16:00", 24), 0)
@example("30 1,2 * * *", ("America/New_York", "2026-10-31 16:00", 24), 610)
@example("30 2,3 * * *", ("America/New_York", "2026-03-07 16:00", 24), 0)
@example("0 2,3 * * *", ("America/New_York", "2026-03-07 16:00", 24), 0)
def test_every_due_time_is_the_references(expression: str, place: tuple[str, str, int], first: int) -> None:
    rows = night(*place)
    start, end = rows[first][0], rows[-1][0]
    cron = Cron(expression, place[0])
    all_of_them = [one for one in due_times(expression, rows) if start < one <= end]

    instant = start
    for expected in all_of_them[:60]:
        assert cron.next_after(instant) == expected
        assert Cron(expression, place[0]).next_after(expected - SECOND) == expected
        instant = expected
    assert len(all_of_them) > 60 or cron.next_after(instant) > end
    assert cron.count(start, end) == len(all_of_them)
    assert cron.latest_until(end, start) == (all_of_them[-1] if all_of_them else None)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.one_of(TEXTS, WITH_SECONDS), st.sampled_from(NIGHTS), st.data())
def test_the_due_times_between_two_instants_are_counted(
    expression: str, place: tuple[str, str, int], data: st.DataObject
) -> None:
    rows = night(*place)
    seconds = st.integers(0, (len(rows) - 1) * 60)
    after, until = (rows[0][0] + SECOND * one for one in sorted([data.draw(seconds), data.draw(seconds)]))
    cron = Cron(expression, place[0])
    all_of_them = [one for one in due_times(expression, rows) if after < one <= until]

    assert cron.count(after, until) == len(all_of_them)
    assert cron.latest_until(until, after) == (all_of_them[-1] if all_of_them else None)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(NIGHTS))
def test_a_fixed_time_is_due_once_in_the_night(expression: str, place: tuple[str, str, int]) -> None:
    cron = Cron(expression, place[0])
    rows = night(*place)
    if not cron.fixed_time:
        return
    shown, instant = [], rows[0][0]
    while (instant := cron.next_after(instant)) <= rows[-1][0]:
        shown.append(wall(instant, ZoneInfo(place[0])).replace(fold=0))

    assert shown == sorted(set(shown))


@pytest.mark.parametrize(
    ("expression", "instant", "note"),
    [
        ("30 2 * * *", "2027-03-28T01:00Z", "02:30 does not exist"),
        ("10,20 2 * * *", "2027-03-28T01:00Z", "02:10 does not exist"),
        ("0 3 * * *", "2027-03-28T01:00Z", None),
        ("*/30 * * * *", "2027-03-28T01:00Z", None),
        ("30 2 * * *", "2027-03-29T00:30Z", None),
        ("30 2 * * *", "2027-10-31T00:30Z", "02:30 comes twice, this is the first"),
        ("30 * * * *", "2027-10-31T00:30Z", "02:30 comes twice, this is the first"),
        ("30 * * * *", "2027-10-31T01:30Z", "02:30 comes twice, this is the second"),
    ],
)
def test_a_note_describes_the_effect_of_a_clock_change(
    expression: str, instant: str, note: str | None
) -> None:
    cron, at = Cron(expression, "Europe/Berlin"), datetime.fromisoformat(instant)

    assert cron.next_after(at - SECOND) == at
    assert cron.note(at) == note


def test_a_skipped_day_and_utc_have_no_note() -> None:
    assert Cron("0 0 * * *", "Pacific/Apia").note(datetime(2011, 12, 30, 10, tzinfo=UTC)) is None
    assert Cron("30 2 * * *").note(datetime(2027, 3, 28, 1, tzinfo=UTC)) is None


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NIGHTS), st.data())
def test_the_readings_of_a_time_are_the_instants_that_show_it(
    place: tuple[str, str, int], data: st.DataObject
) -> None:
    rows, zone = night(*place), ZoneInfo(place[0])
    _, shown, left_out = rows[data.draw(st.integers(60, len(rows) - 60))]

    assert readings(shown, zone) == [
        instant for instant, one, _ in rows if one.replace(fold=0) == shown.replace(fold=0)
    ]
    assert all(readings(one, zone) == [] for one in left_out)
