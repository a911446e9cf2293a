"""Whatever Trigger.dev answers, it is either understood or refused with a sentence, after a bounded number of requests."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.errors import JobctlError
from jobctl.json_documents import job_document, metrics_document, run_document
from jobctl.settings.masking import Secret
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.api_types import ScheduleRequest
from jobctl.trigger_dev.client import RETRY, TriggerDevClient
from jobctl.trigger_dev.manager import TriggerDevJobManager
from jobctl.trigger_dev.runs import as_run
from tests.fuzz.conftest import Answering, raw_answers
from tests.fuzz.test_command_line import given_words
from tests.support.fuzzing import anything, bounded, check_message, examples
from tests.support.terminal import Cli
from tests.support.trigger_dev import KEY
from tests.support.trigger_dev_settings import in_charge
from tests.trigger_dev.conftest import job

DEEP = "deep"
"""In an answer: 900 lists in each other."""
NAMES = (
    "data", "pagination", "totalPages", "next", "id", "task", "active", "type", "timezone", "generator", "expression",
    "deduplicationKey", "externalId", "nextRun", "taskIdentifier", "status", "createdAt", "startedAt", "finishedAt",
    "error", "message", "output", "attemptCount", "timezones", "job_id", "result",
)  # fmt: skip
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | anything
    | st.sampled_from(["2026-11-24T09:00:00.000Z", "2026-11-24", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "20261124T090000",
                       "FAILED", "skipped", "\ud800", "x" * 5000, 10**4000, 1e308, -(10**30), "1" * 5000])
)  # fmt: skip
ANY = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)
TIMES = st.sampled_from(["2026-11-24T09:00:00.000Z", "2026-11-24T09:00:01Z", "2026-11-23T09:00:00+09:00"])


def nearly(**right: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with these values, up to two of them left out or anything else."""

    def bent(found: dict[str, Any], gone: set[str], wrong: dict[str, Any]) -> dict[str, Any]:
        return {**{key: value for key, value in found.items() if key not in gone}, **wrong}

    names = st.sampled_from([*right])
    return st.builds(bent, st.fixed_dictionaries(right), st.sets(names, max_size=1), st.dictionaries(names, ANY, max_size=1))  # fmt: skip


ERROR = nearly(message=anything, name=anything)
TOLD = nearly(run_id=anything, job_id=st.just("a-job"), status=st.sampled_from(["completed", "failed", "skipped"]), error=anything, result=ANY)  # fmt: skip
RUN = nearly(
    id=st.sampled_from(["run_1", "run_2"]), taskIdentifier=st.sampled_from(["a-job", "hello", "x"]), createdAt=TIMES,
    status=st.sampled_from(["QUEUED", "EXECUTING", "COMPLETED", "FAILED", "CANCELED", "TIMED_OUT", "NEW"]), startedAt=TIMES | st.none(),
    finishedAt=TIMES | st.none(), output=TOLD | ANY, error=ERROR | st.none(), attemptCount=st.integers(0, 3), isTest=st.booleans(),
)  # fmt: skip
SCHEDULE = nearly(
    id=st.sampled_from(["sched_1", "sched_2"]), type=st.sampled_from(["IMPERATIVE", "DECLARATIVE"]), task=st.sampled_from(["a-job", "hello", "x"]),
    active=st.booleans(), deduplicationKey=st.sampled_from(["jobctl:production:a-job", "jobctl:production:hello", "k", ""]),
    externalId=st.none() | st.just("hello"), timezone=st.sampled_from(["UTC", "Asia/Tokyo", "No/Where"]), nextRun=TIMES | st.none(),
    generator=nearly(type=st.just("CRON"), expression=st.sampled_from(["0 9 * * *", "*/5 * * * *", "x"])),
)  # fmt: skip
PAGES = nearly(totalPages=st.sampled_from([0, 1, 2, 10**9]), next=st.sampled_from([None, "run_1", "run_2"]))
ANSWER = (
    nearly(data=st.lists(RUN | SCHEDULE, max_size=4), pagination=PAGES, timezones=st.lists(st.sampled_from(["UTC", "Asia/Tokyo"])))
    | RUN | SCHEDULE | ANY | nearly(id=st.just("run_1"))
)  # fmt: skip
LIST = nearly(data=st.lists(RUN, max_size=3), pagination=PAGES)

CALLS: dict[str, Callable[[TriggerDevClient], object]] = {
    "schedules": lambda api: api.schedules(),
    "schedule": lambda api: api.schedule("k"),
    "put": lambda api: api.put_schedule(ScheduleRequest("a-job", "k", "0 9 * * *", "UTC")),
    "timezones": lambda api: api.timezones(),
    "trigger": lambda api: api.trigger("a-job", {}),
    "runs": lambda api: [as_run(one) for one in api.runs(["a-job"], limit=5)],
    "run": lambda api: [as_run(one) for one in [api.run("run_1")] if one is not None],
}
SCHEDULES = nearly(data=st.lists(SCHEDULE, max_size=3), pagination=PAGES)


def account(url: str = "http://127.0.0.1:1") -> Account:
    return Account(url, Secret(KEY), "production")


def answered(api: TriggerDevClient, answers: list[Any]) -> list[str]:
    """Give these answers in turn, the last one for ever; what was asked for."""
    left, asked = list(answers), []

    def call(method: str, path: str, **_: object) -> Any:
        asked.append(path)
        return left.pop(0) if len(left) > 1 else left[0]

    api._call = call  # type: ignore[method-assign]
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@examples(30)
@given(answer=ANSWER | LIST | SCHEDULES)
def test_an_answer_is_understood_or_refused(call: str, answer: object) -> None:
    with closing(TriggerDevClient(account())) as api, bounded():
        answered(api, [answer, {"data": []}])
        try:
            CALLS[call](api)
        except JobctlError as error:
            check_message(error)


@pytest.mark.slow
@examples(50)
@given(st.lists(LIST | SCHEDULES | RUN | SCHEDULE | ANSWER, min_size=1, max_size=6))
@example([{"data": [], "pagination": {"next": "x", "totalPages": 10**9}}])
@example([{"data": [{"id": "run_1", "taskIdentifier": "a-job", "status": "QUEUED", "createdAt": "2026-11-24"}], "pagination": {"next": "x"}}])  # fmt: skip
def test_the_manager_understands_or_refuses_and_asks_no_more_than_it_must(answers: list[Any]) -> None:
    manager = TriggerDevJobManager(account(), wait=lambda _: None)
    manager.add([job("a-job", timezone="Asia/Tokyo"), job("hello", "every 5m")])
    asked = answered(manager._api, answers)

    for look in (
        lambda: [job_document(one) for one in manager.get_all_job_statuses()],
        lambda: [run_document(one) for one in manager.runs()],
        lambda: metrics_document(manager.get_job_metrics()),
        lambda: list(map(str, manager.register(manager.plan()[0]))),
        lambda: run_document(manager.trigger_job("hello")),
        lambda: manager.stop_job("a-job"),
        manager.start_all_jobs,
    ):
        asked.clear()
        with bounded():
            try:
                json.dumps(look())
            except JobctlError as error:
                check_message(error)
        assert len(asked) <= 3500
    manager.shutdown()


@examples(50)
@given(raw_answers)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-should-retry: true\r\n\r\n[1,2]")
@example(b"HTTP/1.1 429 x\r\nx-ratelimit-reset: " + b"9" * 400 + b"\r\nretry-after: inf\r\n\r\n{}")
@example(b'HTTP/1.1 400 x\r\n\r\n{"error": "' + KEY.encode() + b' is \\u001b[31m wrong"}')
def test_any_bytes_are_understood_or_reported_in_a_sentence(answering: Answering, data: bytes) -> None:
    answering.data, answering.asked = data, 0
    pauses: list[float] = []
    told: list[str] = []

    with bounded(), closing(TriggerDevClient(account(answering.url), wait=pauses.append)) as api:
        try:
            api.schedules()
        except JobctlError as error:
            check_message(error)
            told.append(f"{error}{error.hint}")

    assert KEY not in "".join(told)
    assert answering.asked <= len(RETRY.pauses) + 1001
    assert sum(pauses) <= 61
    assert all(0 <= one <= 61 for one in pauses)


ENDED = {
    "data": [],
    "id": "run_1",
    "taskIdentifier": "hello",
    "status": "COMPLETED",
    "createdAt": "2026-11-24",
}
LOOKS = ("status", "status hello", "runs", "runs hello --failed", "metrics", "run --dry-run", "run", "trigger hello --no-wait", "stop hello", "start hello", "next hello")  # fmt: skip


@pytest.mark.slow
@examples(30)
@given(st.sampled_from(LOOKS), st.booleans(), LIST | SCHEDULES | ANSWER)
@example("trigger hello", True, {**ENDED, "output": DEEP})
@example("trigger hello", True, {**ENDED, "output": {"a": float("nan")}})
@example("trigger hello", True, {**ENDED, "output": "\ud800", "error": {"message": "\ud800"}})
@example("runs", True, {"data": [{**ENDED, "output": DEEP}]})
def test_any_json_is_shown_or_reported_by_the_commands(
    cli: Cli, answering: Answering, words: str, as_json: bool, answer: Any
) -> None:
    try:
        body = json.dumps(answer).encode().replace(b'"deep"', b"[" * 900 + b"]" * 900)
    except ValueError:
        return
    answering.data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    given_words(*words.split(), *(["--json"] if as_json else []), **in_charge(answering.url, KEY))
