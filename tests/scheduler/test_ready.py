"""Slots that wait for a worker: which go out together, and which one by one."""

from datetime import UTC, datetime, timedelta

from jobctl.model import Job
from jobctl.scheduler.agenda import AgendaEntry, DueSlot
from jobctl.scheduler.dispatch import ReadySlots
from jobctl.schedules import Every

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
QUICK, SLOW = timedelta(milliseconds=1), timedelta(seconds=1)
EVERY = Every(timedelta(hours=1))


def filled(*job_ids: str) -> ReadySlots:
    ready = ReadySlots()
    for job_id in job_ids:
        put(ready, job_id)
    return ready


def job(job_id: str, **environment: str) -> Job:
    return Job(job_id, job_id, EVERY, "work:work", environment=environment)


def put(ready: ReadySlots, job_id: str) -> None:
    ready.put(DueSlot(AgendaEntry(job(job_id), EVERY, NOW, None), NOW, should_run=True))


def picked(ready: ReadySlots, quick: int, others: int) -> list[str]:
    return [due.entry.job.id for due in ready.pick(lambda kind: quick if kind else others)]


def test_a_newcomer_takes_a_worker_for_itself_until_one_was_quick() -> None:
    ready = filled("a", "b", "c")
    assert picked(ready, quick=128, others=1) == ["a"]
    ready.discard("a")
    ready.learn("a", QUICK, failed=False)
    assert picked(ready, quick=128, others=0) == ["b", "c"], (
        "those that waited already are taken for quick too"
    )


def test_a_slow_newcomer_makes_the_next_ones_wait_for_a_worker_of_their_own() -> None:
    ready = filled()
    ready.learn("a", QUICK, failed=False)
    ready.learn("b", SLOW, failed=False)
    put(ready, "c")
    assert picked(ready, quick=128, others=0) == []
    assert ready.is_quick(job("a")), "what is known of a job is not changed by another"


def test_a_slow_or_failed_run_makes_a_quick_job_slow_and_the_newcomers_stay_quick() -> None:
    ready = filled()
    ready.learn("a", QUICK, failed=False)
    ready.learn("a", QUICK, failed=True)
    assert not ready.is_quick(job("a"))
    assert ready.is_quick(job("new"))


def test_slow_ones_do_not_become_quick_with_the_newcomers() -> None:
    ready = filled()
    ready.learn("slow", SLOW, failed=False)
    put(ready, "slow")
    ready.learn("new", QUICK, failed=False)
    assert picked(ready, quick=128, others=0) == []
    assert picked(ready, quick=0, others=1) == ["slow"]


def test_a_burst_is_claimed_in_large_parts_and_its_rest_at_once() -> None:
    ready = filled()
    ready.learn("known", QUICK, failed=False)
    for number in range(200):
        put(ready, f"job-{number}")
    assert picked(ready, quick=5, others=0) == [], (
        "a transaction for five would cost nearly as much as for all"
    )
    assert len(picked(ready, quick=500, others=0)) == 128
    for number in range(197):
        ready.discard(f"job-{number}")
    assert len(picked(ready, quick=5, others=0)) == 3


def test_nothing_waits_of_what_is_forgotten() -> None:
    ready = filled("a", "b")
    ready.discard("a")
    assert picked(ready, quick=9, others=9) == ["b"]
    ready.clear()
    assert picked(ready, quick=9, others=9) == []


def test_a_job_with_variables_of_its_own_shares_no_worker() -> None:
    ready = filled()
    ready.learn("a", QUICK, failed=False)
    assert not ready.is_quick(job("a", REGION="eu"))
