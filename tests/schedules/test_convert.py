from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron
from jobctl.schedules.convert import interval_to_cron


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(60, "* * * * *"), (300, "*/5 * * * *"), (1800, "*/30 * * * *"), (3600, "0 * * * *"),
     (7200, "0 */2 * * *"), (43200, "0 */12 * * *"), (86400, "0 0 * * *"), (604800, "0 0 * * 0")],
)  # fmt: skip
def test_an_even_interval_has_its_cron_expression(seconds: int, cron: str) -> None:
    assert interval_to_cron(timedelta(seconds=seconds)) == cron


@pytest.mark.parametrize(
    ("seconds", "text", "reason", "hint"),
    [
        (1.5, "1500ms", "cron counts in whole minutes", "use 1m"),
        (45, "45s", "cron counts in whole minutes", "use 1m"),
        (90, "1m30s", "cron counts in whole minutes", "use 1m or 2m"),
        (420, "7m", "an hour is not a multiple of it", "use 6m or 10m"),
        (2700, "45m", "an hour is not a multiple of it", "use 30m or 1h"),
        (5400, "1h30m", "its minute changes from hour to hour", "use 1h or 2h"),
        (5 * 3600, "5h", "a day is not a multiple of it", "use 4h or 6h"),
        (2 * 86400, "2d", "only days of the week and of the month", "use 1d or 7d"),
        (25 * 3600, "1d1h", "only days of the week and of the month", "use 1d or 7d"),
        (30 * 86400, "30d", "only days of the week and of the month", "use 7d"),
    ],
)
def test_an_interval_without_an_expression_is_refused_with_the_reason(
    seconds: float, text: str, reason: str, hint: str
) -> None:
    with pytest.raises(ScheduleError, match=f"every {text} cannot be a cron schedule: .*{reason}") as caught:
        interval_to_cron(timedelta(seconds=seconds))
    assert caught.value.hint == hint


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12_000).map(lambda minutes: timedelta(minutes=minutes)))
@example(timedelta(days=7))
@example(timedelta(hours=8))
def test_a_converted_interval_is_due_at_the_same_distance(interval: timedelta) -> None:
    try:
        cron = Cron(interval_to_cron(interval))
    except ScheduleError:
        return
    instant = cron.next_after(datetime(2027, 12, 30, 23, 30, tzinfo=UTC))
    for _ in range(100):
        following = cron.next_after(instant)
        assert following - instant == interval
        instant = following
