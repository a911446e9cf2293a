"""A plan of a day: what the scheduler does with jobs, states and workers, in simulated time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import UsageError
from jobctl.model import CatchUp, Job, OnOverlap, Run, RunStatus, Trigger, WaitingRun
from jobctl.planning import simulation
from jobctl.planning.plan import Outcome, RunPlan
from jobctl.planning.simulation import Start, make_plan
from jobctl.schedules import Cron, Every
from jobctl.store.base import RunStore
from jobctl.store.records import JobRecord

BEGIN = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def cron(job_id: str, expression: str, timezone: str = "UTC", **more: Any) -> Job:
    return Job(job_id, job_id, Cron(expression, timezone), "work:run", **more)


def every(job_id: str, interval: timedelta, **more: Any) -> Job:
    return Job(job_id, job_id, Every(interval), "work:run", **more)


def plan_of(
    *jobs: Job,
    start: Start | None = None,
    begin: datetime = BEGIN,
    span: timedelta = DAY,
    workers: int = 4,
    take: timedelta | dict[str, timedelta] = timedelta(seconds=2),
) -> RunPlan:
    def duration(job: Job) -> timedelta:
        return take[job.id] if isinstance(take, dict) else take

    return make_plan(jobs, start or Start(), begin, begin + span, workers=workers, duration=duration)


def record(job: Job, **more: Any) -> JobRecord:
    schedule = job.schedule
    zone = schedule.timezone if schedule else "UTC"
    return JobRecord(job.id, job.name, job.schedule_text or "", zone, BEGIN - DAY, **more)


def begins(plan: RunPlan, job_id: str) -> list[timedelta]:
    return [run.begins_at - plan.begin for run in plan.runs if run.job_id == job_id]


def outcomes(plan: RunPlan, job_id: str) -> list[Outcome]:
    return [run.outcome for run in plan.runs if run.job_id == job_id]


def test_each_slot_of_a_day_runs_once() -> None:
    plan = plan_of(cron("hourly", "30 * * * *"), every("often", minutes(20)))

    assert begins(plan, "hourly") == [minutes(30 + 60 * hour) for hour in range(24)]
    assert begins(plan, "often") == [minutes(20 * number) for number in range(72)]
    first = plan.runs[0]
    assert (first.ends_at - first.begins_at, first.outcome, first.waited) == (
        timedelta(seconds=2),
        Outcome.RUNS,
        timedelta(0),
    )
    assert not plan.missed
    assert plan.busiest is not None
    assert (plan.busiest.at, plan.busiest.count) == (BEGIN, 1)
    assert plan.most_at_once == 1


def test_a_slot_at_the_end_is_not_part_of_it() -> None:
    assert begins(plan_of(cron("daily", "0 0 * * *")), "daily") == [timedelta(0)]
    assert begins(plan_of(cron("daily", "0 0 * * *"), span=DAY + minutes(1)), "daily") == [timedelta(0), DAY]


def test_overlaps_are_skipped_queued_or_replaced() -> None:
    take = {"skips": minutes(90), "queues": minutes(90), "replaces": minutes(90)}
    plan = plan_of(
        cron("skips", "0 * * * *", timeout=DAY),
        cron("queues", "0 * * * *", timeout=DAY, overlap=OnOverlap.QUEUE),
        cron("replaces", "0 * * * *", timeout=DAY, overlap=OnOverlap.REPLACE),
        span=minutes(240),
        take=take,
    )

    assert outcomes(plan, "skips") == [Outcome.RUNS, Outcome.SKIPPED, Outcome.RUNS, Outcome.SKIPPED]
    waits = [run.waited for run in plan.runs if run.job_id == "queues"]
    assert [round(wait / minutes(30)) for wait in waits] == [0, 1, 0]
    assert outcomes(plan, "replaces") == [Outcome.REPLACED] * 3 + [Outcome.CONTINUES]
    assert all(length == minutes(60) for length in lengths(plan, "replaces"))


def lengths(plan: RunPlan, job_id: str) -> list[timedelta]:
    return [
        timedelta(seconds=round((run.ends_at - run.begins_at).total_seconds()))
        for run in plan.runs
        if run.job_id == job_id
    ]


def test_more_jobs_than_workers_wait() -> None:
    jobs = [cron(f"job-{number}", "0 9 * * *") for number in range(5)]
    plan = plan_of(*jobs, workers=2, take=minutes(10))

    assert plan.most_at_once == 2
    waits = sorted(run.waited for run in plan.runs)
    assert [round(wait / minutes(10)) for wait in waits] == [0, 0, 1, 1, 2]
    assert len(plan.waiting_long()) == 3


def test_jobs_of_a_group_take_turns() -> None:
    jobs = [cron(name, "0 9 * * *", group="site", overlap=OnOverlap.QUEUE) for name in ("a", "b", "c")]
    plan = plan_of(*jobs, take=minutes(10))

    assert plan.most_at_once == 1
    assert len(plan.runs) == 3


def test_a_job_runs_after_others() -> None:
    last = Job("last", "last", None, "work:run", after=("first", "second"))
    plan = plan_of(cron("first", "0 9 * * *"), cron("second", "0 10 * * *"), last, take=minutes(5))

    assert [round(time / minutes(1)) for time in begins(plan, "last")] == [10 * 60 + 5]


def test_what_completed_before_counts_for_jobs_after_it() -> None:
    first, second = cron("first", "0 9 * * *"), cron("second", "0 10 * * *")
    last = Job("last", "last", None, "work:run", after=("first", "second"))
    begin = BEGIN + minutes(9 * 60 + 30)
    start = Start(
        {
            "first": record(first, cursor=BEGIN + minutes(540), last_success=BEGIN + minutes(541)),
            "second": record(second, cursor=BEGIN - minutes(840), last_success=BEGIN - minutes(839)),
            "last": record(last, last=run_of(last, BEGIN - minutes(838))),
        }
    )
    plan = plan_of(first, second, last, start=start, begin=begin, span=minutes(60))

    assert [run.job_id for run in plan.runs] == ["second", "last"]


def run_of(job: Job, at: datetime, status: RunStatus = RunStatus.COMPLETED) -> Run:
    return Run("0123456789abcdef", job.id, status, Trigger.SCHEDULE, at, finished_at=at)


@pytest.mark.parametrize(("catch_up", "expected"), [(CatchUp.NONE, 0), (CatchUp.LAST, 1), (CatchUp.EACH, 3)])
def test_what_was_missed_before_is_caught_up_as_the_job_wants(catch_up: CatchUp, expected: int) -> None:
    job = cron("hourly", "30 * * * *", catch_up=catch_up)
    start = Start({"hourly": record(job, cursor=BEGIN - minutes(3 * 60 + 15))})
    plan = plan_of(job, start=start, span=minutes(20))

    assert len(plan.runs) == expected
    assert sum(slots.count for slots in plan.missed) == 3 - expected


def test_at_another_time_nothing_is_missed() -> None:
    job = cron("hourly", "30 * * * *", catch_up=True)
    start = Start({"hourly": record(job, cursor=BEGIN - 9 * DAY)})

    plan = plan_of(job, start=start.at(BEGIN))

    assert len(plan.runs) == 24
    assert not plan.missed


def test_an_interval_keeps_its_anchor() -> None:
    job = every("often", minutes(7))
    anchor = BEGIN - DAY
    start = Start({"often": record(job, cursor=anchor)})

    plan = plan_of(job, start=start.at(BEGIN), span=minutes(30))

    offset = -((BEGIN - anchor) % -minutes(7))
    assert begins(plan, "often") == [offset + minutes(7 * number) for number in range(len(plan.runs))]
    assert len(plan.runs) >= 4


def test_stopped_and_disabled_jobs_are_left_out_with_the_reason() -> None:
    stopped, paused = cron("stopped", "0 * * * *"), cron("paused", "0 * * * *")
    start = Start(
        {
            "stopped": record(stopped, stopped=BEGIN - DAY),
            "paused": record(paused, stopped=BEGIN - DAY, stopped_until=BEGIN + minutes(600)),
        }
    )
    plan = plan_of(
        stopped,
        paused,
        cron("off", "0 * * * *", enabled=False),
        cron("poor", "0 * * * *", unmet="X is not set"),
        Job("manual", "manual", None, "work:run"),
        start=start,
    )

    assert dict(plan.left_out) == {
        "stopped": "it is stopped",
        "off": "it is not enabled",
        "poor": "X is not set",
        "manual": "it has no schedule",
    }
    assert {run.job_id for run in plan.runs} == {"paused"}
    assert min(begins(plan, "paused")) > minutes(600 - 1)


def test_runs_that_go_on_block_until_they_end() -> None:
    job = cron("hourly", "0 * * * *", overlap=OnOverlap.QUEUE, timeout=DAY)
    begin = BEGIN + minutes(50)
    going = Run("0123456789abcdef", "hourly", RunStatus.RUNNING, Trigger.SCHEDULE, BEGIN, scheduled_for=BEGIN)
    start = Start({"hourly": record(job, cursor=BEGIN)}, [going])

    plan = plan_of(job, start=start, begin=begin, span=minutes(60), take=minutes(80))

    assert [run.slot for run in plan.runs] == [None, BEGIN + minutes(60)]
    assert round((plan.runs[0].ends_at - begin) / minutes(1)) == 30
    assert round(plan.runs[1].waited / minutes(1)) == 20


def test_runs_that_are_kept_for_later_are_part_of_it() -> None:
    job = Job("manual", "manual", None, "work:run")
    kept = WaitingRun("0123456789abcdef", "manual", BEGIN + minutes(90), Trigger.MANUAL, actor="ada")

    plan = plan_of(job, start=Start({"manual": record(job)}, (), [kept]))

    assert begins(plan, "manual") == [minutes(90)]


def test_a_run_over_its_timeout_ends_there() -> None:
    plan = plan_of(cron("long", "0 9 * * *", timeout=minutes(5)), take=minutes(6))

    assert outcomes(plan, "long") == [Outcome.TIMES_OUT]
    assert lengths(plan, "long") == [minutes(5)]


def test_jitter_is_no_wait_and_is_that_of_the_scheduler() -> None:
    job = cron("spread", "0 * * * *", jitter=minutes(10))
    plan = plan_of(job)

    delays = [time % minutes(60) for time in begins(plan, "spread")]
    assert len(set(delays)) > 12
    assert max(delays) < minutes(10)
    assert max(run.waited for run in plan.runs) <= timedelta(milliseconds=2)


def test_clock_changes_are_named() -> None:
    jobs = [
        cron("nightly", "30 2 * * *", "Europe/Berlin"),
        cron("morning", "0 9 * * *", "Europe/Berlin"),
        cron("utc", "30 2 * * *"),
    ]
    forward = plan_of(*jobs, begin=datetime(2027, 3, 28, tzinfo=UTC))
    back = plan_of(cron("often", "*/30 * * * *", "Europe/Berlin"), begin=datetime(2026, 10, 25, tzinfo=UTC))

    (change,) = forward.clock_changes()
    assert (change.job_id, change.at, change.note) == (
        "nightly",
        datetime(2027, 3, 28, 1, tzinfo=UTC),
        "02:30 does not exist",
    )
    assert len(forward.runs) == 3
    assert back.clock_changes() == [], "it follows real time"
    assert len(back.runs) == 48


def test_too_many_runs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "MOST_SLOTS", 100)
    sentence = r"a plan has 100 slots at most, not 1,464; 1,440 of them are of often$"
    with pytest.raises(UsageError, match=sentence):
        plan_of(cron("often", "* * * * *"), cron("hourly", "0 * * * *"))


def test_the_project_s_store_is_only_read(store: RunStore, clock: SystemClock) -> None:
    job = cron("hourly", "0 * * * *")
    token = store.change_token()

    plan_of(job, start=Start.read(store))

    assert store.change_token() == token
    assert not store.jobs()
