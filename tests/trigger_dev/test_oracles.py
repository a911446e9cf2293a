"""The test server held against Trigger.dev's published schemas and its official client, and so jobctl's requests."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron
from jobctl.schedules.wall_times import changes
from jobctl.schedules.zones import zone
from jobctl.trigger_dev.api_types import ScheduleRequest
from jobctl.trigger_dev.client import TriggerDevClient
from jobctl.trigger_dev.cron import due_times, trigger_cron
from jobctl.trigger_dev.runs import STATUSES
from tests.support.npm import do_without
from tests.support.trigger_dev import KEY, Asked, Cloud
from tests.support.trigger_dev_rules import FINAL, RefusalError, check_schedule, check_trigger

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parents[1] / "support" / "worker"

Node = Callable[..., Any]


@pytest.fixture
def node(trigger_dev_packages: Path) -> Node:
    """Runs a script beside the packages and answers with the JSON that it prints last."""
    if shutil.which("node") is None:
        do_without("there is no node")

    def run(script: str, *arguments: str, told: object = None) -> Any:
        copy = trigger_dev_packages / script
        if not copy.exists():
            shutil.copy(SCRIPTS / script, copy)
        done = subprocess.run(
            ["node", script, *arguments],
            cwd=trigger_dev_packages,
            input=json.dumps(told),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


GOOD = {"task": "a-job", "cron": "0 9 * * *", "deduplicationKey": "k"}
SCHEDULES: list[Any] = [
    GOOD, {**GOOD, "externalId": "x", "timezone": "UTC"}, {**GOOD, "more": 1}, {**GOOD, "window": "30m"},
    {**GOOD, "window": "90s"}, {**GOOD, "window": "24h"}, {**GOOD, "window": "100%"}, {**GOOD, "window": "0m"},
    {**GOOD, "externalId": None}, {**GOOD, "timezone": None}, {**GOOD, "cron": 5}, {**GOOD, "task": None},
    {"task": "a-job", "cron": "0 9 * * *"}, {"cron": "0 9 * * *", "deduplicationKey": "k"}, [], "text", None,
]  # fmt: skip
TRIGGERS: list[Any] = [
    {}, {"payload": {}}, {"payload": None, "options": {}}, {"payload": {}, "options": {"queue": {"name": "q"}}},
    {"options": {"queue": "q"}}, {"options": {"idempotencyKey": "k" * 2048}}, {"options": {"idempotencyKey": "k" * 2049}},
    {"options": {"idempotencyKey": 7}}, {"options": {"idempotency_key": "k"}}, {"options": {"maxDuration": 90}},
    {"options": {"maxDuration": "90"}}, {"options": {"tags": ["jobctl"]}}, {"options": {"tags": "jobctl"}},
    {"options": {"tags": ["x" * 129]}}, {"options": {"machine": "micro"}}, {"options": {"machine": "huge"}},
    {"options": {"ttl": "10m"}}, {"options": {"ttl": -1}}, {"options": {"ttl": 60}}, {"options": {"maxAttempts": 1.5}},
    {"options": {"delay": "2h"}}, {"options": {"delay": "2087-01-01T00:00:00Z"}}, {"options": {"delay": 5}},
    {"options": {"delay": "soon"}}, {"options": {"delay": {}}}, {"options": {"delay": None}},
    {"options": None}, [], "text",
]  # fmt: skip


def taken(check: Callable[[Any], object], body: Any) -> bool:
    try:
        check(body)
    except RefusalError:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "check", "bodies"),
    [
        ("CreateScheduleOptions", check_schedule, SCHEDULES),
        ("TriggerTaskRequestBody", check_trigger, TRIGGERS),
    ],
)
def test_our_server_takes_what_theirs_takes(
    schema: str, check: Callable[[Any], object], bodies: list[Any], node: Node
) -> None:
    told = node("schemas.mjs", told=[{"schema": schema, "value": body} for body in bodies])

    theirs = {json.dumps(body)[:90]: refusal is None for body, refusal in zip(bodies, told, strict=True)}
    assert {json.dumps(body)[:90]: taken(check, body) for body in bodies} == theirs
    assert set(theirs.values()) == {True, False}


def test_our_servers_answers_and_jobctls_requests_are_theirs(
    cloud: Cloud, api: TriggerDevClient, node: Node
) -> None:
    """Each answer by the schema that the official client parses it with; each body by the webapp's."""
    cloud.output, cloud.error = {"any": 1}, "broken"
    for status in FINAL:
        cloud.run("a-job", status, error="broken")
    api.put_schedule(ScheduleRequest("a-job", "jobctl:production:a-job", "0 9 * * *", "Europe/Berlin"))
    run_id = api.trigger("a-job", {"dry_run": True}, max_duration=90, max_attempts=1)
    api.trigger("a-job", {}, begins_at=datetime.now(UTC) + timedelta(hours=1))
    found = [
        ("ListSchedulesResult", "GET", "/api/v1/schedules", {}),
        ("ScheduleObject", "GET", "/api/v1/schedules/jobctl%3Aproduction%3Aa-job", {}),
        ("ListRunResponse", "GET", "/api/v1/runs", {"page[size]": "3"}),
        ("TimezonesResult", "GET", "/api/v1/timezones", {}),
        *(("RetrieveRunResponse", "GET", f"/api/v3/runs/{one}", {}) for one in [run_id, *cloud.runs]),
    ]
    headers = {"authorization": f"Bearer {KEY}", "x-trigger-source": "sdk"}
    values = [
        {"schema": schema, "value": cloud.answer(Asked(method, path, query, headers, None))}
        for schema, method, path, query in found
    ]
    names = {
        "/api/v1/schedules": "CreateScheduleOptions",
        "/api/v1/tasks/a-job/trigger": "TriggerTaskRequestBody",
    }
    values += [{"schema": names[one.path], "value": one.body} for one in cloud.asked if one.method == "POST"]

    told = node("schemas.mjs", told=values)

    assert {str(one): refusal for one, refusal in zip(values, told, strict=True) if refusal} == {}
    assert len(values) == len(found) + 3


def test_the_vocabulary_of_states_is_theirs(node: Node) -> None:
    told = node("schemas.mjs", told=[{"schema": "RunStatus", "value": one} for one in [*STATUSES, "FROZEN"]])

    assert [refusal is None for refusal in told] == [True] * len(STATUSES) + [False]


def test_the_official_client_asks_as_jobctl_does(cloud: Cloud, api: TriggerDevClient, node: Node) -> None:
    """It drives our server through every call, and parses every answer."""
    told = node("official.mjs", cloud.url, KEY)
    theirs, cloud.asked = cloud.asked, []

    assert told["states"] == ["QUEUED", "EXECUTING", "COMPLETED"]
    assert told["listed"] == [told["id"]]
    assert told["refused"].startswith("422 ")
    assert "seconds are not allowed" in told["refused"]
    made = api.put_schedule(ScheduleRequest("a-job", "jobctl:production:a-job", "0 9 * * *", "UTC"))
    api.schedules()
    api.schedule(made.id)
    api.set_active(made.id, active=False)
    api.set_active(made.id, active=True)
    run_id = api.trigger("a-job", {})
    api.run(run_id)
    api.runs(["a-job", "b-job"], statuses=["COMPLETED", "FAILED"], since=datetime.fromtimestamp(1, UTC))
    api.cancel(run_id)
    api.replay(run_id)
    api.delete_schedule(made.id)
    for ours in cloud.asked:
        same = next(one for one in theirs if (one.method, kind(one.path)) == (ours.method, kind(ours.path)))
        assert ours.query == same.query
        assert set(ours.body or {}) <= set(same.body or {}), ours.path
        shared = set(ours.headers) & set(same.headers)
        assert {"authorization", "x-trigger-api-version", "x-trigger-request-idempotency-key"} <= shared
        assert ours.headers["x-trigger-api-version"] == same.headers["x-trigger-api-version"]


def kind(path: str) -> str:
    """The path without its ids."""
    return "/".join("{id}" if one.startswith(("sched_", "run_")) else one for one in path.split("/"))


def test_a_schedule_means_there_what_it_means_here(node: Node) -> None:
    """Random expressions, as jobctl writes them for Trigger.dev, with the webapp's own parser."""
    chance = random.Random(20261124)
    written: dict[str, list[str]] = {}
    while len(written) < 300:
        expression = " ".join(
            _field(chance, *bounds) for bounds in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
        )
        try:
            cron = Cron(expression)
            text = trigger_cron(cron)
        except ScheduleError:
            continue
        instant, times = datetime(2026, 1, 1, tzinfo=UTC), []
        for _ in range(10):
            instant = cron.next_after(instant)
            times.append(instant.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        written[text] = times

    told = node(
        "crons.mjs", told={"start": "2026-01-01T00:00:00Z", "count": 10, "expressions": list(written)}
    )

    assert dict(zip(written, told, strict=True)) == written


NIGHTS = [
    "30 2 * * *", "*/30 2 * * *", "30 */2 * * *", "0 3 * * *", "*/30 1 * * *", "30 0 * * *", "0 0 * * *",
    "30 23 * * *", "30 22 * * 6", "*/45 0-3 * * 0", "*/20 * * * *",
]  # fmt: skip
ZONES = [
    "Europe/Berlin", "America/New_York", "America/Godthab", "Pacific/Easter", "Australia/Lord_Howe", "Africa/Cairo",
]  # fmt: skip


def test_where_clocks_change_our_search_is_theirs(node: Node) -> None:
    asked, ours = [], []
    begin = datetime(2026, 11, 29, tzinfo=UTC)
    for name in ZONES:
        for change, _ in changes(begin, begin + timedelta(days=366), zone(name)):
            after, until = change - timedelta(hours=3), change + timedelta(hours=26)
            for expression in NIGHTS:
                times = due_times(Cron(expression, name).fields, zone(name), after, until)
                ours.append([int(one.timestamp()) for one in times])
                asked.append(
                    {"expression": trigger_cron(Cron(expression, name)), "timezone": name,
                     "after": after.timestamp(), "until": until.timestamp()}
                )  # fmt: skip

    told = node("clock_changes.mjs", told=asked)

    assert len(asked) == len(ZONES) * 2 * len(NIGHTS)
    assert [(one, mine) for one, mine, theirs in zip(asked, ours, told, strict=True) if mine != theirs] == []


def _field(chance: random.Random, low: int, high: int) -> str:
    special = {31: ["L", "1,L"], 6: ["5#2", "L5", "L1,L5", "MON-FRI", "SUN", "6,7"], 12: ["JAN", "FEB-APR"]}
    first, last = sorted(chance.sample(range(low, high + 1), 2))
    several = ",".join(map(str, chance.sample(range(low, high + 1), chance.randint(1, 4))))
    return chance.choice(
        ["*", "*", f"*/{chance.randint(1, high)}", f"{first}-{last}", several, *special.get(high, [])]
    )
