"""A schedule without some dates."""

import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Every, Excluding, in_zone, parse_schedule
from jobctl.schedules.excluding import FIRST, LAST, merged, parse_dates, unfiltered, why_excluded
from jobctl.schedules.words import in_words

BERLIN = ZoneInfo("Europe/Berlin")
CHRISTMAS = [parse_dates("2026-12-24..2026-12-26"), parse_dates("2027-01-01")]
DAILY = Excluding(parse_schedule("0 9 * * *", "Europe/Berlin"), CHRISTMAS)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def test_times_on_excluded_dates_are_left_out() -> None:
    anchor = local("2026-12-22T12:00")
    time, found = anchor, []
    for _ in range(3):
        time = DAILY.next_after(time, anchor)
        found.append(f"{time.astimezone(BERLIN):%m-%d %H:%M}")

    assert found == ["12-23 09:00", "12-27 09:00", "12-28 09:00"]
    assert DAILY.latest_until(local("2026-12-26T23:00"), anchor, anchor) == local("2026-12-23T09:00")
    assert DAILY.latest_until(local("2026-12-26T23:00"), local("2026-12-24T00:00"), anchor) is None
    assert DAILY.count(anchor, local("2027-01-02T09:00"), anchor) == 7


def test_a_date_is_one_of_the_time_zone() -> None:
    assert DAILY.excludes(local("2026-12-24T00:00"))
    assert not DAILY.excludes(local("2026-12-23T23:59:59"))
    assert DAILY.excludes(datetime(2026, 12, 23, 23, tzinfo=UTC))
    assert why_excluded(DAILY, datetime(2026, 12, 23, 23, tzinfo=UTC)) == "2026-12-24 is excluded"
    tokyo = in_zone(DAILY, "Asia/Tokyo")
    assert isinstance(tokyo, Excluding)
    assert not tokyo.excludes(datetime(2026, 12, 26, 15, tzinfo=UTC))


def test_of_each_excluded_date_the_first_time_is_named() -> None:
    anchor = local("2026-12-23T12:00")
    often = Excluding(Every(1), CHRISTMAS)

    assert list(DAILY.left_out(anchor, local("2027-03-01T00:00"), anchor)) == [
        local(f"{day}T09:00") for day in ("2026-12-24", "2026-12-25", "2026-12-26", "2027-01-01")
    ]
    named = [f"{time:%m-%d %H:%M:%S}" for time in often.left_out(anchor, local("2027-01-01T12:00"), anchor)]
    assert named == ["12-24 00:00:00", "12-25 00:00:00", "12-26 00:00:00", "01-01 00:00:00"]


def test_there_is_always_a_next_time() -> None:
    """A search without end would hold up the scheduler."""
    never = Excluding(parse_schedule("*/10 * * * * *"), [(FIRST, LAST)])
    weekly = [(date(2026, 1, 3) + timedelta(weeks=week),) * 2 for week in range(9000)]
    saturdays = Excluding(parse_schedule("0 9 * * 6"), weekly)

    assert never.next_after(local("2026-12-01T00:00"), local("2026-12-01T00:00")).year == 2200
    assert saturdays.next_after(local("2026-12-01T00:00"), local("2026-12-01T00:00")).year == 2198
    assert never.latest_until(local("2026-12-01T00:00"), local("2020-12-01T00:00"), FIRST_INSTANT) is None


FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_other_schedule_shows_through() -> None:
    week = Excluding(parse_schedule("0 9 * * 1-5; 0 11 * * 6"), CHRISTMAS)

    assert (week.text, len(week.members), week.timezone) == ("0 9 * * 1-5; 0 11 * * 6", 2, "UTC")
    assert in_words(DAILY) == "every day at 09:00, but not on excluded dates"
    assert unfiltered(week) == parse_schedule(week.text)
    assert pickle.loads(pickle.dumps(week)) == week
    assert hash(Excluding(unfiltered(week), reversed(CHRISTMAS))) == hash(week)
    assert week != Excluding(unfiltered(week), CHRISTMAS[:1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("24.12.2026", '"24.12.2026" is neither a date nor a range of dates'),
        ("2026-12-24.", "neither a date nor a range"),
        ("2026-02-30", '"2026-02-30" is no date of the calendar'),
        ("2026-12-26..2026-12-24", "runs backwards"),
        ("1969-12-31", "expected a date from 1970-01-01 to 2199-12-31, not 1969-12-31"),
        ("2026-12-24..9999-12-31", "expected a date from 1970-01-01 to 2199-12-31, not 9999-12-31"),
        ("", "neither a date nor a range"),
    ],
)
def test_what_is_no_date_is_refused(text: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=r".") as error:
        parse_dates(text)
    assert message in str(error.value)


RANGES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 3)).map(
        lambda pair: (
            date(2026, 10, 20) + timedelta(days=pair[0]),
            date(2026, 10, 20) + timedelta(days=sum(pair)),
        )
    ),
    max_size=4,
)
START = datetime(2026, 10, 20, tzinfo=UTC)


@given(
    st.sampled_from(["0 9 * * *", "*/30 */2 * * *", "30 2 * * *; 0 0 * * 0", "every 97m"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Havana"]),
    RANGES,
    st.integers(0, 800_000),
    st.integers(0, 800_000),
)
def test_it_agrees_with_the_times_one_by_one(
    text: str, timezone: str, ranges: list[tuple[date, date]], begin: int, length: int
) -> None:
    schedule = Excluding(parse_schedule(text, timezone), ranges)
    start = START + timedelta(seconds=begin)
    end = start + timedelta(seconds=length)
    kept: list[datetime] = []
    first_of_date: dict[date, datetime] = {}
    time = start
    while (time := schedule.schedule.next_after(time, START)) <= end:
        if schedule.excludes(time):
            first_of_date.setdefault(time.astimezone(ZoneInfo(schedule.timezone)).date(), time)
        else:
            kept.append(time)

    found, time = [], start
    while (time := schedule.next_after(time, START)) <= end:
        found.append(time)

    assert found == kept
    assert schedule.count(start, end, START) == len(kept)
    assert schedule.latest_until(end, start, START) == (kept[-1] if kept else None)
    assert list(schedule.left_out(start, end, START)) == sorted(first_of_date.values())
    dates = {day for first, last in merged(ranges) for day in (first, last)}
    assert (
        first_of_date.keys()
        <= {
            first + timedelta(days=number)
            for first, last in merged(ranges)
            for number in range((last - first).days + 1)
        }
        or not dates
    )
