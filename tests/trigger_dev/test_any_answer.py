"""Whatever JSON comes back, it is either understood or refused with a sentence."""

from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.settings.secret import Secret
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.api import TriggerDev, Wanted
from jobctl.trigger_dev.runs import as_run
from jobctl.trigger_dev.wire import ShapeError
from tests.support.trigger_dev import KEY

NAMES = (
    "data", "pagination", "totalPages", "next", "id", "task", "active", "type", "timezone", "generator", "expression",
    "deduplicationKey", "externalId", "nextRun", "taskIdentifier", "status", "createdAt", "startedAt", "finishedAt",
    "error", "message", "output", "attemptCount", "timezones", "job_id", "result",
)  # fmt: skip
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2026-11-24T09:00:00.000Z", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "FAILED", "skipped"])
)  # fmt: skip
ANY = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)
RUN = st.fixed_dictionaries(
    {"id": st.just("run_1"), "taskIdentifier": st.just("a-job"), "status": PLAIN, "createdAt": PLAIN},
    optional=dict.fromkeys(
        ("startedAt", "finishedAt", "output", "error", "attemptCount", "idempotencyKey"), ANY
    ),
)
CALLS: list[Callable[[TriggerDev], object]] = [
    lambda api: api.schedules(),
    lambda api: api.schedule("k"),
    lambda api: api.put_schedule(Wanted("a-job", "k", "0 9 * * *", "UTC")),
    lambda api: api.timezones(),
    lambda api: api.trigger("a-job", {}),
    lambda api: api.runs(["a-job"], limit=5),
    lambda api: [as_run(one) for one in [api.run("run_1")] if one is not None],
]


@pytest.mark.parametrize("call", CALLS)
@given(answer=ANY | RUN | st.fixed_dictionaries({"data": st.lists(RUN | ANY, max_size=3), "pagination": ANY}))
def test_an_answer_is_understood_or_refused(call: Callable[[TriggerDev], object], answer: object) -> None:
    api = TriggerDev(Account("http://127.0.0.1:1", Secret(KEY), "production"))
    answers = iter([answer])
    api._connection.call = lambda *_, **__: next(answers, {"data": []})  # type: ignore[method-assign]
    with closing(api), suppress(ShapeError):
        call(api)
