"""Batches of claims and endings: written together, with the outcomes and the rows of each written alone."""

import signal
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobctl.errors import FencedError, StoreError
from jobctl.model import Reason, RunStatus
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import (
    Claim,
    Claimed,
    ClaimOutcome,
    CursorMoved,
    Ending,
    Misfires,
    Overlap,
    SlotTaken,
    Stopped,
)
from jobctl.store.sqlite import SQLiteRunStore
from tests.store.conftest import Desk
from tests.store.test_sqlite_processes import processes
from tests.support.postgres import Postgres
from tests.support.proxy import proxied

JOBS = ("one", "two", "three", "four")


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.register(*JOBS)
    return desk


def due(desk: Desk, job_id: str, slot: float, cursor: float | None = None, **details: Any) -> Claim:
    """A claim as a scheduler makes it, which knows the job's cursor."""
    at = None if cursor is None else desk.at(cursor)
    wish = desk.wish(job_id, slot, next_run=slot + 1)
    return wish._replace(misfires=Misfires(at, details.pop("missed", 0)), **details)


def runs_of(outcomes: Sequence[ClaimOutcome]) -> list[Claimed]:
    return [one for one in outcomes if isinstance(one, Claimed)]


def test_a_batch_is_recorded_as_each_run_alone_would_be(desk: Desk, store: RunStore) -> None:
    outcomes = store.claim(desk.owner, [due(desk, job, 5, missed=2) for job in JOBS])

    begun = runs_of(outcomes)
    assert [one.run.job_id for one in begun] == list(JOBS)
    for one in begun:
        assert store.run(one.run.id) == one.run
        record = store.job(one.run.job_id)
        assert record is not None
        assert (record.cursor, record.next_run, record.missed) == (desk.at(5), desk.at(6), 2)
        assert record.last == one.run

    assert store.finish([desk.ending(one.run) for one in begun]) == [True] * len(JOBS)
    assert {run.status for run in store.runs()} == {RunStatus.COMPLETED}
    assert store.metrics().successful_jobs == len(JOBS)


def test_what_others_did_meanwhile_is_found_out(desk: Desk, store: RunStore) -> None:
    desk.register("five", "six")
    store.stop(["one"], desk.at(0))
    desk.end(desk.begin("two", 5))
    running = desk.begin("three")
    group = due(desk, "five", 5, group="exports"), due(desk, "six", 5, group="exports")

    stopped, moved, overlap, begun, first, second = store.claim(
        desk.owner, [*(due(desk, job, 6) for job in JOBS), *group]
    )

    assert stopped == Stopped(desk.at(0))
    assert moved == CursorMoved(desk.at(5))
    assert isinstance(overlap, Overlap)
    assert overlap.running == running
    assert isinstance(begun, Claimed)
    assert isinstance(first, Claimed)
    assert isinstance(second, Overlap)
    assert second.running == first.run
    assert Counter(run.status for run in store.runs()) == {"completed": 1, "running": 3, "skipped": 2}


def test_slots_of_jobs_that_still_run_are_skipped_together(desk: Desk, store: RunStore) -> None:
    running = [desk.begin(job, 5) for job in JOBS]
    wishes = [due(desk, job, 8, 5, missed=2) for job in JOBS[:3]] + [due(desk, "four", 8, 5, queue=True)]

    *skipped, queued = store.claim(desk.owner, wishes)

    for wish, outcome, run in zip(wishes, skipped, running, strict=False):
        assert isinstance(outcome, Overlap)
        assert outcome.skipped is not None
        assert (outcome.running, outcome.skipped) == (run, store.run(wish.run_id))
        assert (outcome.skipped.status, outcome.skipped.reason) == (RunStatus.SKIPPED, Reason.OVERLAP)
        record = store.job(run.job_id)
        assert record is not None
        assert (record.cursor, record.next_run, record.missed, record.last) == (
            desk.at(8),
            desk.at(9),
            2,
            run,
        )
    assert queued == Overlap(running[3], None)
    assert store.metrics().skipped == 9


def test_what_would_be_refused_is_seen_without_a_claim(desk: Desk, store: RunStore) -> None:
    store.stop(["one"], desk.at(0))
    desk.begin("two", 5)
    wishes = [due(desk, job, 5) for job in JOBS]

    refused = store.refused(wishes)

    assert refused == {wishes[0].run_id: Stopped(desk.at(0)), wishes[1].run_id: SlotTaken(desk.at(5))}
    assert len(store.runs()) == 1


def test_a_job_is_in_a_batch_twice(desk: Desk, store: RunStore) -> None:
    wishes = [due(desk, "one", 5), due(desk, "one", 6), due(desk, "two", 5), due(desk, "two", 5, cursor=5)]
    outcomes = store.claim(desk.owner, wishes)
    assert [type(one) for one in outcomes] == [Claimed, CursorMoved, Claimed, SlotTaken]


def test_a_slot_behind_the_cursor_of_an_older_clock_generation_is_claimed(
    desk: Desk, store: RunStore
) -> None:
    for job in JOBS:
        desk.end(desk.begin(job, 60))
    generation = store.next_clock_generation(1)
    wishes = [due(desk, job, 5, cursor=60, clock_generation=generation) for job in JOBS]
    for one in runs_of(store.claim(desk.owner, wishes)):
        desk.end(one.run)
    again = store.claim(desk.owner, [due(desk, job, 5, cursor=5) for job in JOBS])
    assert again == [SlotTaken(desk.at(5))] * len(JOBS)
    assert len(store.runs()) == 2 * len(JOBS)


def test_endings_of_which_some_came_second(desk: Desk, store: RunStore) -> None:
    runs = [one.run for one in runs_of(store.claim(desk.owner, [due(desk, job, 5) for job in JOBS]))]
    assert desk.end(runs[1], reason=Reason.ERROR)
    endings = [desk.ending(run) for run in runs]

    assert store.finish([*endings, endings[0]]) == [True, False, True, True, False]

    totals = store.metrics()
    assert (totals.successful_jobs, totals.failed_jobs) == (3, 1)


def test_a_batch_of_a_process_that_was_declared_dead_is_refused(desk: Desk, store: RunStore) -> None:
    store.fail_lost_runs(desk.owner.id, desk.at(1))
    with pytest.raises(FencedError):
        store.claim(desk.owner, [due(desk, job, 5) for job in JOBS])
    assert store.runs() == []


def test_those_who_race_for_the_same_slots_get_each_once(desk: Desk, store: RunStore) -> None:
    owners = [desk.register_process(f"racer-{number}") for number in range(4)]
    stores = [desk.again() for _ in owners]
    cursor: float | None = None
    for slot in range(1, 6):
        wishes = [[due(desk, job, slot, cursor) for job in JOBS] for _ in owners]
        with ThreadPoolExecutor(len(owners)) as threads:
            outcomes = list(threads.map(lambda one: one[0].claim(one[1], one[2]), zip(stores, owners, wishes, strict=True)))  # fmt: skip
        begun = [one.run for answers in outcomes for one in runs_of(answers)]
        assert sorted(run.job_id for run in begun) == sorted(JOBS)
        assert {type(one) for answers in outcomes for one in answers} <= {Claimed, SlotTaken}
        store.finish([desk.ending(run) for run in begun])
        cursor = slot
    assert store.metrics().successful_jobs == len(store.runs(limit=None)) == 5 * len(JOBS)


def test_a_batch_without_conflict_reads_no_job_alone(tmp_path: Path) -> None:
    """What makes it cheap: the judges are the constraints, not queries before each write."""
    desk = Desk(lambda: open_store(tmp_path / "state"))
    desk.register(*JOBS)
    store = desk.store
    assert isinstance(store, SQLiteRunStore)
    statements: list[str] = []
    store._connections.get().set_trace_callback(statements.append)
    begun = runs_of(store.claim(desk.owner, [due(desk, job, 5) for job in JOBS]))
    store.finish([desk.ending(one.run) for one in begun])
    store._connections.get().set_trace_callback(None)
    desk.close()
    assert len(begun) == len(JOBS)
    assert not any("FROM jobs" in one for one in statements if one.lstrip().startswith("SELECT"))


# Kills


@pytest.mark.faults
@pytest.mark.parametrize("at", ["INSERT INTO runs", "UPDATE jobs", "COMMIT"])
def test_a_process_killed_within_a_batch_leaves_nothing_of_it(tmp_path: Path, at: str) -> None:
    script = f"""
from jobctl.store.records import Misfires
store = open_store(folder)
store.register_process(owner)
jobs = ["one", "two", "three"]
store.register([Registration(job, job, "every 1m", "UTC") for job in jobs], NOW)
seen = 0
def stop_here(statement):
    global seen
    seen += {at!r} in statement
    if seen == {1 if at == "COMMIT" else 2}:
        ready()
store._connections.get().set_trace_callback(stop_here)
store.claim(owner, [
    Claim(new_run_id(), job, Trigger.SCHEDULE, NOW, slot=NOW, misfires=Misfires(None, 0)) for job in jobs
])
"""
    folder = tmp_path / "state"
    with processes(script, folder) as (writer,):
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    with closing(open_store(folder, verify=True)) as store:
        assert store.warning is None
        assert store.runs() == []
        assert {record.cursor for record in store.jobs().values()} == {None}


@pytest.mark.parametrize("at", [b"INSERT INTO runs", b"COMMIT\0"])
def test_a_connection_lost_within_a_batch_leaves_nothing_of_it(postgres: Postgres, at: bytes) -> None:
    address = postgres.schema()
    with proxied(postgres.port) as proxy:
        far = address.replace(f":{postgres.port}/", f":{proxy.port}/")
        desk = Desk(lambda: open_store(far))
        desk.register(*JOBS)
        wishes = [due(desk, job, 5) for job in JOBS]
        proxy.cut_at, proxy.answer = at, False
        with pytest.raises(StoreError):
            desk.store.claim(desk.owner, wishes)
        assert proxy.cuts == 1
        assert desk.store.runs() == []
        assert len(runs_of(desk.store.claim(desk.owner, wishes))) == len(JOBS)
        desk.close()


# Together and alone


SLOTS = st.integers(1, 6)
CLAIMS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict, job=st.sampled_from(JOBS), slot=SLOTS, stale=st.booleans(), missed=st.integers(0, 2),
    fixed=st.booleans(), group=st.sampled_from([None, "exports"]), queue=st.booleans(),
    by_hand=st.sampled_from([False, False, False, True]),
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.lists(CLAIMS, min_size=2, max_size=5)),
        st.tuples(st.just("finish"), st.lists(st.integers(0, 9), min_size=2, max_size=5)),
        st.tuples(st.sampled_from(["stop", "start"]), st.sampled_from(JOBS)),
        st.tuples(st.just("set back"), st.none()),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


class Twin:
    """A store that is given every batch whole, or each claim and ending of it alone."""

    def __init__(self, desk: Desk, *, together: bool) -> None:
        desk.register(*JOBS)
        self.desk = desk
        self.together = together
        self.generation = 1
        self.begun: list[tuple[str, str, datetime]] = []

    def take(self, step: tuple[str, Any], batch: int) -> object:
        """Do a step; returns what it answered."""
        store, (what, details) = self.desk.store, step
        match what:
            case "claim":
                wishes = [self.wish(one, f"{batch:08x}{number:08x}") for number, one in enumerate(details)]
                outcomes = self.all(lambda some: store.claim(self.desk.owner, some), wishes)
                self.begun += [(one.run.id, one.run.job_id, one.run.started_at) for one in runs_of(outcomes)]
                return outcomes
            case "finish":
                return self.all(store.finish, [self.ending(number) for number in details if self.begun])
            case "stop":
                store.stop([details], self.desk.at(3))
            case "start":
                store.start([details], self.desk.at(3))
            case "set back":
                self.generation = store.next_clock_generation(self.generation)
        return None

    def all(self, do: Any, batch: list[Any]) -> list[Any]:
        """Together, or one by one."""
        return list(do(batch)) if self.together else [answer for one in batch for answer in do([one])]

    def wish(self, one: dict[str, Any], run_id: str) -> Claim:
        details = {"run_id": run_id, "group": one["group"], "queue": one["queue"]}
        if one["by_hand"]:
            return self.desk.wish(one["job"], now=one["slot"])._replace(**details)
        record = self.desk.store.job(one["job"])
        assert record is not None
        cursor = self.desk.at(-5) if one["stale"] else record.cursor
        return self.desk.wish(
            one["job"],
            one["slot"],
            fixed=one["fixed"],
            generation=self.generation,
            next_run=one["slot"] + 1,
        )._replace(misfires=Misfires(cursor, one["missed"]), **details)

    def ending(self, number: int) -> Ending:
        run_id, job_id, began = self.begun[number % len(self.begun)]
        took = self.desk.at(number) - self.desk.at(0)
        status = RunStatus.FAILED if number % 3 == 0 else RunStatus.COMPLETED
        return Ending(run_id, job_id, status, began, began + took, took, result=number or None)

    def state(self) -> object:
        """All that is recorded; the order of the runs of different jobs in a batch does not matter."""
        store = self.desk.store
        return store.jobs(), [store.runs(job, limit=None) for job in JOBS], store.metrics()


def compare(place: Any, steps: Sequence[tuple[str, Any]]) -> None:
    twins = [Twin(Desk(lambda: open_store(place())), together=together) for together in (True, False)]
    try:
        for batch, step in enumerate(steps):
            together, alone = (twin.take(step, batch) for twin in twins)
            assert together == alone
        assert twins[0].state() == twins[1].state()
    finally:
        for twin in twins:
            twin.desk.close()


EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
def test_together_is_as_alone_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(EXAMPLES, max_examples=40)
    @given(STEPS)
    def on_sqlite(steps: Sequence[tuple[str, Any]]) -> None:
        compare(lambda: tmp_path_factory.mktemp("state"), steps)

    on_sqlite()


@pytest.mark.slow
def test_together_is_as_alone_on_postgres(postgres: Postgres) -> None:
    @settings(EXAMPLES, max_examples=10)
    @given(STEPS)
    def on_postgres(steps: Sequence[tuple[str, Any]]) -> None:
        compare(postgres.schema, steps)

    on_postgres()
