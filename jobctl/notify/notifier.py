"""Listens to a manager's events, and tells: beside the jobs, never in their way."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError
from jobctl.events import Bus, Event, NotTold, RunFinished, RunStarted, SlotsMissed
from jobctl.model import Job, RunStatus
from jobctl.notify.channels import Channel, channels, request
from jobctl.notify.checkin import Step, check_in_url
from jobctl.notify.news import News, of_run, of_slots
from jobctl.notify.settings import Notify, resolved
from jobctl.runs.store import RunStore
from jobctl.settings.environment import Environment

DRAIN_S = 15.0
_MOST_WAITING = 1000
Work = Callable[[], None]


class Place(NamedTuple):
    """What a notifier needs of the project."""

    environment: Environment
    project: Path
    outbox: Path


class Lane:
    """One thread for one receiver: a slow one holds up nobody else. What is over 1,000 deep is dropped."""

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
    """Subscribed to ``bus`` until it is closed."""

    def __init__(self, bus: Bus, store: RunStore, notify: Notify, jobs: Iterable[Job], place: Place) -> None:
        self._bus = bus
        self._store = store
        self._place = place
        self._lanes: dict[str, Lane] = {}
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
        """Hear no more; what waits is told first, for ``timeout`` seconds at most."""
        self._unsubscribe()
        clock = SystemClock()
        deadline = clock.monotonic() + timeout
        for lane in [*self._lanes.values(), *self._lanes.values()]:  # the first one fills the others
            lane.drain(max(0.0, deadline - clock.monotonic()))

    def _hear(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._check_in(event.run.job_id, Step.START, event.run.id)
        elif isinstance(event, RunFinished) and event.run.status is not RunStatus.SKIPPED:
            done = event.run.status is RunStatus.COMPLETED
            self._missed.discard(event.run.job_id)
            self._check_in(event.run.job_id, Step.SUCCESS if done else Step.FAILURE, event.run.id)
            if self._channels:
                self._lane("news").put(lambda: self._look(event))
        elif isinstance(event, SlotsMissed) and event.job_id not in self._missed and self._channels:
            self._missed.add(event.job_id)
            self._tell(of_slots(event, self._name))

    def _name(self, job_id: str) -> str:
        job = self._jobs.get(job_id)
        return job.name if job else job_id

    def _look(self, event: RunFinished) -> None:
        try:
            self._tell(of_run(event, self._store, self._name))
        except JobctlError as error:
            self._not_told(event.run.job_id, "anybody", error)

    def _tell(self, news: News | None) -> None:
        if news is None or news.about not in self._notify.on:
            return
        for channel in self._channels:
            self._lane(channel.label).put(lambda channel=channel: self._try(channel, news))  # type: ignore[misc]

    def _try(self, channel: Channel, news: News) -> None:
        try:
            channel.tell(news)
        except JobctlError as error:
            self._not_told(news.job_id, channel.label, error)

    def _check_in(self, job_id: str, step: Step, run_id: str) -> None:
        url = self._check_ins.get(job_id)
        if url is None:
            return
        host = str(urlsplit(url).hostname)
        asked = check_in_url(url, step, run_id)
        self._lane(f"check-in {host}").put(lambda: self._ping(asked, job_id, host))

    def _ping(self, url: str, job_id: str, host: str) -> None:
        try:
            request(url)
        except JobctlError as error:
            self._not_told(job_id, f"check-in {host}", error)

    def _not_told(self, job_id: str, whom: str, error: JobctlError) -> None:
        self._bus.publish(NotTold(SystemClock().now(), job_id, whom, str(error)))

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = Lane(name)
        return self._lanes[name]
