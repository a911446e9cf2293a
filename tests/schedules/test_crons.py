"""Several cron expressions as one schedule."""

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron, Crons, cron_schedule, parse_schedule
from jobctl.schedules.words import in_words

WEEK = Crons(["0 9 * * 1-5", "0 11 * * 6"], "Europe/Berlin")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_the_next_time_is_the_earliest_of_its_members() -> None:
    time, found = at("2026-11-26T12:00"), []
    for _ in range(4):
        time = WEEK.next_after(time)
        found.append(f"{time.astimezone(ZoneInfo('Europe/Berlin')):%a %H:%M}")
    assert found == ["Fri 09:00", "Sat 11:00", "Mon 09:00", "Tue 09:00"]


def test_the_latest_time_is_that_of_any_member() -> None:
    monday = at("2026-11-30T08:59", "Europe/Berlin")
    assert WEEK.latest_until(monday, monday - timedelta(days=7)) == at("2026-11-28T11:00", "Europe/Berlin")
    assert WEEK.latest_until(monday, monday - timedelta(hours=1)) is None


def test_times_that_coincide_are_one() -> None:
    both = Crons(["0 * * * *", "*/30 * * * *"])
    start = at("2026-11-26T08:00")
    assert both.next_after(start) == start + timedelta(minutes=30)
    assert both.next_after(start + timedelta(minutes=30)) == start + timedelta(hours=1)
    assert both.count(start, start + timedelta(hours=2)) == 4


@pytest.mark.parametrize("text", ["0 9 * * 1-5; 0 11 * * 6", "0 9 * * 1-5;0 11 * * 6 ;0 9 * * 1-5"])
def test_its_text_can_be_parsed_again(text: str) -> None:
    found = parse_schedule(text, "Europe/Berlin")
    assert (found, found.text) == (WEEK, "0 9 * * 1-5; 0 11 * * 6")
    assert hash(found) == hash(WEEK)
    assert pickle.loads(pickle.dumps(found)) == WEEK
    assert eval(repr(found)) == WEEK


def test_one_expression_is_a_cron() -> None:
    assert cron_schedule(["0 9 * * *", " 0  9 * * *"]) == Cron("0 9 * * *")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 9 * * *; 61 9 * * *", '"61 9 * * *": minute: 61'),
        ("0 9 * * *;", '"": '),
        (
            "; ".join(f"{minute} 9 * * *" for minute in range(51)),
            "expected 2 to 50 different cron expressions",
        ),
    ],
)
def test_an_error_names_the_expression(text: str, message: str) -> None:
    with pytest.raises(ScheduleError) as error:
        parse_schedule(text)
    assert message in str(error.value)


def test_words_say_each_of_them() -> None:
    assert in_words(WEEK) == "at 09:00 from Monday to Friday; and at 11:00 on every Saturday"


def test_a_slot_is_fixed_unless_a_wildcard_is_due_too() -> None:
    mixed = Crons(["*/30 8 * * *", "30 8,9 * * *"])
    fixed = {text: mixed.is_fixed(at(f"2026-11-26T{text}")) for text in ("08:00", "08:30", "09:30")}
    assert fixed == {"08:00": False, "08:30": False, "09:30": True}


def test_a_clock_change_is_noted_for_the_member_that_it_moves() -> None:
    crons = Crons(["30 2 * * *", "0 5 * * *"], "Europe/Berlin")
    moved = crons.next_after(at("2027-03-28T00:30", "Europe/Berlin"))
    assert crons.note(moved) == "02:30 does not exist"
    assert crons.note(crons.next_after(moved)) is None


_PARTS = ["*", "*/20", "0,30", "15-45/10", "5"]
_HOURS = ["*", "*/2", "0-3", "1", "2,3", "22-23"]
_DAYS = ["* * *", "1 * *", "* * 0", "* 3 6,0", "L * *", "1,25 * 0", "* 10 0L"]
EXPRESSIONS = st.builds("{} {} {}".format, *map(st.sampled_from, (_PARTS, _HOURS, _DAYS)))
CHANGES = ["2026-03-29T01:00", "2026-10-25T01:00", "2026-04-04T15:00", "2026-10-03T15:30"]


@given(
    st.lists(EXPRESSIONS, min_size=1, max_size=3),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"]),
    st.sampled_from(CHANGES),
    st.integers(-3 * 3600, 3 * 3600),
    st.integers(0, 90_000),
)
def test_its_count_is_that_of_its_times(
    expressions: list[str], zone: str, change: str, begin: int, length: int
) -> None:
    schedule = cron_schedule(expressions, zone)
    start = at(change) + timedelta(seconds=begin)
    end = start + timedelta(seconds=length)
    times, time = set(), start
    while (time := schedule.next_after(time)) <= end:
        times.add(time)
    each = {time for cron in schedule.members for time in _times(cron, start, end)}
    assert times == each
    assert schedule.count(start, end) == len(times)
    assert schedule.latest_until(end, start) == max(times, default=None)


def _times(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    while (start := cron.next_after(start)) <= end:
        found.append(start)
    return found
