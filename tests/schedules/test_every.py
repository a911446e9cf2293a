from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.clock import from_ms
from jobctl.errors import ScheduleError
from jobctl.schedules import Every, parse_schedule

MILLISECOND = timedelta(milliseconds=1)
INSTANTS = st.integers(0, 4_000_000_000_000).map(from_ms)
FINE = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))
STEPS = st.integers(1000, 10_000_000_000).map(lambda ms: timedelta(milliseconds=ms))


@settings(deadline=None)
@given(INSTANTS, st.one_of(INSTANTS, FINE), STEPS)
def test_each_due_time_is_a_whole_number_of_steps_from_the_anchor(
    anchor: datetime, instant: datetime, step: timedelta
) -> None:
    found = Every(step).next_after(instant, anchor)

    assert instant < found <= instant + step
    assert (found - anchor) % step == timedelta(0)
    assert Every(step).latest_until(found, instant, anchor) == found
    assert Every(step).latest_until(found - MILLISECOND, instant, anchor) is None


@settings(deadline=None)
@given(INSTANTS, FINE, FINE, STEPS)
def test_the_latest_due_time_and_the_count_agree(
    anchor: datetime, after: datetime, until: datetime, step: timedelta
) -> None:
    every = Every(step)
    newest = every.latest_until(until, after, anchor)
    number = every.count(after, until, anchor)

    assert (newest is None) == (number == 0)
    if newest is not None:
        assert after < newest <= until < newest + step
        assert number == (newest - every.next_after(after, anchor)) // step + 1


@settings(deadline=None)
@given(INSTANTS, st.integers(0, 500), STEPS)
def test_counting_is_arithmetic(anchor: datetime, number: int, step: timedelta) -> None:
    assert Every(step).count(anchor, anchor + number * step, anchor) == number


def test_a_million_steps_later_it_is_still_in_step() -> None:
    anchor = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    every = Every(1.001)
    far = anchor + 1_000_000 * timedelta(milliseconds=1001)

    assert every.next_after(far - MILLISECOND, anchor) == far
    assert every.next_after(far, anchor) == far + timedelta(milliseconds=1001)


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        (0, "at least 1 s, not 0 s"),
        (-5, "at least 1 s, not -5 s"),
        (0.5, "at least 1 s, not 0.5 s"),
        (timedelta(milliseconds=999), "at least 1 s, not 0.999 s"),
        (timedelta.min, "at least 1 s"),
        (float("-inf"), "at least 1 s"),
        (-(10**400), "at least 1 s"),
        (float("inf"), "at most 100 years"),
        (float("nan"), "a number of seconds"),
        (10**400, "at most 100 years"),
        (timedelta.max, "at most 100 years"),
        (True, "not bool"),
        ("5m", "not str"),
        (None, "not NoneType"),
    ],
)
def test_what_is_refused(interval: float, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        Every(interval)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (1, "every 1s"),
        (timedelta(minutes=5), "every 5m"),
        (5400, "every 1h30m"),
        (1.5, "every 1500ms"),
        (1.00049, "every 1s"),
        (timedelta(days=36525), "every 36525d"),
    ],
)
def test_its_text_can_be_parsed(interval: timedelta | float, text: str) -> None:
    every = Every(interval)

    assert every.text == text
    assert parse_schedule(text) == every
    assert hash(parse_schedule(text)) == hash(every)
    assert (every.timezone, every.is_fixed(datetime(2026, 1, 1, tzinfo=UTC))) == ("UTC", False)


def test_behind_the_last_year_there_is_no_due_time() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    with pytest.raises(ScheduleError, match="every 5m has no due time after 9999-12-31"):
        Every(300).next_after(end, end)
