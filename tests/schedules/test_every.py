from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.clock import from_ms
from jobctl.errors import ScheduleError
from jobctl.schedules import Cron, Every
from jobctl.schedules.convert import cron_to_interval, interval_to_cron

INSTANTS = st.integers(0, 4_000_000_000_000).map(from_ms)
STEPS = st.integers(1000, 10_000_000_000).map(lambda ms: timedelta(milliseconds=ms))


@given(INSTANTS, INSTANTS, STEPS)
def test_each_due_time_is_a_whole_number_of_steps_from_the_anchor(
    anchor: datetime, instant: datetime, step: timedelta
) -> None:
    found = Every(step).next_after(instant, anchor)

    assert instant < found <= instant + step
    assert (found - anchor) % step == timedelta(0)
    assert Every(step).latest_until(found, instant, anchor) == found
    assert Every(step).latest_until(found - timedelta(milliseconds=1), instant, anchor) is None


@given(INSTANTS, st.integers(0, 500), STEPS)
def test_counting_is_arithmetic(anchor: datetime, number: int, step: timedelta) -> None:
    assert Every(step).count(anchor, anchor + number * step, anchor) == number


@pytest.mark.parametrize("interval", [0, -5, 0.5, float("inf"), float("nan"), 1e12, True, "5m", None])
def test_what_is_refused(interval: float) -> None:
    with pytest.raises(ScheduleError):
        Every(interval)


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(60, "* * * * *"), (300, "*/5 * * * *"), (1800, "*/30 * * * *"), (3600, "0 * * * *"),
     (7200, "0 */2 * * *"), (86400, "0 0 * * *"), (604800, "0 0 * * 0")],
)  # fmt: skip
def test_an_even_interval_has_its_cron_expression(seconds: int, cron: str) -> None:
    assert interval_to_cron(timedelta(seconds=seconds)) == cron
    assert cron_to_interval(Cron(cron)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(45, "whole minutes"), (90, "whole minutes"), (420, "7 does not divide an hour"),
     (5400, "does not divide a day"), (5 * 3600, "does not divide a day"), (2 * 86400, "does not divide a day")],
)  # fmt: skip
def test_an_uneven_one_is_refused_with_the_reason(seconds: int, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        interval_to_cron(timedelta(seconds=seconds))


@pytest.mark.parametrize("cron", ["*/7 * * * *", "0 9 * * 1,3", "0 0 1 * *", "0 9,10 * * *", "30 2 * * 5#1"])
def test_an_uneven_cron_has_no_interval(cron: str) -> None:
    assert cron_to_interval(Cron(cron)) is None


@given(st.integers(1, 1500).map(lambda minutes: timedelta(minutes=minutes)))
def test_whatever_converts_is_due_in_that_rhythm(interval: timedelta) -> None:
    try:
        cron = Cron(interval_to_cron(interval))
    except ScheduleError:
        return
    first = cron.next_after(datetime(2026, 11, 23, 23, 30, tzinfo=UTC))

    assert cron.next_after(first) - first == interval
    assert cron_to_interval(cron) == interval
