"""Functions that no worker can import run in threads of this process."""

import sys
import threading
from datetime import timedelta

import pytest

from jobctl.execution.job_threads import JobThreads, importable
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskStarted
from jobctl.model import JobResult, Reason
from tests.execution.conftest import Threads


def last(outcomes: list[Outcome]) -> TaskFinished:
    assert isinstance(outcomes[0], TaskStarted)
    assert isinstance(outcomes[-1], TaskFinished)
    return outcomes[-1]


def test_a_lambda_and_an_async_closure_give_their_values(threads: Threads) -> None:
    seven = 7

    async def closure() -> int:
        return seven

    assert last(threads.run(lambda: [1])).result == [1]
    assert last(threads.run(closure)).result == 7
    assert last(threads.run(lambda dry_run=False: dry_run, arguments={"dry_run": True})).result is True
    assert threads.executor.poll() == []


def test_errors_and_failed_results_fail_the_run(threads: Threads) -> None:
    def fail() -> None:
        error = ValueError("no luck")
        error.retry = False  # type: ignore[attr-defined]
        raise error

    run = last(threads.run(fail))
    assert (run.reason, run.error, run.retry) == (Reason.ERROR, "ValueError: no luck", False)
    told = last(threads.run(lambda: JobResult(success=False, message="no mail")))
    assert (told.reason, told.error) == (Reason.ERROR, "no mail")
    left = last(threads.run(lambda: sys.exit(0)))
    assert left.reason is None


def test_secrets_stay_inside(threads: Threads) -> None:
    assert last(threads.run(lambda: ["hunter2hunter2"])).result == ["••••"]
    assert last(threads.run(lambda: int("hunter2hunter2"))).error == (
        "ValueError: invalid literal for int() with base 10: '••••'"
    )


def test_a_late_return_is_a_timeout(threads: Threads) -> None:
    run = last(threads.run(lambda: threading.Event().wait(0.05), timeout=0.01))
    assert (run.reason, run.error) == (Reason.TIMEOUT, "took longer than 10ms")


def test_an_abandoned_thread_is_reported_once(threads: Threads) -> None:
    go = threading.Event()
    threads.executor.submit([Task("run", "job", go.wait, timedelta(seconds=30))])
    threads.executor.end(["run"], Reason.INTERRUPTED)
    ended = [one for one in threads.finish() if isinstance(one, TaskFinished)]
    assert [one.reason for one in ended] == [Reason.INTERRUPTED]
    go.set()
    assert threads.executor.poll() == []


def test_only_what_leads_to_the_same_function_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    def local() -> None:
        pass

    assert importable(timedelta.total_seconds) is None
    assert importable(importable) == "jobctl.execution.job_threads:importable"
    assert importable(local) is None
    assert importable(lambda: None) is None
    assert importable(JobThreads.submit) == "jobctl.execution.job_threads:JobThreads.submit"
    assert importable(threading.Event().wait) is None
    monkeypatch.setattr(local, "__module__", "__main__")
    assert importable(local) is None
