"""Whatever is asked of a store in whatever order, its promises hold. Compared with a model in plain Python."""

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from jobctl.errors import FencedError
from jobctl.model import Reason, RunStatus, Trigger
from jobctl.store.open import open_store
from jobctl.store.records import (
    Claim,
    Claimed,
    CursorMoved,
    Ending,
    Misfires,
    Overlap,
    Owner,
    Registration,
    SlotTaken,
    Stopped,
    new_run_id,
)
from tests.support.postgres import Postgres

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
JOBS = st.sampled_from(["interval", "fixed"])
SLOTS = st.integers(1, 5)


class AnyOrder(RuleBasedStateMachine):
    """Two schedulers, two jobs, a clock that is set back now and then, and kills."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place = self.made()
        self.store = open_store(self.place)
        self.owners = [Owner(f"owner-{n}", "scheduler", "here", n + 1, "1", "boot", START) for n in range(2)]
        for owner in self.owners:
            self.store.register_process(owner)
        self.store.register([Registration(one, one, "x", "UTC") for one in ("interval", "fixed")], START)
        self.registrations = 0
        self.running: dict[str, tuple[str, int]] = {}
        self.stopped: set[str] = set()
        self.dealt: set[tuple[str, int, int]] = set()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.generations = [1, 1]

    def made(self) -> Path | str:
        """Where the next store will be."""
        return Path(self.folder.name) / "state"

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(job=JOBS, number=SLOTS, who=st.integers(0, 1))
    def run_a_slot(self, job: str, number: int, who: int) -> None:
        free = job not in self.running
        self.claim_a_slot(job, number, who)
        if free and job in self.running:
            self.finish(job, failed=False, twice=False)

    @rule(job=JOBS, number=SLOTS, first=st.integers(0, 1))
    def both_want_a_slot(self, job: str, number: int, first: int) -> None:
        self.run_a_slot(job, number, first)
        self.run_a_slot(job, number, 1 - first)

    @rule(job=JOBS, number=SLOTS, who=st.integers(0, 1), missed=st.integers(0, 2), stale=st.booleans())
    def claim_a_slot(self, job: str, number: int, who: int, missed: int = 0, *, stale: bool = False) -> None:
        slot = START + timedelta(minutes=number)
        fixed = job == "fixed"
        before = self.store.job(job)
        assert before is not None
        wish = Claim(
            new_run_id(),
            job,
            Trigger.SCHEDULE,
            slot,
            slot=slot,
            clock_generation=self.generations[who],
            fixed=fixed,
            misfires=Misfires(START - timedelta(days=1) if stale else before.cursor, missed),
        )
        (answer,) = self.store.claim(self.owners[who], [wish])
        after = self.store.job(job)
        assert after is not None
        match answer:
            case CursorMoved(cursor):
                assert stale
                assert cursor == before.cursor
                assert after == before
                return
            case Stopped():
                assert job in self.stopped
                assert after == before
                return
            case SlotTaken(cursor):
                assert cursor is not None
                assert cursor >= slot
                assert after.cursor == cursor
                return
            case Claimed(claim):
                assert job not in self.running
                self.running[job] = (claim.run_id, who)
            case Overlap(run, skipped):
                assert self.running[job][0] == run.id
                assert skipped is not None
                self.counts[job, "skipped"] += 1
        self.counts[job, "skipped"] += missed
        assert not stale
        assert job not in self.stopped
        assert after.cursor == slot
        key = (job, number, 0 if fixed else max(self.generations))
        assert key not in self.dealt, "a slot twice"
        self.dealt.add(key)

    @rule(job=JOBS, who=st.integers(0, 1), force=st.booleans())
    def claim_by_hand(self, job: str, who: int, force: bool) -> None:
        wish = Claim(new_run_id(), job, Trigger.MANUAL, START, force=force)
        (answer,) = self.store.claim(self.owners[who], [wish])
        if job in self.stopped and not force:
            assert isinstance(answer, Stopped)
        elif job in self.running:
            assert isinstance(answer, Overlap)
            assert (answer.running.id, answer.skipped) == (self.running[job][0], None)
        else:
            assert isinstance(answer, Claimed)
            self.running[job] = (answer.run.id, who)

    @rule(job=JOBS, failed=st.booleans(), twice=st.booleans())
    def finish(self, job: str, failed: bool, twice: bool) -> None:
        run_id, _ = self.running.pop(job, ("none", 0))
        status, reason = (
            (RunStatus.FAILED, Reason.ERROR) if failed else (RunStatus.COMPLETED, None)
        )  # fmt: skip
        ending = Ending(run_id, job, status, START, START, timedelta(seconds=1), reason)
        known = run_id != "none"
        assert self.store.finish([ending] * (1 + twice)) == [known, False][: 1 + twice]
        self.counts[job, status.value] += known

    @rule(who=st.integers(0, 1))
    def kill(self, who: int) -> None:
        lost = self.store.fail_lost_runs(self.owners[who].id, START)
        assert {run.id for run in lost} == {run_id for run_id, owner in self.running.values() if owner == who}
        for run in lost:
            del self.running[run.job_id]
            self.counts[run.job_id, "failed"] += 1
        wish = Claim(new_run_id(), "interval", Trigger.MANUAL, START, force=True)
        with pytest.raises(FencedError):
            self.store.claim(self.owners[who], [wish])
        self.registrations += 1
        self.owners[who] = replace(self.owners[who], id=f"owner-{who}-{self.registrations}")
        self.store.register_process(self.owners[who])

    @rule(who=st.integers(0, 1), told=st.booleans())
    def set_the_clock_back(self, who: int, told: bool) -> None:
        """One scheduler sees it; the other may live in the older clock generation for a while."""
        self.generations[who] = self.store.next_clock_generation(self.generations[who])
        if told:
            self.generations = [self.generations[who]] * 2

    @rule(job=JOBS, number=SLOTS, missed=st.integers(1, 3))
    def miss(self, job: str, number: int, missed: int) -> None:
        before = self.store.job(job)
        assert before is not None
        slot = START + timedelta(minutes=number)
        assert isinstance(
            self.store.pass_slots(job, slot, Misfires(START - timedelta(days=1), missed)),
            CursorMoved | SlotTaken,
        )
        assert self.store.job(job) == before
        refused = self.store.pass_slots(job, slot, Misfires(before.cursor, missed))
        assert refused is None or refused == SlotTaken(before.cursor)
        self.counts[job, "skipped"] += missed + 1 if refused is None else 0

    @rule(job=JOBS)
    def stop(self, job: str) -> None:
        self.store.stop([job], START)
        self.stopped.add(job)

    @rule()
    def start(self) -> None:
        self.store.start(["interval", "fixed"], START)
        self.stopped.clear()

    @rule()
    def prune(self) -> None:
        self.store.prune(START + timedelta(days=1), timedelta(days=30), 2)

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = open_store(self.place)
        assert self.store.warning is None

    @invariant()
    def totals_equal_the_runs(self) -> None:
        runs = Counter((run.job_id, run.status.value) for run in self.store.runs(limit=None))
        for totals in self.store.metrics().jobs:
            assert (
                totals.successful_jobs == self.counts[totals.id, "completed"] == runs[totals.id, "completed"]
            )
            assert totals.failed_jobs == self.counts[totals.id, "failed"] == runs[totals.id, "failed"]
            assert totals.skipped == self.counts[totals.id, "skipped"] >= runs[totals.id, "skipped"]
            assert runs[totals.id, "running"] == (totals.id in self.running)

    @invariant()
    def what_runs_has_an_owner(self) -> None:
        found = {run.job_id: (run.id, int(owner.id.split("-")[1])) for run, owner in self.store.unfinished()}
        assert found == self.running


STEPS = settings(
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_on_sqlite() -> None:
    run_state_machine_as_test(AnyOrder, settings=settings(STEPS, max_examples=50))


def test_on_postgres(postgres: Postgres) -> None:
    class OnPostgres(AnyOrder):
        def made(self) -> str:
            return postgres.schema()

    run_state_machine_as_test(OnPostgres, settings=settings(STEPS, max_examples=15))


pytestmark = pytest.mark.slow
