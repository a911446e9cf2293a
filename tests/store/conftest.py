"""A run store to try, and short ways to claim and end runs.

The contract suite runs on every store of ``STORES``.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.model import Reason, Run, RunStatus, Trigger
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, ClaimOutcome, Ending, Owner, Registration, new_run_id
from tests.support.postgres import Postgres

START = datetime(2026, 11, 23, 9, tzinfo=UTC)

STORES = ("sqlite", "postgresql")


class Desk:
    """A store with one registered process; ``again`` opens the same place once more, as a process would."""

    def __init__(self, open_it: Callable[[], RunStore]) -> None:
        self._open = open_it
        self._opened: list[RunStore] = []
        self.store = self.again()
        self.owner = self.register_process("owner-1")

    def again(self) -> RunStore:
        self._opened.append(self._open())
        return self._opened[-1]

    def close(self) -> None:
        for store in self._opened:
            store.close()

    @staticmethod
    def at(minutes: float) -> datetime:
        return START + timedelta(minutes=minutes)

    def register_process(self, name: str, kind: str = "scheduler", minutes: float = 0) -> Owner:
        owner = Owner(name, kind, "here", 4711, "77", "boot", self.at(minutes))
        self.store.register_process(owner)
        return owner

    def register(
        self, *ids: str, schedule: str = "every 1m", timezone: str = "UTC", minutes: float = 0
    ) -> None:
        jobs = [Registration(one, one.title(), schedule, timezone) for one in ids]
        self.store.register(jobs, self.at(minutes))

    def wish(
        self,
        job_id: str = "job",
        slot: float | None = None,
        *,
        now: float | None = None,
        generation: int = 1,
        fixed: bool = False,
        force: bool = False,
        next_run: float | None = None,
    ) -> Claim:
        return Claim(
            new_run_id(),
            job_id,
            Trigger.MANUAL if slot is None else Trigger.SCHEDULE,
            self.at(now if now is not None else slot or 0),
            slot=None if slot is None else self.at(slot),
            clock_generation=generation,
            fixed=fixed,
            next_run=None if next_run is None else self.at(next_run),
            force=force,
        )

    def claim(self, *options: Any, **named: Any) -> ClaimOutcome:
        """Claim what ``wish`` makes of its options."""
        (answer,) = self.store.claim(self.owner, [self.wish(*options, **named)])
        return answer

    def begin(self, *options: Any, **named: Any) -> Run:
        answer = self.claim(*options, **named)
        assert isinstance(answer, Claimed), answer
        return answer.run

    @staticmethod
    def ending(run: Run, seconds: float = 1, reason: Reason | None = None) -> Ending:
        took = timedelta(seconds=seconds)
        return Ending(
            run.id,
            run.job_id,
            RunStatus.FAILED if reason else RunStatus.COMPLETED,
            run.started_at,
            run.started_at + took,
            took,
            reason=reason,
            error=f"it ended by {reason}" if reason else None,
        )

    def end(self, run: Run, seconds: float = 1, reason: Reason | None = None) -> bool:
        (done,) = self.store.finish([self.ending(run, seconds, reason)])
        return done

    def ran(
        self, job_id: str = "job", slot: float | None = None, *, seconds: float = 1, now: float | None = None
    ) -> Run:
        run = self.begin(job_id, slot, now=now)
        assert self.end(run, seconds)
        return run


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be made: nothing exists there."""
    if request.param == "sqlite":
        return tmp_path / "state"
    server: Postgres = request.getfixturevalue("postgres")
    return server.schema()


@pytest.fixture
def desk(place: Path | str) -> Iterator[Desk]:
    desk = Desk(lambda: open_store(place))
    yield desk
    desk.close()


@pytest.fixture
def store(desk: Desk) -> RunStore:
    return desk.store
