"""The registration of this process in the run store, and the lease that its heartbeats keep."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.errors import JobctlError, StoreError
from jobctl.scheduler.process_identity import ProcessFile, this_process
from jobctl.store.base import RunStore
from jobctl.store.records import LEASE_LIMIT, Owner

HEARTBEAT_S = 10.0
_RETRY_S = 1.0
_WATCH_S = 0.5
_LONGEST_GAP_S = 2.5 * HEARTBEAT_S


class Lease:
    """Shows other processes that this one is alive, and notices when they may assume that it is dead.

    A thread sends heartbeats: to the process's own file, and to a store that several machines share. A process is
    leased where others cannot check by themselves that it lives: with such a store, and where processes of other
    PID namespaces use the same file. Then a second thread, which only reads the clock, ends the runs as soon as the
    last confirmed heartbeat is ``LEASE_LIMIT`` old, whatever hangs.

    Args:
        kind: as in ``Owner``.
        extend_runs: called with the time, in seconds of ``boottime``, until which runs may go on; None: without limit.
        end_runs: ends every run of this process at once; called from any thread.
    """

    def __init__(
        self,
        store: RunStore,
        kind: str,
        state: Path,
        clock: Clock,
        *,
        extend_runs: Callable[[float | None], None],
        end_runs: Callable[[], None],
    ) -> None:
        self._store = store
        self._kind = kind
        self._state = state
        self._clock = clock
        self._extend_runs = extend_runs
        self._end_runs = end_runs
        self._file: ProcessFile | None = None
        self._owner: Owner | None = None
        self._confirmed = clock.boottime()
        self._healthy_since = self._confirmed
        self._leased = store.shared
        self._announced: str | None = None
        self._lost = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def owner(self) -> Owner:
        """This process as it is registered."""
        if self._owner is None:
            raise StoreError("this process is not registered in the run store")
        return self._owner

    @property
    def lost(self) -> bool:
        """Whether the registration has ended: nothing may start before ``sign_on``."""
        return self._lost

    @property
    def holds(self) -> bool:
        """Whether runs may start and go on."""
        return not self._lost and not self._expired()

    def deadline(self) -> float | None:
        """Until when runs may go on, in seconds of ``boottime``; None: without limit."""
        return self._confirmed + LEASE_LIMIT.total_seconds() if self._leased else None

    def healthy_since(self) -> float:
        """Since when, in seconds of ``boottime``, heartbeats have come through without a gap; now, during one."""
        now = self._clock.boottime()
        return now if now - self._confirmed > _LONGEST_GAP_S else self._healthy_since

    def sign_on(self) -> Owner:
        """Register this process under a new id.

        Raises:
            StoreError: the store, or the file of this process, cannot be written.
        """
        began = self._clock.boottime()
        owner = this_process(self._kind, self._clock.now(), leased=self._leased)
        file = self._make_file(owner)
        try:
            self._store.register_process(owner)
        except BaseException:
            if file is not None:
                file.close()
            raise
        former, self._file, self._owner = self._file, file, owner
        self._announced = owner.id if owner.leased else None
        if former is not None:
            former.close()
        self._confirm(began)
        self._lost = False
        return owner

    def start(self) -> None:
        """Begin to send heartbeats.

        Raises:
            NoThreadError: the system allows no more threads.
        """
        self._begin("jobctl-heartbeat", self._send_heartbeats)
        if self._leased:
            self._begin("jobctl-lease", self._watch)

    def stop(self) -> None:
        """End the threads; the registration stays."""
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def sign_off(self) -> None:
        """End the registration, as far as the store can be written, and release the lock. Idempotent."""
        self.stop()
        owner, self._owner = self._owner, None
        if owner is not None:
            with suppress(StoreError):
                self._store.sign_off(owner.id, self._clock.now())
        if self._file is not None:
            self._file.close()
            self._file = None

    def lose(self) -> None:
        """The store does not count this process as alive: end its runs. Safe in any thread."""
        with self._lock:
            first, self._lost = not self._lost, True
        if first:
            self._end_runs()

    def _begin(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread_start.start(thread)
        self._threads.append(thread)

    def _make_file(self, owner: Owner) -> ProcessFile | None:
        try:
            return ProcessFile(self._state, owner.id)
        except StoreError:
            if not self._store.shared:
                raise
            return None  # the counter in the store is enough

    # Heartbeats

    def _send_heartbeats(self) -> None:
        rest = HEARTBEAT_S
        while not self._stop.wait(rest):
            rest = HEARTBEAT_S
            owner = self.owner
            if self._lost:
                continue
            try:
                began = self._clock.boottime()
                alive = self._heartbeat(owner)
            except JobctlError:  # the store, or a system that allows no further thread
                rest = _RETRY_S
                continue
            if alive:
                self._confirm(began)
            elif owner is self._owner:
                self.lose()

    def _heartbeat(self, owner: Owner) -> bool:
        """Send a heartbeat; False where this process is fenced."""
        if self._store.shared:
            with suppress(StoreError):
                if self._file is not None:
                    self._file.heartbeat()
            return self._store.heartbeat(owner.id)
        if self._file is not None:
            self._file.heartbeat()
        if self._expired():
            # others may be about to declare this process dead: the store decides which came first
            return self._store.heartbeat(owner.id)
        with suppress(StoreError):  # while the store cannot be read, no process can be declared dead in it
            if self._announced != owner.id and (
                self._leased
                or any(other.boot != owner.boot for other in self._store.owners() if not other.ended)
            ):
                self._become_leased(owner)
            return self._store.is_registered(owner.id)
        return True

    def _become_leased(self, owner: Owner) -> None:
        """Another PID namespace uses the store: it cannot see whether this process is frozen.

        Its runs end by themselves from now on; others may read that only afterwards.
        """
        if not self._leased:
            self._leased = True
            self._extend_runs(self.deadline())
            self._begin("jobctl-lease", self._watch)
        self._store.set_leased(owner.id)
        self._announced = owner.id

    def _confirm(self, began: float) -> None:
        if began - self._confirmed > _LONGEST_GAP_S:
            self._healthy_since = began
        self._confirmed = began
        self._extend_runs(self.deadline())

    # The watch: nothing in it waits for anything but the clock

    def _expired(self) -> bool:
        deadline = self.deadline()
        return deadline is not None and self._clock.boottime() > deadline

    def _watch(self) -> None:
        over = False
        while not self._stop.wait(_WATCH_S):
            before, over = over, self._expired()
            if over and not before:
                self._end_runs()
