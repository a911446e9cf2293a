"""Records how runs ended; keeps what cannot be written now until it can."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from jobctl.clock import Clock, whole
from jobctl.durations import milliseconds
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, EndNotRecorded, RunFinished, StoreRecovered, StoreUnavailable
from jobctl.model import Run
from jobctl.scheduler.lease import Lease
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, Claimed, ClaimOutcome, Ending
from jobctl.text import counted

_REPORT_AGAIN = timedelta(minutes=1)
_KEPT = 1000
_ENDING_WAITS_S = 0.01


class EndedRun(NamedTuple):
    """A run of this process that has ended; ``retry`` as in ``RunFinished``."""

    claimed: Claimed
    ending: Ending
    retry: bool

    @property
    def run(self) -> Run:
        """The run as it is recorded; made at each call."""
        ending = self.ending
        return replace(
            self.claimed.run,
            status=ending.status,
            started_at=whole(ending.started_at),
            reason=ending.reason,
            finished_at=whole(ending.finished_at),
            duration=timedelta(milliseconds=milliseconds(ending.duration) or 0),
            error=ending.error,
            result=ending.result,
            pid=ending.pid,
            attempt=ending.attempt,
        )


@dataclass(slots=True)
class FinishedRuns:
    """The newest runs of this process whose end is recorded. Thread-safe."""

    _runs: OrderedDict[str, EndedRun | Run] = field(default_factory=OrderedDict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def add(self, runs: Iterable[tuple[str, EndedRun | Run]]) -> None:
        """Keep runs by their ids; the oldest beyond 1,000 are forgotten."""
        with self._changed:
            self._runs.update(runs)
            while len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
            self._changed.notify_all()

    def wait(self, run_id: str, timeout: float | None) -> Run | None:
        """Wait for a run; None after ``timeout`` seconds or ``close``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or run_id in self._runs, timeout)
            found = self._runs.get(run_id)
        return found.run if isinstance(found, EndedRun) else found

    def close(self) -> None:
        """Nothing more will end here: release every waiting thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Recorder:
    """Writes many endings in one transaction, and makes many claims in one.

    Endings wait for others, for claims, or for the end of the last run, but not for long: a kill would lose them. While the store is locked or full, no run starts, but the scheduler goes on: endings are kept, and nothing is
    claimed until they are written.

    Attributes:
        finished: runs whose end is recorded.
        recorded: how many endings were written.
        error: why the last write failed.
    """

    def __init__(self, store: RunStore, lease: Lease, bus: Bus, clock: Clock) -> None:
        self.finished = FinishedRuns()
        self.recorded = 0
        self.error: StoreError | None = None
        self._store = store
        self._lease = lease
        self._bus = bus
        self._clock = clock
        self._ended: list[EndedRun] = []
        self._write_by = 0.0
        self._reported: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._reported is not None

    @property
    def pending(self) -> int:
        """Endings that are not written yet."""
        return len(self._ended)

    @property
    def seconds_to_write(self) -> float | None:
        """For how many seconds they may wait; None where there are none."""
        return self._write_by - self._clock.monotonic() if self._ended else None

    @property
    def must_write(self) -> bool:
        """Whether they should wait no longer."""
        return bool(self._ended) and self._clock.monotonic() >= self._write_by

    def has(self, run_id: str) -> bool:
        """Whether a run has ended, and that is not written yet. From any thread."""
        return any(ended.ending.run_id == run_id for ended in list(self._ended))

    def end(self, ended: EndedRun) -> None:
        """Keep an ending for the next ``flush``."""
        if not self._ended:
            self._write_by = self._clock.monotonic() + _ENDING_WAITS_S
        self._ended.append(ended)

    def flush(self) -> bool:
        """Write the endings and publish them; False where they cannot be written now."""
        if not self._ended:
            return True
        try:
            accepted = self._store.finish([ended.ending for ended in self._ended])
        except StoreError as error:
            self._failed(error)
            return False
        written, self._ended = self._ended, []
        self.recorded += len(written)
        self._recovered()
        finished: list[tuple[str, EndedRun | Run]] = []
        for ended, was_accepted in zip(written, accepted, strict=True):
            recorded = ended if was_accepted else self._as_recorded(ended.run)
            finished.append((ended.ending.run_id, recorded))
            if self._bus.has_listeners:
                run = recorded.run if isinstance(recorded, EndedRun) else recorded
                self._bus.publish(RunFinished(run, ended.retry))
        self.finished.add(finished)
        return True

    def _as_recorded(self, run: Run) -> Run:
        """For an ending that was not accepted: another process declared this one dead and recorded the run as lost,
        or the store was replaced and does not know the run."""
        try:
            kept = self._store.run(run.id)
        except StoreError:
            kept = None
        if kept is None:
            self._bus.publish(EndNotRecorded(run))
        return kept or run

    def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome] | None:
        """Claim runs; None where the store cannot be written, so that nothing starts.

        What has ended is written first where it is due, or where a claim would find the unfinished run in its way.
        """
        if self._must_precede(claims) and not self.flush():
            return None
        try:
            outcomes = self._store.claim(self._lease.owner, claims)
        except StoreError as error:
            self._failed(error)
            return None
        self._recovered()
        return outcomes

    def _must_precede(self, claims: Sequence[Claim]) -> bool:
        if self.is_failing or self.must_write:
            return True
        ended = {ended.ending.job_id for ended in self._ended}
        return bool(ended) and any(claim.group is not None or claim.job_id in ended for claim in claims)

    def refused(self, claims: Sequence[Claim]) -> Mapping[str, ClaimOutcome]:
        """See ``RunStore.refused``; nothing where the store cannot be read."""
        try:
            return self._store.refused(claims)
        except StoreError as error:
            self._failed(error)
            return {}

    def _failed(self, error: StoreError) -> None:
        if isinstance(error, UnknownToStoreError):
            self._lease.lose()
        else:
            self.report(error)

    def report(self, error: StoreError) -> None:
        """Publish that the store cannot be used, once a minute at most."""
        self.error = error
        now = self._clock.now()
        if self._reported is None or now - self._reported >= _REPORT_AGAIN:
            self._reported = now
            self._bus.publish(StoreUnavailable(now, str(error)))

    def not_written(self) -> StoreError:
        """The error for endings that could not be written in time; of the same kind as the last error."""
        kind = type(self.error or StoreError(""))
        return kind(f"the end of {counted(self.pending, 'run')} could not be written to {self._store.place}")

    def _recovered(self) -> None:
        if self._reported is not None:
            self._reported = None
            self._bus.publish(StoreRecovered(self._clock.now()))
