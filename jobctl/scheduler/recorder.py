"""Records how runs ended; keeps what cannot be written now until it can."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, EndNotRecorded, RunFinished, StoreRecovered, StoreUnavailable
from jobctl.model import Run
from jobctl.scheduler.lease import Lease
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, ClaimOutcome, Ending
from jobctl.text import counted

_REPORT_AGAIN = timedelta(minutes=1)
_KEPT = 1000


@dataclass(slots=True)
class FinishedRuns:
    """The newest runs of this process whose end is recorded. Thread-safe."""

    _runs: dict[str, Run] = field(default_factory=dict)
    _order: deque[str] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def add(self, run: Run) -> None:
        """Keep a run; the oldest beyond 1,000 is forgotten."""
        with self._changed:
            self._runs[run.id] = run
            self._order.append(run.id)
            if len(self._order) > _KEPT:
                self._runs.pop(self._order.popleft(), None)
            self._changed.notify_all()

    def wait(self, run_id: str, timeout: float | None) -> Run | None:
        """Wait for a run; None after ``timeout`` seconds or ``close``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or run_id in self._runs, timeout)
            return self._runs.get(run_id)

    def close(self) -> None:
        """Nothing more will end here: release every waiting thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Recorder:
    """Writes many endings in one transaction, and makes many claims in one.

    While the store is locked or full, no run starts, but the scheduler goes on: endings are kept, and nothing is
    claimed until they are written.

    Attributes:
        finished: runs whose end is recorded.
        error: why the last write failed.
    """

    def __init__(self, store: RunStore, lease: Lease, bus: Bus, clock: Clock) -> None:
        self.finished = FinishedRuns()
        self.error: StoreError | None = None
        self._store = store
        self._lease = lease
        self._bus = bus
        self._clock = clock
        self._endings: list[Ending] = []
        self._events: list[RunFinished] = []
        self._oldest = 0.0
        self._reported: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._reported is not None

    @property
    def pending(self) -> int:
        """Endings that are not written yet."""
        return len(self._endings)

    @property
    def oldest_age(self) -> float:
        """For how many seconds the oldest of them has waited."""
        return self._clock.monotonic() - self._oldest if self._endings else 0.0

    def has(self, run_id: str) -> bool:
        """Whether a run has ended, and that is not written yet. From any thread."""
        return any(event.run.id == run_id for event in list(self._events))

    def end(self, ending: Ending, event: RunFinished) -> None:
        """Keep an ending for the next ``flush``, and the event to publish then."""
        if not self._endings:
            self._oldest = self._clock.monotonic()
        self._endings.append(ending)
        self._events.append(event)

    def flush(self) -> bool:
        """Write the endings and publish them; False where they cannot be written now."""
        if not self._endings:
            return True
        try:
            accepted = self._store.finish(self._endings)
        except StoreError as error:
            self._failed(error)
            return False
        written, self._events = self._events, []
        self._endings.clear()
        self._recovered()
        for event, was_accepted in zip(written, accepted, strict=True):
            published = event if was_accepted else self._as_recorded(event)
            self._bus.publish(published)
            self.finished.add(published.run)
        return True

    def _as_recorded(self, event: RunFinished) -> RunFinished:
        """For an ending that was not accepted: another process declared this one dead and recorded the run as lost,
        or the store was replaced and does not know the run."""
        try:
            kept = self._store.run(event.run.id)
        except StoreError:
            kept = None
        if kept is None:
            self._bus.publish(EndNotRecorded(event.run))
            return event
        return replace(event, run=kept)

    def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome] | None:
        """Claim runs; None where the store cannot be written, so that nothing starts."""
        if not self.flush():
            return None
        try:
            outcomes = self._store.claim(self._lease.owner, claims)
        except StoreError as error:
            self._failed(error)
            return None
        self._recovered()
        return outcomes

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
