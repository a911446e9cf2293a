from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron
from jobctl.schedules.convert import cron_to_interval, interval_to_cron


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(60, "* * * * *"), (300, "*/5 * * * *"), (1800, "*/30 * * * *"), (3600, "0 * * * *"),
     (7200, "0 */2 * * *"), (43200, "0 */12 * * *"), (86400, "0 0 * * *"), (604800, "0 0 * * 0")],
)  # fmt: skip
def test_an_even_interval_has_its_cron_expression(seconds: int, cron: str) -> None:
    assert interval_to_cron(timedelta(seconds=seconds)) == cron
    assert cron_to_interval(Cron(cron)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "text", "reason", "hint"),
    [
        (1.5, "1500ms", "cron counts whole minutes", "use 1m"),
        (45, "45s", "cron counts whole minutes", "use 1m"),
        (90, "1m30s", "cron counts whole minutes", "use 1m or 2m"),
        (420, "7m", "it does not divide an hour", "use 6m or 10m"),
        (2700, "45m", "it does not divide an hour", "use 30m or 1h"),
        (5400, "1h30m", "its minute changes from hour to hour", "use 1h or 2h"),
        (5 * 3600, "5h", "it does not divide a day", "use 4h or 6h"),
        (2 * 86400, "2d", "days of the week and of the month only", "use 1d or 7d"),
        (25 * 3600, "1d1h", "days of the week and of the month only", "use 1d or 7d"),
        (30 * 86400, "30d", "days of the week and of the month only", "use 7d"),
    ],
)
def test_an_uneven_one_is_refused_with_the_reason(seconds: float, text: str, reason: str, hint: str) -> None:
    with pytest.raises(ScheduleError, match=f"every {text} is no cron schedule: .*{reason}") as caught:
        interval_to_cron(timedelta(seconds=seconds))
    assert caught.value.hint == hint


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12_000).map(lambda minutes: timedelta(minutes=minutes)))
@example(timedelta(days=7))
@example(timedelta(hours=8))
def test_whatever_converts_is_due_in_that_rhythm(interval: timedelta) -> None:
    try:
        cron = Cron(interval_to_cron(interval))
    except ScheduleError:
        return
    instant = cron.next_after(datetime(2027, 12, 30, 23, 30, tzinfo=UTC))
    for _ in range(100):
        following = cron.next_after(instant)
        assert following - instant == interval
        instant = following
    assert cron_to_interval(cron) == interval


@pytest.mark.parametrize(
    ("expression", "zone", "seconds"),
    [
        ("*/30 * * * * *", "UTC", 30),
        ("30 9 * * *", "UTC", 86_400),
        ("30 9 * * 1", "UTC", 604_800),
        ("5,35 * * * *", "UTC", 1800),
        ("0 1,9,17 * * *", "UTC", 8 * 3600),
        ("0 9 15 * 0-6", "UTC", 86_400),  # either day field: one holds every day
        ("0 9 1-31 * 1", "UTC", 86_400),
        ("*/15 * * * *", "Europe/Berlin", 900),
        ("0 * * * *", "Europe/Berlin", 3600),
        ("*/30 * * * *", "Australia/Lord_Howe", 1800),
        ("0 9 * * *", "Asia/Tokyo", 86_400),
        # not even
        ("*/7 * * * *", "UTC", None),
        ("0 9 * * 1,3", "UTC", None),
        ("0 0 1 * *", "UTC", None),
        ("0 0 * 6 *", "UTC", None),
        ("0 9,10 * * *", "UTC", None),
        ("0 9,10 * * 1", "UTC", None),
        ("30 2 * * 5#1", "UTC", None),
        ("30 2 */2 * 5", "UTC", None),
        ("0 0 L * *", "UTC", None),
        # clock changes break the rhythm
        ("0 * * * *", "Australia/Lord_Howe", None),
        ("0 0-23 * * *", "Europe/Berlin", None),
        ("0 */2 * * *", "Europe/Berlin", None),
        ("0 9 * * *", "Europe/Berlin", None),
    ],
)
def test_a_cron_schedule_has_an_interval_where_it_is_even(
    expression: str, zone: str, seconds: int | None
) -> None:
    found = cron_to_interval(Cron(expression, zone))

    assert found == (None if seconds is None else timedelta(seconds=seconds))


ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kolkata"]
MINUTES = st.sampled_from(["*", "*/5", "*/30", "0", "0,20,40", "0-59/15", "7", "*/40"])
HOURS = st.sampled_from(["*", "*/2", "*/8", "0-23", "3", "0,12", "1-23/2"])
DAYS = st.sampled_from(["* * *", "1-31 * *", "1-31 * 1", "5 * 0-6", "* * 3", "*/2 * *"])


@settings(max_examples=120, deadline=None)
@given(MINUTES, HOURS, DAYS, st.sampled_from(ZONES), st.integers(3, 10))
def test_an_interval_holds_over_clock_changes(
    minute: str, hour: str, days: str, zone: str, month: int
) -> None:
    cron = Cron(f"{minute} {hour} {days}", zone)
    interval = cron_to_interval(cron)
    if interval is None:
        return
    start, end = datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month + 1, 1, tzinfo=UTC)
    first = cron.next_after(start)

    assert cron.count(start, end) == (end - first) // interval + 1
    assert cron.latest_until(end, start) == first + (end - first) // interval * interval
