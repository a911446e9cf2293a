"""When a job is late: each expectation, at its limit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobctl.catalogue.expectations import lateness
from jobctl.catalogue.job_keys import build_job
from jobctl.errors import ConfigurationErrors
from jobctl.model import Expectations, Job, Run, RunStatus, Trigger
from jobctl.schedules import Cron
from jobctl.store.records import JobRecord

SLOT = datetime(2026, 11, 30, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def job(expect: Expectations | None, **more: Any) -> Job:
    return Job("job", "Job", Cron("0 9 * * *"), "work:run", expect=expect, **more)


def record(**more: Any) -> JobRecord:
    values: dict[str, Any] = {"cursor": SLOT - timedelta(days=1), **more}
    return JobRecord("job", "Job", "0 9 * * *", "UTC", SLOT - timedelta(days=9), **values)


def run(at: datetime, status: RunStatus, trigger: Trigger = Trigger.SCHEDULE) -> Run:
    slot = at if trigger is Trigger.SCHEDULE else None
    return Run("0123456789abcdef", "job", status, trigger, at, scheduled_for=slot)


def is_late(expect: Expectations, known: JobRecord, since_slot: timedelta, **more: Any) -> str:
    found = lateness(job(expect, **more), known, SLOT + since_slot)
    return found.why if found else ""


START = Expectations(start_within=2 * MINUTE)
DONE = Expectations(done_within=60 * MINUTE)
SUCCESS = Expectations(success_every=timedelta(hours=26))


def test_a_slot_that_has_not_begun() -> None:
    assert is_late(START, record(), 2 * MINUTE) == ""
    assert "it was due" in is_late(START, record(), 2 * MINUTE + timedelta(milliseconds=1))
    assert "has not begun" in is_late(START, record(), timedelta(days=9))
    assert is_late(START, record(cursor=SLOT), 3 * MINUTE) == "", "it had its run"
    assert is_late(START, record(), 3 * MINUTE, jitter=5 * MINUTE) == "", "it may begin so much later"
    assert is_late(START, record(), 8 * MINUTE, jitter=5 * MINUTE) != ""


def test_a_slot_that_is_kept_for_later_counts_from_when_it_should_begin() -> None:
    kept = record(cursor=SLOT, waiting=1, waits_until=SLOT + 10 * MINUTE)

    assert is_late(START, kept, 11 * MINUTE) == ""
    assert is_late(START, kept, 13 * MINUTE) != ""


def test_a_run_that_is_not_done() -> None:
    running = record(cursor=SLOT, last=run(SLOT, RunStatus.RUNNING))

    assert is_late(DONE, running, 60 * MINUTE) == ""
    assert "its run was due" in is_late(DONE, running, 61 * MINUTE)
    assert is_late(DONE, record(cursor=SLOT, last=run(SLOT, RunStatus.FAILED)), 61 * MINUTE) == ""
    by_hand = record(cursor=SLOT, last=run(SLOT + 30 * MINUTE, RunStatus.RUNNING, Trigger.MANUAL))
    assert is_late(DONE, by_hand, 80 * MINUTE) == ""
    assert "its run began" in is_late(DONE, by_hand, 91 * MINUTE)
    assert "is not done" in is_late(DONE, record(), 61 * MINUTE), "it has not even begun"


def test_no_success_for_too_long() -> None:
    good = record(last_success=SLOT - timedelta(days=1), cursor=SLOT)

    assert is_late(SUCCESS, good, 120 * MINUTE) == ""
    assert is_late(SUCCESS, good, 121 * MINUTE) == "no run has completed for 1d 2h"
    assert is_late(SUCCESS, record(), -timedelta(days=7)) != "", "never, and it was registered 9 days before"


def test_the_first_expectation_that_was_not_met_is_named() -> None:
    both = Expectations(start_within=2 * MINUTE, success_every=timedelta(days=30))
    found = lateness(job(both), record(last_success=SLOT), SLOT + timedelta(days=40))

    assert found is not None
    assert found.since == SLOT + 2 * MINUTE


@pytest.mark.parametrize(
    ("known", "more"),
    [
        (record(stopped=SLOT), {}),
        (record(), {"enabled": False}),
        (record(), {"unmet": "X is not set"}),
        (None, {}),
    ],
)
def test_nothing_is_expected_of_a_job_that_is_off_its_schedule(
    known: JobRecord | None, more: dict[str, Any]
) -> None:
    assert lateness(job(START, **more), known, SLOT + timedelta(days=9)) is None
    assert lateness(job(None), record(), SLOT + timedelta(days=9)) is None


def test_the_key_is_read() -> None:
    settings = {"command": ["true"], "expect": {"start_within": "2m", "success_every": "26h"}}

    built = build_job("own", settings, lambda _: "jobctl.toml:1")

    assert built.expect == Expectations(start_within=2 * MINUTE, success_every=timedelta(hours=26))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({}, "expected a table with start_within, done_within, success_every"),
        ("2m", "expected a table with start_within, done_within, success_every"),
        ({"begin_within": "2m"}, 'not "begin_within"'),
        ({"start_within": "soon"}, 'start_within: "soon" is not a duration'),
        ({"start_within": 5}, "start_within: expected a duration in quotes, not 5"),
        ({"done_within": "0s"}, 'done_within: "0s" is less than 1s'),
    ],
)
def test_a_wrong_value_is_named(value: object, sentence: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        build_job("own", {"command": ["true"], "expect": value}, lambda _: "jobctl.toml:1")

    assert sentence in str(caught.value)
