"""A schedule of a zone said in UTC: the same due times, or refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron
from jobctl.schedules.convert import fields_in_utc
from jobctl.schedules.cron_grammar import FIELDS, write_field

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = [
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "America/Phoenix", "Pacific/Kiritimati", "Europe/Berlin",
    "America/New_York", "Australia/Lord_Howe", "Pacific/Pago_Pago", "UTC",
]  # fmt: skip


def in_utc(expression: str, zone: str) -> str:
    fields = fields_in_utc(Cron(expression, zone), NOW)
    return " ".join(write_field(*one) for one in zip(FIELDS[1:], fields[1:], strict=True))


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("0 9 * * *", "UTC", "0 9 * * *"),
        ("0 9 * * *", "Asia/Kolkata", "30 3 * * *"),
        ("0 9 * * *", "Asia/Tokyo", "0 0 * * *"),
        ("0 3 * * 1", "Asia/Tokyo", "0 18 * * 0"),
        ("0 20 * * 6", "America/Phoenix", "0 3 * * 0"),
        ("0 9 1 * *", "Asia/Tokyo", "0 0 1 * *"),
        ("0,30 3,9 * * *", "Asia/Tokyo", "0,30 0,18 * * *"),
        ("*/5 * * * *", "Europe/Berlin", "*/5 * * * *"),
        ("*/30 * * * *", "Australia/Lord_Howe", "0,30 * * * *"),
        ("15 * * * *", "America/New_York", "15 * * * *"),
    ],
)
def test_schedules_that_utc_can_express(expression: str, zone: str, expected: str) -> None:
    assert in_utc(expression, zone) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "reason"),
    [
        ("0 9 * * *", "Europe/Berlin", "changes its clocks"),
        ("0 * * * *", "Australia/Lord_Howe", "changes its clocks"),
        ("0 */2 * * *", "Europe/Berlin", "changes its clocks"),
        ("0 3 1 * *", "Asia/Tokyo", "another day in UTC"),
        ("0 3,10 * * 1", "Asia/Tokyo", "on another day"),
        ("0,45 9 * * *", "Asia/Kolkata", "those hours and minutes"),
    ],
)
def test_schedules_that_utc_cannot_express_are_refused(expression: str, zone: str, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        in_utc(expression, zone)


numbers = st.lists(st.integers(0, 23), min_size=1, max_size=3).map(lambda some: ",".join(map(str, some)))
hours = st.sampled_from(["*", "*/2", "*/6"]) | numbers
days = st.sampled_from(["*", "1", "*/2", "L"])
weekdays = st.sampled_from(["*", "1", "1-5", "0,6", "1#2"])


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(numbers | st.sampled_from(["*", "*/5", "*/15", "7"]), hours, days, weekdays, st.sampled_from(ZONES))
def test_a_converted_schedule_is_due_at_the_same_times(
    minute: str, hour: str, day: str, weekday: str, zone: str
) -> None:
    try:
        cron = Cron(f"{minute} {hour} {day} * {weekday}", zone)
        shifted = Cron(in_utc(cron.text, zone))
    except ScheduleError:
        return
    for start in (NOW, NOW + timedelta(days=27, hours=23), NOW + timedelta(days=240)):
        ours = theirs = start
        for _ in range(30):
            ours, theirs = cron.next_after(ours), shifted.next_after(theirs)
            assert ours == theirs
