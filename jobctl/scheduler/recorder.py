"""Writes how runs ended; keeps what cannot be written now until it can."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, EndNotRecorded, RunFinished, StoreRecovered, StoreTrouble
from jobctl.scheduler.lease import Lease
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, ClaimOutcome, Ending

_TELL_AGAIN = timedelta(minutes=1)


class Recorder:
    """The loop's way to the run store: one transaction for many endings, one for many claims.

    A store that is locked or full stops starts, not the loop: endings are kept, and nothing is
    claimed until they are written.
    """

    def __init__(
        self, store: RunStore, lease: Lease, bus: Bus, clock: Clock, *, ended: Callable[[RunFinished], None]
    ) -> None:
        """Begin.

        Args:
            ended: told of each run once its ending is written.
        """
        self._store = store
        self._lease = lease
        self._bus = bus
        self._clock = clock
        self._ended = ended
        self._endings: list[Ending] = []
        self._events: list[RunFinished] = []
        self._oldest = 0.0
        self._told: datetime | None = None
        self.problem: StoreError | None = None

    @property
    def in_trouble(self) -> bool:
        """Whether the last write failed."""
        return self._told is not None

    @property
    def pending(self) -> int:
        """Endings that are not written yet."""
        return len(self._endings)

    @property
    def held(self) -> float:
        """For how many seconds the oldest of them has waited."""
        return self._clock.monotonic() - self._oldest if self._endings else 0.0

    def has(self, run_id: str) -> bool:
        """Whether a run has ended, and that is not written yet. From any thread."""
        return any(event.run.id == run_id for event in list(self._events))

    def end(self, ending: Ending, event: RunFinished) -> None:
        """Keep an ending for the next ``flush``, and what is to be told then."""
        if not self._endings:
            self._oldest = self._clock.monotonic()
        self._endings.append(ending)
        self._events.append(event)

    def flush(self) -> bool:
        """Write what waits; False where it has to wait on."""
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
            self._ended(event if was_accepted else self._as_recorded(event))
        return True

    def _as_recorded(self, event: RunFinished) -> RunFinished:
        """A run whose end was not accepted: another process has declared this one dead, and recorded it as lost; or
        the store was lost, and does not know it."""
        try:
            kept = self._store.run(event.run.id)
        except StoreError:
            kept = None
        if kept is None:
            self._bus.publish(EndNotRecorded(event.run))
            return event
        return replace(event, run=kept)

    def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome] | None:
        """Try to start runs; None where the store cannot be written, and so nothing starts."""
        if not self.flush():
            return None
        try:
            answers = self._store.claim(self._lease.owner, claims)
        except StoreError as error:
            self._failed(error)
            return None
        self._recovered()
        return answers

    def _failed(self, error: StoreError) -> None:
        if isinstance(error, UnknownToStoreError):
            self._lease.lose()
        else:
            self.trouble(error)

    def trouble(self, error: StoreError) -> None:
        """Report that the store cannot be used, once a minute at most."""
        self.problem = error
        now = self._clock.now()
        if self._told is None or now - self._told >= _TELL_AGAIN:
            self._told = now
            self._bus.publish(StoreTrouble(now, str(error)))

    def _recovered(self) -> None:
        if self._told is not None:
            self._told = None
            self._bus.publish(StoreRecovered(self._clock.now()))
