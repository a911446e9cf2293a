"""Notifies when a job fails, recovers or misses slots, without delaying any job."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from jobctl import threads
from jobctl.catalogue.notify_settings import About, Notify, resolved
from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, ServiceError
from jobctl.events import Bus, Event, NotTold, RunFinished, RunStarted, SchedulerStarted, SlotsMissed
from jobctl.model import Job, Run, RunStatus
from jobctl.project import ProjectContext
from jobctl.store.base import RunStore
from jobctl.subscribers.channels import Channel, Step, channels, check_in_url, request
from jobctl.subscribers.notification import ENDED, News, of_run, of_slots

_REST_S = 30.0
Work = Callable[[], None]
Key = tuple[str, str]
"""Whom the work tells, and of which job."""


class Lane:
    """Does what it is given, one after the other. Its thread ends when there is nothing to do for a while.

    Args:
        name: of the thread.
        most: how much may wait; beyond that the oldest is dropped.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = f"jobctl-tell-{name}"
        self._work: deque[tuple[Key, Work]] = deque(maxlen=most)
        self._changed = threading.Condition()
        self._now: Key | None = None
        self._alive = False

    def put(self, key: Key, work: Work) -> None:
        """Do it after what waits; returns at once. It must not raise.

        Where the system allows no more threads, it waits until the next call.
        """
        with self._changed:
            self._work.append((key, work))
            self._changed.notify_all()
            if not self._alive:
                with suppress(threads.NoThreadError):
                    threads.start(threading.Thread(target=self._run, name=self._name, daemon=True))
                    self._alive = True

    def drain(self, timeout: float) -> set[Key]:
        """Wait until all is done; what is not, after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._work and self._now is None, timeout)
            return {key for key, _ in self._work} | ({self._now} if self._now else set())

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._work), _REST_S):
                    self._alive = False
                    return
                self._now, work = self._work.popleft()
            try:
                work()
            finally:
                with self._changed:
                    self._now = None
                    self._changed.notify_all()


class Lanes:
    """Lanes by name, made when they are first needed. From any thread."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()

    def put(self, name: str, key: Key, work: Work, most: int) -> None:
        """Do it in the lane of this name."""
        with self._lock:
            lane = self._lanes.setdefault(name, Lane(name, most))
        lane.put(key, work)

    def drain(self, remaining: Callable[[], float]) -> set[Key]:
        """Wait until all is done, or until no seconds remain; what is not done then."""
        return {key for lane in list(self._lanes.values()) for key in lane.drain(max(0.0, remaining()))}


DRAIN_S = 15.0
PAUSES_S = (10.0, 60.0, 300.0)
"""Between tries at a receiver that cannot be told; each try asks a busy one four times by itself."""

_MOST_NEWS = 10_000
_MOST_CHECK_INS = 4
"""Of one job: what is older says nothing any more."""


class _Known(NamedTuple):
    """A job as people know it, and its monitor."""

    name: str
    check_in: str | None


class _Parcel:
    """News on its way to so many channels."""

    def __init__(self, news: News, left: int) -> None:
        self.news = news
        self.left = left


class Notifier:
    """Subscribed to ``bus`` until it is closed. All but ``close`` returns at once.

    That people know of a job's failure is kept in the run store, once a receiver has taken it. So neither a
    restart nor another process tells it again, and what nobody took is told at the next failure or start.

    Args:
        pauses: between tries, in seconds.
    """

    def __init__(
        self,
        bus: Bus,
        store: RunStore,
        notify: Notify,
        jobs: Iterable[Job],
        project: ProjectContext,
        *,
        pauses: Sequence[float] = PAUSES_S,
    ) -> None:
        self._bus = bus
        self._store = store
        self._project = project
        self._pauses = pauses
        self._lanes = Lanes()
        self._closing = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._running: dict[str, _Known] = {}
        self._missed: dict[str, int] = {}
        self._newest: dict[str, _Parcel] = {}
        self.use(notify, jobs)
        self._unsubscribe = bus.subscribe(self._hear)

    def use(self, notify: Notify, jobs: Iterable[Job]) -> None:
        """Tell by these settings from now on; of runs that are on, as they began.

        Raises:
            ConfigurationError: the variable of a URL holds none.
        """
        environment = self._project.environment
        known = {
            job.id: _Known(job.name, job.check_in and resolved(job.check_in, environment, job.origin))
            for job in jobs
        }
        self._channels = list(channels(notify, self._project))
        self._on: Sequence[About] = notify.on
        self._known: Mapping[str, _Known] = known

    def close(self, timeout: float = DRAIN_S) -> None:
        """Hear no more. What waits is tried once, for ``timeout`` seconds at most; Ctrl-C ends that."""
        self._unsubscribe()
        self._closing.set()
        clock = SystemClock()
        deadline = clock.monotonic() + timeout
        with suppress(KeyboardInterrupt):
            for _ in range(2):  # the lane that looks fills the others
                self._lanes.drain(lambda: deadline - clock.monotonic())
        for label, job_id in sorted(self._lanes.drain(lambda: 0.0)):
            self._not_told(job_id, label, ServiceError("it had not answered when jobctl ended"))
        self._closed = True
        for channel in self._channels:
            channel.abandon()

    # In the publisher's thread

    def _hear(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._began(event.run)
        elif isinstance(event, RunFinished) and event.run.status in ENDED:
            self._ended(event.run)
        elif isinstance(event, SlotsMissed):
            self._slots_missed(event)
        elif isinstance(event, SchedulerStarted) and self._channels:
            self._find_out("", self._untold)

    def _began(self, run: Run) -> None:
        known = self._known.get(run.job_id)
        if known is not None:
            self._running[run.id] = known
            self._check_in(run, known, Step.START)

    def _ended(self, run: Run) -> None:
        known = self._running.pop(run.id, None) or self._known.get(run.job_id)
        missed = self._missed.get(run.job_id)
        if missed is not None:
            self._missed[run.job_id] = missed - 1
            if not self._missed[run.job_id]:
                del self._missed[run.job_id]
        if known is None:
            return
        self._check_in(run, known, Step.SUCCESS if run.status is RunStatus.COMPLETED else Step.FAILURE)
        if self._channels:
            self._find_out(run.job_id, lambda: self._look_at(run, known.name))

    def _slots_missed(self, event: SlotsMissed) -> None:
        """Told at the first miss; again only after a run before which none was missed."""
        known = self._known.get(event.job_id)
        told = event.job_id in self._missed
        self._missed[event.job_id] = 2
        if known is not None and not told and self._channels:
            self._find_out(event.job_id, lambda: self._tell(of_slots(event, known.name)))

    def _check_in(self, run: Run, known: _Known, step: Step) -> None:
        if known.check_in is not None:
            label = f"check-in {urlsplit(known.check_in).hostname}"
            ask = partial(request, check_in_url(known.check_in, step, run.id))
            self._put(f"{label} {run.job_id}", label, run.job_id, ask, most=_MOST_CHECK_INS)

    def _find_out(self, job_id: str, look: Work) -> None:
        """The run store is asked in a thread of its own."""
        self._put("news", "anybody", job_id, look)

    # In the lanes

    def _look_at(self, run: Run, name: str) -> None:
        failing = run.status is RunStatus.FAILED
        on_its_way = self._newest.get(run.job_id)  # read first: it is removed after the store is written
        record = self._store.job(run.job_id)
        told = record is not None and record.failure_notified
        if on_its_way is not None:
            told = on_its_way.news.about is About.FAILURE
        if told is not failing:
            self._tell(of_run(run, name, self._store))

    def _untold(self) -> None:
        """Jobs that failed while nobody was there to tell: a look had settled what a dead process left."""
        for record in self._store.jobs().values():
            known = self._known.get(record.id)
            if known and record.last is not None and record.last.status is RunStatus.FAILED:
                self._look_at(record.last, known.name)

    def _tell(self, news: News) -> None:
        told = news.about in self._on
        parcel = _Parcel(news, len(self._channels))
        if news.about is not About.MISSED:
            self._newest[news.job_id] = parcel
            if not told:  # nobody wants to know of this change: that is as good as told
                self._arrived(parcel)
                del self._newest[news.job_id]
        for channel in self._channels if told else ():
            self._put(channel.label, channel.label, news.job_id, partial(self._hand, channel, parcel))

    def _hand(self, channel: Channel, parcel: _Parcel) -> None:
        """Try again and again, once more when the end begins; raises after the last try."""
        pauses = iter(self._pauses)
        try:
            while True:
                is_last = self._closing.is_set()  # set during this try, it is not: another follows
                try:
                    channel.tell(parcel.news)
                    return self._arrived(parcel)
                except ServiceError:
                    pause = None if is_last else next(pauses, None)
                    if pause is None:
                        raise
                    self._closing.wait(pause)
        finally:
            with self._lock:
                parcel.left -= 1
                if not parcel.left and self._newest.get(parcel.news.job_id) is parcel:
                    del self._newest[parcel.news.job_id]

    def _arrived(self, parcel: _Parcel) -> None:
        """Somebody knows it now. A slow receiver of older news changes nothing."""
        news = parcel.news
        if self._newest.get(news.job_id) is parcel:
            self._store.set_failure_notified(news.job_id, failing=news.about is About.FAILURE)

    def _put(self, lane: str, label: str, job_id: str, tell: Work, *, most: int = _MOST_NEWS) -> None:
        def guarded() -> None:
            try:
                tell()
            except Exception as error:  # what nobody thought of must not end the lane
                self._not_told(job_id, label, error)

        self._lanes.put(lane, (label, job_id), guarded, most)

    def _not_told(self, job_id: str, whom: str, error: Exception) -> None:
        if not self._closed:
            problem = str(error) if isinstance(error, JobctlError) else type(error).__name__
            self._bus.publish(NotTold(SystemClock().now(), job_id or None, whom, problem))
