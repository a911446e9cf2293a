"""Schedules there become the catalogue's: what is created, changed, removed, left, refused."""

from datetime import UTC, datetime, timedelta

import pytest

from jobctl.errors import ScheduleError, ServiceError, UsageError
from jobctl.model import Status
from jobctl.schedules import Cron
from jobctl.settings.masking import Secret
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.cron import caution
from jobctl.trigger_dev.manager import TriggerDevJobManager
from jobctl.trigger_dev.schedule_sync import Change, ScheduleStep
from tests.support.trigger_dev import Cloud, Fault
from tests.trigger_dev.conftest import MakeManager, job


def registered(manager: TriggerDevJobManager, *, prune: bool = True) -> dict[str, ScheduleStep]:
    steps, _ = manager.plan(prune=prune)
    return {one.job_id: one for one in manager.register(steps)}


def changes(found: dict[str, ScheduleStep]) -> dict[str, str]:
    return {job_id: one.change.value for job_id, one in found.items()}


def test_what_is_new_is_created_once(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job", "every 5m"), job("b-job", "30 2 * * *", "Europe/Berlin"))

    first, second = registered(manager), registered(manager)

    assert changes(first) == {"a-job": "created", "b-job": "created"}
    assert changes(second) == {"a-job": "left", "b-job": "left"}
    sent = [one.body for one in cloud.sent("POST", "/api/v1/schedules")]
    assert sent == [
        {"task": "a-job", "cron": "*/5 * * * *", "deduplicationKey": "jobctl:production:a-job",
         "externalId": "a-job", "timezone": "UTC", "window": "0m"},
        {"task": "b-job", "cron": "30 2 * * *", "deduplicationKey": "jobctl:production:b-job",
         "externalId": "b-job", "timezone": "Europe/Berlin", "window": "0m"},
    ]  # fmt: skip
    assert first["a-job"].next_run is not None


def test_a_plan_changes_nothing(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("gone-job")
    manager = make_manager(job("a-job"))

    steps, _ = manager.plan()

    assert [one.change for one in steps] == [Change.CREATED, Change.REMOVED]
    assert cloud.writes() == []


@pytest.mark.parametrize(
    ("there", "was"),
    [({"cron": "0 8 * * *"}, "was 0 8 * * *"), ({"timezone": "Asia/Tokyo"}, "was 0 9 * * * Asia/Tokyo"),
     ({"externalId": "other"}, "was 0 9 * * *")],
)  # fmt: skip
def test_what_differs_is_changed(
    there: dict[str, str], was: str, make_manager: MakeManager, cloud: Cloud
) -> None:
    kept = cloud.schedule("a-job", **there)

    found = registered(make_manager(job("a-job")))

    assert (found["a-job"].change, found["a-job"].detail) == (Change.CHANGED, was)
    assert (kept["cron"], kept["timezone"], kept["externalId"]) == ("0 9 * * *", "UTC", "a-job")
    assert list(cloud.schedules) == [kept["id"]]


def test_a_schedule_for_another_task_is_replaced(make_manager: MakeManager, cloud: Cloud) -> None:
    """An update never changes the task."""
    old = cloud.schedule("b-job", key="jobctl:production:a-job", active=False)

    found = registered(make_manager(job("a-job")))

    (made,) = cloud.schedules.values()
    assert found["a-job"].change is Change.CHANGED
    assert made["task"] == "a-job"
    assert made["id"] != old["id"]
    assert not made["active"]


def test_only_jobs_that_left_the_catalogue_lose_their_schedules(
    make_manager: MakeManager, cloud: Cloud
) -> None:
    cloud.schedule("gone-job")
    mine = [
        cloud.schedule("a-job", key="by-hand"),
        cloud.schedule("b-job", key="jobctl-like:production:b-job"),
        cloud.schedule("c-job", key="", type="DECLARATIVE"),
        cloud.schedule("gone-job", key="jobctl:production:x", type="DECLARATIVE"),
        cloud.schedule("a-job", key="jobctl:staging:a-job", environment="STAGING"),
    ]

    found = registered(make_manager(job("a-job")))

    assert changes(found) == {"a-job": "created", "gone-job": "removed"}
    assert {one["id"] for one in mine} < set(cloud.schedules)
    assert len(cloud.schedules) == len(mine) + 1
    assert {path for method, path in cloud.writes() if method == "DELETE"} == {
        "/api/v1/schedules/sched_0000000000000000000001"
    }


def test_a_schedule_in_the_workers_code_is_not_doubled(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("a-job", key="", type="DECLARATIVE")

    found = registered(make_manager(job("a-job")))

    assert (found["a-job"].change, found["a-job"].detail) == (Change.LEFT, "declared in the worker's code")
    assert cloud.writes() == []


def test_some_jobs_alone_remove_nothing(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("b-job")

    assert changes(registered(make_manager(job("a-job")), prune=False)) == {"a-job": "created"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"enabled": False}, "not enabled (code)"), ({"schedule": None}, "no schedule: manual only")],
)  # fmt: skip
def test_a_job_that_is_not_to_be_timed_has_no_schedule(
    settings: dict[str, object], why: str, make_manager: MakeManager, cloud: Cloud
) -> None:
    manager = make_manager(job("a-job", **settings))  # type: ignore[arg-type]

    never = registered(manager)["a-job"]
    cloud.schedule("a-job")
    once = registered(manager)["a-job"]

    assert (never.change, never.detail) == (Change.LEFT, why)
    assert (once.change, once.detail) == (Change.REMOVED, why)
    assert cloud.schedules == {}


def test_a_job_that_runs_after_others_is_refused(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"), job("b-job", schedule=None, after=("a-job",)))
    cloud.schedule("b-job")

    refused = registered(manager)["b-job"]

    assert (refused.change, refused.detail) == (Change.REFUSED, "only jobctl run starts a job after others")
    assert [one["task"] for one in cloud.schedules.values()] == ["a-job"]
    shown = manager.get_job_status("b-job")
    assert shown is not None
    assert (shown.schedule, shown.status, shown.note) == ("after a-job", Status.STOPPED, refused.detail)


def test_what_this_machine_lacks_is_the_workers_matter(make_manager: MakeManager, cloud: Cloud) -> None:
    lacking = {"unmet": "DATABASE_URL is not set"}
    manager = make_manager(job("a-job", **lacking), job("b-job", **lacking), job("c-job"))
    cloud.schedule("a-job")

    _, warnings = manager.plan()
    found = registered(manager)

    assert changes(found) == {"a-job": "left", "b-job": "created", "c-job": "created"}
    assert warnings == ["DATABASE_URL is not set here; the worker needs it for 2 jobs: a-job, b-job"]
    shown = manager.get_job_status("b-job")
    assert shown is not None
    assert shown.next_run is not None


def test_times_are_exact_unless_the_job_has_a_jitter(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("a-job", window=None)  # made before servers had windows
    jobs = [job("a-job"), job("b-job", jitter=timedelta(seconds=90)), job("c-job", jitter=timedelta(hours=2))]

    found = registered(make_manager(*jobs))
    again = registered(make_manager(*jobs))

    assert found["a-job"].detail == "was 0 9 * * * without a window"
    assert {one["task"]: one["window"] for one in cloud.schedules.values()} == {
        "a-job": "0m", "b-job": "2m", "c-job": "2h",
    }  # fmt: skip
    assert set(changes(again).values()) == {"left"}


def test_a_window_set_on_their_page_is_kept_and_reported(make_manager: MakeManager, cloud: Cloud) -> None:
    kept = cloud.schedule("a-job", "0 8 * * *", window="30m")
    manager = make_manager(job("a-job"))

    _, warnings = manager.plan()
    found = registered(manager)

    assert found["a-job"].change is Change.CHANGED
    assert (kept["cron"], kept["window"]) == ("0 9 * * *", "30m")
    assert warnings == [
        "a-job: its window of 30m, set at Trigger.dev, is kept: it may begin so much later; 0m there is exact"
    ]


def test_a_server_without_windows_is_left_in_peace(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.windows = False
    manager = make_manager(job("a-job"))

    assert [changes(registered(manager)) for _ in range(2)] == [{"a-job": "created"}, {"a-job": "left"}]


def test_the_free_plan_is_said_with_what_to_do(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.free = True

    found = registered(make_manager(job("a-job", "every 5m"), job("b-job")))

    assert changes(found) == {"a-job": "failed", "b-job": "created"}
    assert "Free plan is limited to hourly schedules" in found["a-job"].detail
    assert found["a-job"].hint == "give it a schedule of once an hour or less, or take a larger plan"
    there = found["b-job"].existing
    assert there is not None
    assert there.minimum_window == 3600


def test_zones_go_by_the_names_of_their_list(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job", timezone="Asia/Kolkata"), job("b-job", timezone="America/Nuuk"))

    registered(manager)

    assert [one["timezone"] for one in cloud.schedules.values()] == ["Asia/Calcutta", "America/Godthab"]
    assert set(changes(registered(manager)).values()) == {"left"}


@pytest.mark.parametrize(
    ("schedule", "timezone", "why"),
    [
        ("every 30s", "UTC", "cron counts in whole minutes"),
        ("every 7m", "UTC", "an hour is not a multiple of it"),
        ("*/30 * * * * *", "UTC", "has seconds"),
        ("0 9 */2 * 1", "UTC", "both day fields must match"),
        ("0 9 * * *", "Europe/Berlin", "does not know the time zone"),
    ],
)
def test_what_trigger_dev_cannot_say_is_refused_with_the_reason(
    schedule: str,
    timezone: str,
    why: str,
    make_manager: MakeManager,
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud.schedule("a-job")
    cloud.faults = [Fault(body=b'{"timezones": ["UTC", "Asia/Kolkata"]}', only="GET /api/v1/timezones")]

    found = registered(make_manager(job("a-job", schedule, timezone), job("b-job")))

    assert changes(found) == {"a-job": "refused", "b-job": "created"}
    assert why in found["a-job"].detail
    assert [one["task"] for one in cloud.schedules.values()] == ["b-job"]


def test_a_stopped_schedule_stays_stopped(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"))
    registered(manager)
    manager.stop_job("a-job")

    found = registered(manager)["a-job"]
    later = registered(make_manager(job("a-job", "0 10 * * *")))["a-job"]

    assert (found.change, found.detail) == (Change.LEFT, "stopped; back on with: jobctl start a-job")
    assert later.change is Change.CHANGED
    assert [(one["active"], one["cron"]) for one in cloud.schedules.values()] == [(False, "0 10 * * *")]
    manager.start_job("a-job")
    assert [one["active"] for one in cloud.schedules.values()] == [True]


def test_all_can_be_stopped_and_started(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"), job("b-job"))
    registered(manager)
    foreign = cloud.schedule("c-job", key="by-hand")

    manager.stop_all_jobs()
    assert [one["active"] for one in cloud.schedules.values()] == [False, False, True]
    manager.start_all_jobs()
    assert all(one["active"] for one in cloud.schedules.values())
    assert foreign["active"]


def test_stopping_what_is_not_ours_is_refused(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("b-job", key="", type="DECLARATIVE")
    manager = make_manager(job("a-job"), job("b-job"))

    with pytest.raises(UsageError, match=r"a-job has no schedule at Trigger\.dev"):
        manager.stop_job("a-job")
    with pytest.raises(UsageError, match="in the worker's code, which jobctl does not change"):
        manager.start_job("b-job")


def test_nothing_is_concluded_from_an_empty_list(make_manager: MakeManager, cloud: Cloud) -> None:
    """The list is empty while no worker is deployed; the schedules exist all the same."""
    manager = make_manager(job("a-job"))
    registered(manager)
    cloud.deployed = False

    assert changes(registered(manager)) == {"a-job": "left"}


def test_a_worker_that_is_not_deployed_is_said_job_by_job(make_manager: MakeManager, cloud: Cloud) -> None:
    found = registered(make_manager(job("a-job"), job("new-job"), job("b-job")))

    assert changes(found) == {"a-job": "created", "new-job": "failed", "b-job": "created"}
    assert found["new-job"].detail == (
        'Trigger.dev knows no scheduled task "new-job" in production: no worker with it is deployed'
    )
    assert "jobctl export trigger-dev" in (found["new-job"].hint or "")


def test_a_warning_comes_before_the_accounts_plan_is_used_up(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.tasks = {f"job-{number}" for number in range(12)}
    cloud.limit = 10
    manager = make_manager(*(job(one) for one in sorted(cloud.tasks)))

    steps, warnings = manager.plan()
    found = {one.job_id: one for one in manager.register(steps)}

    assert "this makes 12 schedules in production" in warnings[0]
    assert "Free 10, Hobby 100, Pro 1,000" in warnings[0]
    assert sorted(changes(found).values()) == ["created"] * 10 + ["failed"] * 2
    failed = next(one for one in found.values() if one.change is Change.FAILED)
    assert "You have created 10/10 schedules" in failed.detail
    assert "larger plan" in (failed.hint or "")


def test_development_has_no_plan(cloud: Cloud, pauses: list[float]) -> None:
    cloud.tasks = {f"job-{number}" for number in range(12)}
    account = Account(cloud.url, Secret("tr_dev_abcdefghijklmnop"), "development")
    manager = TriggerDevJobManager(account, wait=pauses.append)
    manager.add(job(one) for one in cloud.tasks)

    assert manager.plan()[1] == ["in development schedules fire only while `npx trigger dev` is connected"]
    manager.shutdown()


def test_a_wrong_key_on_the_way_ends_it(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"), job("b-job"), job("c-job"))
    steps, _ = manager.plan()
    cloud.faults = [Fault(status=401, only="POST /api/v1/schedules")]

    told: list[ScheduleStep] = []
    with pytest.raises(ServiceError, match="refuses the key"):
        told.extend(manager.register(steps))
    done = {one["task"] for one in cloud.schedules.values()}
    assert done == set()


@pytest.mark.parametrize(
    ("cron", "timezone", "says"),
    [
        ("30 2 * * *", "Europe/Berlin", "on 2027-03-28 Trigger.dev runs it at 03:30 CEST, and jobctl run runs it at 03:00 CEST"),
        ("*/30 2 * * *", "Europe/Berlin", "on 2027-03-28 Trigger.dev runs it at 03:00 CEST, and jobctl run skips it"),
        ("30 */2 * * *", "Europe/Berlin", "on 2027-03-28 Trigger.dev runs it at 03:30 CEST, and jobctl run skips it"),
        ("*/30 1 * * *", "America/New_York", "Trigger.dev skips it, and jobctl run runs it at 01:00 EST, 01:30 EST"),
        ("30 23 * * *", "America/Nuuk", "Trigger.dev skips it, and jobctl run runs it at 00:00 -01"),
        ("30 22 * * *", "Pacific/Easter", "Trigger.dev runs it at 23:30 -05"),
        ("0 9 * * *", "Europe/Berlin", None),
        ("*/15 * * * *", "Europe/Berlin", None),
        ("30 2 * * *", "Asia/Tokyo", None),
    ],
)  # fmt: skip
def test_other_times_at_clock_changes_are_reported(cron: str, timezone: str, says: str | None) -> None:
    found = caution(Cron(cron, timezone), datetime(2026, 11, 24, tzinfo=UTC))

    assert found is None if says is None else says in (found or "")


def test_an_interval_that_counts_from_another_start_is_reported(make_manager: MakeManager) -> None:
    _, warnings = make_manager(job("a-job", "every 1w"), job("b-job", "every 15m")).plan()

    assert warnings == [
        "a-job: every 7d counts there from Sunday at midnight UTC, and not from its first run"
    ]


def test_an_application_schedules_there_at_once(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager()

    manager.schedule_job("a-job", "A", "json:dumps", timedelta(hours=2))
    manager.schedule_cron_job("a-job", "A", "json:dumps", "0 9 * * MON")

    assert [one["cron"] for one in cloud.schedules.values()] == ["0 9 * * 1"]
    with pytest.raises(ScheduleError, match="cron counts in whole minutes"):
        manager.schedule_job("b-job", "B", "json:dumps", 90)
    with pytest.raises(ServiceError, match='no scheduled task "new-job"'):
        manager.schedule_job("new-job", "N", "json:dumps", 60)


WEEK = "0 9 * * 1-5; 0 11 * * 6"
KEYS = ["jobctl:production:a-job", "jobctl:production:a-job:2"]


def crons(cloud: Cloud) -> dict[str, object]:
    """By deduplication key."""
    return {str(one["key"]): one["cron"] for one in cloud.schedules.values()}


def test_each_cron_expression_is_a_schedule_with_a_key_of_its_own(
    make_manager: MakeManager, cloud: Cloud
) -> None:
    cloud.schedule("a-job", cron="0 9 * * *")  # of the job when it had one expression
    manager = make_manager(job("a-job", WEEK, "Europe/Berlin"), job("b-job"))

    steps, _ = manager.plan()
    done = [(one.job_id, one.change.value) for one in manager.register(steps)]
    again, _ = manager.plan()

    assert done == [("a-job", "changed"), ("a-job", "created"), ("b-job", "created")]
    assert [one.change for one in again] == [Change.LEFT] * 3
    assert crons(cloud) == {
        KEYS[0]: "0 9 * * 1-5",
        KEYS[1]: "0 11 * * 6",
        "jobctl:production:b-job": "0 9 * * *",
    }
    assert {one["externalId"] for one in cloud.schedules.values()} == {"a-job", "b-job"}


def test_an_expression_that_is_gone_loses_its_schedule(make_manager: MakeManager, cloud: Cloud) -> None:
    list(make_manager(job("a-job", WEEK)).register(make_manager(job("a-job", WEEK)).plan()[0]))

    steps, _ = make_manager(job("a-job", "0 9 * * 1-5")).plan(prune=False)
    done = list(make_manager().register(steps))

    assert [(one.change, one.detail) for one in done] == [
        (Change.LEFT, ""),
        (Change.REMOVED, "no such cron expression any more"),
    ]
    assert crons(cloud) == {KEYS[0]: "0 9 * * 1-5"}


def test_schedules_of_a_job_stop_and_start_together(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job", WEEK))
    list(manager.register(manager.plan()[0]))

    manager.stop_job("a-job")
    stopped = manager.statuses_of([job("a-job", WEEK)])[0]
    active = [one["active"] for one in cloud.schedules.values()]
    manager.start_job("a-job")

    assert (stopped.status, active) == (Status.STOPPED, [False, False])
    assert [one["active"] for one in cloud.schedules.values()] == [True, True]
    status = manager.statuses_of([job("a-job", WEEK)])[0]
    assert (status.schedule, status.next_run is not None) == (WEEK, True)


def test_the_refused_expression_is_named_and_the_others_are_made(
    make_manager: MakeManager, cloud: Cloud
) -> None:
    steps, _ = make_manager(job("a-job", "*/30 0 9 * * *; 0 11 * * 6")).plan()
    list(make_manager().register(steps))

    assert [one.change for one in steps] == [Change.REFUSED, Change.CREATED]
    assert steps[0].detail.startswith('"*/30 0 9 * * *" has seconds')
    assert crons(cloud) == {KEYS[1]: "0 11 * * 6"}


def test_times_that_coincide_are_reported(make_manager: MakeManager) -> None:
    _, warnings = make_manager(job("a-job", "0 * * * *; */30 * * * *"), job("b-job", WEEK)).plan()

    assert [one for one in warnings if "at the same time" in one] == [
        "a-job: some of its expressions are due at the same time, and Trigger.dev runs it for each of them"
    ]
