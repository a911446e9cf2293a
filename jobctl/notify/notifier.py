"""Listens to a manager's events, and tells: beside the jobs, never in their way."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, ServiceError
from jobctl.events import Bus, Event, NotTold, RunFinished, RunStarted, SchedulerStarted, SlotsMissed
from jobctl.model import Job, RunStatus
from jobctl.notify.channels import channels, request
from jobctl.notify.checkin import Step, check_in_url
from jobctl.notify.news import News, of_run, of_slots, untold
from jobctl.notify.settings import Notify, resolved
from jobctl.runs.store import RunStore
from jobctl.settings.environment import Environment

DRAIN_S = 15.0
PAUSES_S = (10.0, 60.0, 300.0)
"""Between tries at a receiver that cannot be told; each try asks a busy one four times by itself."""

_MOST_WAITING = 10_000
Work = Callable[[], None]


class Place(NamedTuple):
    """What a notifier needs of the project."""

    environment: Environment
    project: Path
    outbox: Path


class Lane:
    """One thread for one receiver: a slow one holds up nobody else. What is over 10,000 deep is dropped."""

    def __init__(self, name: str) -> None:
        self._work: deque[Work] = deque(maxlen=_MOST_WAITING)
        self._changed = threading.Condition()
        self._busy = False
        self._thread = threading.Thread(target=self._run, name=f"jobctl-tell-{name}", daemon=True)
        self._thread.start()

    def put(self, work: Work) -> None:
        """Do it after what waits; returns at once."""
        with self._changed:
            self._work.append(work)
            self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until all is done; False where it is not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._work and not self._busy, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._work))
                work, self._busy = self._work.popleft(), True
            work()
            with self._changed:
                self._busy = False
                self._changed.notify_all()


class Notifier:
    """Subscribed to ``bus`` until it is closed. All but ``close`` returns at once.

    Args:
        pauses: between tries, in seconds.
    """

    def __init__(
        self,
        bus: Bus,
        store: RunStore,
        notify: Notify,
        jobs: Iterable[Job],
        place: Place,
        *,
        pauses: Sequence[float] = PAUSES_S,
    ) -> None:
        self._bus = bus
        self._store = store
        self._place = place
        self._pauses = pauses
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._missed: set[str] = set()
        self.use(notify, jobs)
        self._unsubscribe = bus.subscribe(self._hear)

    def use(self, notify: Notify, jobs: Iterable[Job]) -> None:
        """Tell by these settings from now on.

        Raises:
            ConfigurationError: a URL's variable holds none.
        """
        chosen: Mapping[str, Job] = {job.id: job for job in jobs}
        check_ins = {
            job.id: resolved(job.check_in, self._place.environment)
            for job in chosen.values()
            if job.check_in is not None
        }
        self._channels = list(channels(notify, *self._place))
        self._notify, self._jobs, self._check_ins = notify, chosen, check_ins

    def close(self, timeout: float = DRAIN_S) -> None:
        """Hear no more; what waits is tried once first, for ``timeout`` seconds at most."""
        self._unsubscribe()
        self._closing.set()
        clock = SystemClock()
        deadline = clock.monotonic() + timeout
        for _ in range(2):  # the lane that looks fills the others
            for lane in list(self._lanes.values()):
                lane.drain(max(0.0, deadline - clock.monotonic()))

    def _hear(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._check_in(event.run.job_id, Step.START, event.run.id)
        elif isinstance(event, RunFinished) and event.run.status is not RunStatus.SKIPPED:
            run = event.run
            done = run.status is RunStatus.COMPLETED
            self._missed.discard(run.job_id)
            self._check_in(run.job_id, Step.SUCCESS if done else Step.FAILURE, run.id)
            self._look(run.job_id, lambda: [of_run(run, self._store, self._name)])
        elif isinstance(event, SlotsMissed) and event.job_id not in self._missed:
            self._missed.add(event.job_id)
            self._look(event.job_id, lambda: [of_slots(event, self._name)])
        elif isinstance(event, SchedulerStarted):
            self._look(None, lambda: untold(self._store, self._name))

    def _name(self, job_id: str) -> str | None:
        job = self._jobs.get(job_id)
        return job.name if job else None

    def _look(self, job_id: str | None, found: Callable[[], Iterable[News | None]]) -> None:
        """Find out in a thread of its own what is new, and hand it to every channel."""
        if not self._channels:
            return

        def look() -> None:
            try:
                for news in found():
                    if news is not None and news.about in self._notify.on:
                        self._tell(news)
            except JobctlError as error:
                self._not_told(job_id, "anybody", error)

        self._lane("news").put(look)

    def _tell(self, news: News) -> None:
        for channel in self._channels:
            self._try(channel.label, news.job_id, partial(channel.tell, news), self._pauses)

    def _check_in(self, job_id: str, step: Step, run_id: str) -> None:
        url = self._check_ins.get(job_id)
        if url is not None:
            label = f"check-in {urlsplit(url).hostname}"
            asked = check_in_url(url, step, run_id)
            self._try(label, job_id, partial(request, asked), ())  # one that is late says nothing

    def _try(self, label: str, job_id: str, tell: Work, pauses: Sequence[float]) -> None:
        def try_again_and_again() -> None:
            rest = iter(pauses)
            while True:
                try:
                    return tell()
                except JobctlError as error:
                    pause = None if self._closing.is_set() else next(rest, None)
                    if pause is None or not isinstance(error, ServiceError):
                        return self._not_told(job_id, label, error)
                    self._closing.wait(pause)

        self._lane(label).put(try_again_and_again)

    def _not_told(self, job_id: str | None, whom: str, error: JobctlError) -> None:
        self._bus.publish(NotTold(SystemClock().now(), job_id, whom, str(error)))

    def _lane(self, name: str) -> Lane:
        with self._lock:
            if name not in self._lanes:
                self._lanes[name] = Lane(name)
            return self._lanes[name]
