"""Due times away from clock changes: against a reference, against cronsim, and after long absences."""

import copy
import pickle
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron
from tests.schedules.reference import Expression

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01", "2028-02-29"),
        ("0 0 29 2 *", "2096-03-01", "2104-02-29"),
        ("0 0 29 2 */7", "2088-03-01", "2128-02-29"),
        ("0 0 * 2 5#5", "2026-01-01", "2036-02-29"),
        ("0 0 29 2 1", "2026-01-01", "2026-02-02"),
        ("0 0 30,31 2 1", "2026-01-01", "2026-02-02"),
        ("0 0 30 2 0-6", "2026-02-10", "2026-02-11"),
        ("0 0 L * *", "2026-02-10", "2026-02-28"),
        ("0 0 15,L * *", "2026-02-10", "2026-02-15"),
        ("0 0 L 2 *", "2028-01-01", "2028-02-29"),
        ("0 0 L * 1", "2026-11-24", "2026-11-30"),
        ("0 0 * * 5#2", "2026-11-01", "2026-11-13"),
        ("0 0 * * fri#2,FRI#4", "2026-11-14", "2026-11-27"),
        ("0 0 * * 7#1", "2026-11-02", "2026-12-06"),
        ("0 0 * * L5", "2026-11-01", "2026-11-27"),
        ("0 0 * * 5L", "2026-11-01", "2026-11-27"),
        ("0 0 * * 5L,1#1", "2026-11-28", "2026-12-07"),
        ("0 0 13 * 5", "2026-11-01", "2026-11-06"),
        ("0 0 */13 * 5", "2026-11-01", "2026-11-27"),
        ("0 0 13 * */5", "2026-11-01", "2026-11-13"),
        ("0 0 1-31 * 1", "2026-11-03", "2026-11-04"),
        ("0 0 15 * 0-6", "2026-11-03", "2026-11-04"),
        ("0 0 * * 7", "2026-11-01", "2026-11-08"),
        ("0 0 * * 5-7", "2026-11-07", "2026-11-08"),
        ("0 0 5-5 * *", "2026-11-06", "2026-12-05"),
        ("0 0 * jan-MAR Mon", "2026-11-06", "2027-01-04"),
        ("@yearly", "2026-11-06", "2027-01-01"),
        ("@weekly", "2026-11-06", "2026-11-08"),
        ("0 0 31 12 *", "2026-12-31", "2027-12-31"),
    ],
)
def test_days(expression: str, start: str, expected: str) -> None:
    after = datetime.fromisoformat(start).replace(tzinfo=UTC)

    assert Cron(expression).next_after(after).date().isoformat() == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/30 * * * * *", ["09:00:30", "09:01:00"]),
        ("30 * * * * *", ["09:00:30", "09:01:30"]),
        ("0 */5 9 * * *", ["09:05:00", "09:10:00"]),
        ("*/90 * * * *", ["10:00:00", "11:00:00"]),
        ("50-59/5 * * * *", ["09:50:00", "09:55:00"]),
        ("*/25 * * * *", ["09:25:00", "09:50:00"]),
        ("5-5 * * * *", ["09:05:00", "10:05:00"]),
        ("@hourly", ["10:00:00", "11:00:00"]),
    ],
)
def test_times(expression: str, expected: list[str]) -> None:
    cron, instant, found = Cron(expression), datetime(2026, 11, 23, 9, 0, 5, 250_000, tzinfo=UTC), []
    for _ in expected:
        instant = cron.next_after(instant)
        found.append(f"{instant:%H:%M:%S}")

    assert found == expected


def test_an_instant_may_come_in_any_zone_and_leaves_in_utc() -> None:
    at = datetime(2026, 11, 23, 9, 30, tzinfo=ZoneInfo("Asia/Tokyo"))

    found = Cron("0 9 * * *", "Europe/Berlin").next_after(at)

    assert found == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert found.tzinfo is UTC


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    ranges = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stars = st.one_of(st.just("*"), st.integers(1, most).map(lambda step: f"*/{step}"))
    steps = st.tuples(ranges, st.integers(1, most)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    one = st.one_of(number.map(str), ranges, steps)
    return st.one_of(stars, st.lists(one, min_size=1, max_size=3).map(",".join))


DAY_FIELDS = st.one_of(
    st.tuples(field(1, 28), field(1, 12), field(0, 6)),
    st.tuples(st.sampled_from(["L", "10,L"]), field(1, 12), field(0, 6)),
    st.tuples(st.just("*"), field(1, 12), st.sampled_from(["1#1", "5#5", "0#2,3#4", "L0", "6L,2#3"])),
).map(" ".join)
EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"])
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, ZONES, INSTANTS)
def test_the_next_time_is_later_and_does_not_depend_on_what_was_asked_before(
    expression: str, zone: str, start: datetime
) -> None:
    cron = Cron(expression, zone)
    first = cron.next_after(start)
    second = cron.next_after(first)
    cron.next_after(start - timedelta(days=400))

    assert start < first < second
    assert first.microsecond == 0
    assert cron.next_after(start) == first
    assert cron.next_after(first - SECOND) == first
    assert Cron(expression, zone).next_after(first) == second


@settings(max_examples=80, deadline=None)
@given(field(0, 59), field(0, 23), INSTANTS)
def test_nothing_in_between_matches(minute: str, hour: str, start: datetime) -> None:
    expression = f"{minute} {hour} * * *"
    cron, reference = Cron(expression), Expression(expression)
    found = cron.next_after(start)
    one = start.replace(second=0, microsecond=0) + MINUTE
    while one < found:
        assert not reference.names(one)
        one += MINUTE
    assert reference.names(found)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(DAY_FIELDS, INSTANTS)
def test_the_first_day_that_is_named_is_found_and_counted(day_fields: str, start: datetime) -> None:
    cron, reference = Cron(f"30 12 {day_fields}"), Expression(f"30 12 {day_fields}")
    noon = start.replace(hour=12, minute=30, second=0, microsecond=0)
    days = (noon + timedelta(days=number) for number in range(400))
    named = [day for day in days if day > start and reference.names_day(day)]
    assume(named)

    assert cron.next_after(start) == named[0]
    assert cron.latest_until(noon + timedelta(days=399), start) == named[-1]
    assert cron.count(start, noon + timedelta(days=399)) == len(named)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, ZONES, INSTANTS)
def test_cronsim_agrees_away_from_clock_changes(expression: str, zone: str, start: datetime) -> None:
    """Left out: a step over a range of one value, where cronsim goes on to the end of the field."""
    assume(not re.search(r"\b(\d+)-\1/", expression))
    tz = ZoneInfo(zone)
    ours = Cron(expression, zone).next_after(start)
    hours = timedelta(hours=4)
    near = [start, start - hours, start + hours, ours, ours + hours, ours - hours]
    assume(len({one.astimezone(tz).utcoffset() for one in near}) == 1)

    theirs = next(CronSim(expression, start.astimezone(tz)))

    assert ours == theirs.astimezone(UTC)


RARE = st.one_of(
    st.tuples(st.sampled_from(["29", "30", "31", "29-31", "*/30", "L"]), st.sampled_from(["*", "*/6", "2", "4", "2,4"]),
              st.sampled_from(["*", "*/7", "*/5", "1", "0-6"])),
    st.tuples(st.just("*"), st.sampled_from(["*", "2", "2,4"]), st.sampled_from(["0#5", "3#5", "6#5,1#5"])),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(RARE, st.datetimes(datetime(1950, 1, 1), datetime(2250, 1, 1)))
def test_every_accepted_expression_has_a_day_within_fifty_years(
    day_fields: tuple[str, str, str], start: datetime
) -> None:
    expression = " ".join(("0", "0", *day_fields))
    try:
        cron = Cron(expression)
    except ScheduleError:
        year = datetime(2000, 1, 1)
        reference = Expression(expression)
        assert not any(reference.names_day(year + timedelta(days=number)) for number in range(12 * 366))
        return
    found = cron.next_after(start.replace(tzinfo=UTC))

    assert found - start.replace(tzinfo=UTC) < timedelta(days=50 * 366)
    assert Expression(expression).names(found.replace(tzinfo=None))


def test_a_year_of_seconds_is_not_listed() -> None:
    cron = Cron("* * * * * *")
    end = datetime(2027, 1, 1, tzinfo=UTC)

    assert cron.latest_until(end, datetime(2026, 1, 1, tzinfo=UTC)) == end
    assert cron.count(datetime(2026, 1, 1, tzinfo=UTC), end) == 365 * 86_400
    assert Cron("* * * * * *", "Europe/Berlin").count(datetime(2026, 1, 1, tzinfo=UTC), end) == 365 * 86_400


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("span", [1, 2, 3, 59, 60, 61, 121, 3601])
def test_the_latest_due_time_of_a_short_absence(zone: str, span: int) -> None:
    end = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    after, late = end - span * SECOND, end + timedelta(milliseconds=999)

    assert Cron("* * * * * *", zone).latest_until(end, after) == end
    assert Cron("* * * * * *", zone).latest_until(late, after) == end
    assert Cron("*/2 * * * * *", zone).latest_until(end - SECOND, after) == (
        end - 2 * SECOND if span > 2 else None
    )
    assert Cron("59 59 * * * *", zone).latest_until(end, after) == (end - SECOND if span > 1 else None)


def test_long_absences() -> None:
    cron = Cron("0 0 29 2 *", "Europe/Berlin")
    now = datetime(2027, 1, 1, tzinfo=UTC)

    assert cron.latest_until(now, datetime(1, 1, 1, tzinfo=UTC)) == datetime(2024, 2, 28, 23, tzinfo=UTC)
    assert cron.count(datetime(1970, 1, 1, tzinfo=UTC), now) == 14
    assert cron.latest_until(now, now) is None
    assert cron.latest_until(now, now + SECOND) is None
    assert cron.count(now, now) == cron.count(now, now - MINUTE) == 0


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_behind_the_last_year_there_is_no_due_time(zone: str) -> None:
    with pytest.raises(ScheduleError, match=r'"0 0 \* \* \*" has no due time after 9999-12-31'):
        Cron("0 0 * * *", zone).next_after(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))


@pytest.mark.parametrize("place", ["America/New_York", "Asia/Kolkata"])
def test_the_zone_of_the_machine_does_not_matter(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = [datetime(2026, 3, 8, hour, 10, tzinfo=UTC) for hour in range(24)]
    crons = [Cron("30 2,6 * * *"), Cron("*/20 * * * *", "Europe/Berlin"), Cron("0 30 1 * * *", "Asia/Tokyo")]
    expected = [cron.next_after(one) for cron in crons for one in starts]
    with monkeypatch.context() as patch:
        patch.setenv("TZ", place)
        time.tzset()
        found = [cron.next_after(one) for cron in crons for one in starts]
    time.tzset()

    assert found == expected


def test_threads_may_share_a_schedule() -> None:
    cron = Cron("*/7 3-9 * * 1-5", "Europe/Berlin")
    starts = [datetime(2026, 11, day, hour, tzinfo=UTC) for day in range(1, 30) for hour in range(0, 24, 5)]
    expected = [Cron("*/7 3-9 * * 1-5", "Europe/Berlin").next_after(one) for one in starts]
    found: list[list[datetime]] = []
    threads = [
        threading.Thread(target=lambda: found.append([cron.next_after(one) for one in starts]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [expected] * 6


def test_a_schedule_is_a_value() -> None:
    cron = Cron("0  9\t* * 1", "Europe/Berlin")
    cron.next_after(datetime(2026, 1, 1, tzinfo=UTC))

    assert (
        cron == Cron("0 9 * * 1", "Europe/Berlin") == copy.deepcopy(cron) == pickle.loads(pickle.dumps(cron))
    )
    assert hash(cron) == hash(Cron("0 9 * * 1", "Europe/Berlin"))
    assert cron != Cron("0 9 * * 1")
    assert repr(cron) == "Cron('0 9 * * 1', 'Europe/Berlin')"


def test_a_schedule_is_made_without_croniter_and_without_zones() -> None:
    code = """if True:
        import sys
        from jobctl.schedules import Cron, Every, parse_schedule
        parse_schedule("*/5 * * * *"), parse_schedule("15m"), Cron("0 0 * * 5#2")
        print({"croniter", "zoneinfo", "dateutil"} & set(sys.modules))
        from datetime import UTC, datetime
        Cron("*/5 * * * *").next_after(datetime(2026, 1, 1, tzinfo=UTC))
        print("croniter" in sys.modules, "zoneinfo" in sys.modules)
    """
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert answer.stdout.splitlines()[0] == "set()"
    assert answer.stdout.splitlines()[1].startswith("True")


@cache
def due_around(expression: str, zone: str, start: datetime) -> list[datetime]:
    """The due times of 30 days."""
    due: list[datetime] = []
    while not due or due[-1] < start + timedelta(days=15):
        due.append(Cron(expression, zone).next_after(due[-1] if due else start - timedelta(days=15)))
    return due


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "0 3 * * *", "30 2 * * 0"]),
    st.sampled_from(["UTC", "Europe/Berlin"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(-400, 400)), min_size=1, max_size=12),
)
def test_equal_schedules_answer_alike_in_any_order(
    expression: str, zone: str, asked: list[tuple[int, int]]
) -> None:
    """They share what was found last; a change of clocks is among the times."""
    start = datetime(2026, 10, 24, tzinfo=UTC)
    due = due_around(expression, zone, start)
    for minutes, back in asked:
        now = start + minutes * MINUTE
        after = now - back * MINUTE
        assert Cron(expression, zone).next_after(now) == next(time for time in due if time > now)
        latest = [time for time in due if after < time <= now]
        assert Cron(expression, zone).latest_until(now, after) == (latest[-1] if latest else None)
