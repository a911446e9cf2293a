"""Notifies when a job fails, recovers or misses slots, and checks in with monitors. It never delays a job."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from jobctl import thread_start
from jobctl.catalogue.notify_settings import NotificationKind, Notify
from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, ServiceError, StoreError
from jobctl.events import (
    Bus,
    Event,
    JobLate,
    JobOnTime,
    NotificationFailed,
    RunFinished,
    RunStarted,
    SchedulerStarted,
    SlotsMissed,
)
from jobctl.model import Job, Run, RunStatus, SentNotification
from jobctl.project import ProjectContext
from jobctl.store.base import RunStore
from jobctl.subscribers.check_ins import CheckIn, Monitor
from jobctl.subscribers.monitor_services import monitor_of
from jobctl.subscribers.notification import FINAL, Notification, of_lateness, of_run, of_slots
from jobctl.subscribers.notification_channels import Channel, channels

CLOSE_S = 15.0
_RECORD_S = 1.0
"""For the run store, to record at the end what was not delivered."""
PAUSES_S = (10.0, 60.0, 300.0)
"""Between attempts at a receiver; each attempt sends a request up to four times."""
_IDLE_S = 30.0
_MAX_NOTIFICATIONS = 10_000
_KEPT_STATES = (NotificationKind.FAILURE, NotificationKind.RECOVERY)
"""What the run store keeps people to know, once a receiver has accepted it."""
_MAX_CHECK_INS = 4
"""For one job: older check-ins are out of date."""

Work = Callable[[], None]


class Recipient(NamedTuple):
    """Who receives the result of a queued task, and about which job.

    Attributes:
        notification: what the run store is to keep of it; None for other tasks.
    """

    label: str
    job_id: str
    notification: SentNotification | None = None


_RUN_STORE = Recipient("run store", "")


class Followed(NamedTuple):
    """A job, and where its check-ins go."""

    job: Job
    monitor: Monitor | None


class DeliveryQueues:
    """Queues by name, each with a thread, so that a slow receiver delays no other. Any thread may use them.

    A thread ends when its queue has been empty for 30 seconds.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: dict[str, deque[tuple[Recipient, Work]]] = {}
        self._current: dict[str, Recipient] = {}
        self._alive: set[str] = set()

    def put(self, name: str, recipient: Recipient, work: Work, limit: int) -> None:
        """Add a task, which must not raise, to a queue; returns at once.

        If the system allows no further thread, the task waits until the next call.

        Args:
            limit: the length of the queue; beyond it the oldest task is dropped.
        """
        with self._changed:
            self._queues.setdefault(name, deque(maxlen=limit)).append((recipient, work))
            self._changed.notify_all()
            if name not in self._alive:
                thread = threading.Thread(
                    target=self._run, args=(name,), name=f"jobctl-notify-{name}", daemon=True
                )
                with suppress(thread_start.NoThreadError):
                    thread_start.start(thread)
                    self._alive.add(name)

    def drain(self, timeout: float) -> set[Recipient]:
        """Wait until all queues are empty; returns who was not served within ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._current and not any(self._queues.values()), timeout)
            queued = {recipient for queue in self._queues.values() for recipient, _ in queue}
            return queued | set(self._current.values())

    def _run(self, name: str) -> None:
        queue = self._queues[name]
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(queue), _IDLE_S):
                    self._alive.discard(name)
                    return
                self._current[name], work = queue.popleft()
            try:
                work()
            finally:
                with self._changed:
                    del self._current[name]
                    self._changed.notify_all()


class _Delivery:
    """A notification, and the number of channels that have not finished with it."""

    def __init__(self, notification: Notification, pending: int) -> None:
        self.notification = notification
        self.pending = pending
        self.is_accepted = False


class Notifier:
    """Subscribed to ``bus`` until it is closed. All methods but ``close`` return at once.

    The run store keeps whether people were notified of a job's failure: once one receiver has accepted it. So neither
    a restart nor another process repeats it, and what no receiver accepted is sent at the next failure or start.
    It also keeps each notification. A queue of its own writes that, so a locked store delays no receiver.

    Args:
        pauses: between attempts, in seconds.
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
        self._queues = DeliveryQueues()
        self._closing = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._jobs: Mapping[str, Followed] = {}
        self._running: dict[str, Followed] = {}
        self._is_scheduling = False
        self._missed: dict[str, int] = {}
        self._newest: dict[str, _Delivery] = {}
        self.use(notify, jobs)
        self._unsubscribe = bus.subscribe(self._on_event)

    def use(self, notify: Notify, jobs: Iterable[Job]) -> None:
        """Use other settings. A run in progress keeps those that it started with.

        Raises:
            ConfigurationError: a variable that should hold a URL or a key does not.
        """
        known = self._jobs
        followed = {
            job.id: known[job.id]
            if job.id in known and known[job.id].job == job
            else Followed(job, monitor_of(job, self._project, self._store))
            for job in jobs
        }
        self._channels = list(channels(notify, self._project))
        self._kinds: Sequence[NotificationKind] = notify.on
        self._jobs = followed
        if self._is_scheduling:
            self._update_monitors(known)

    def close(self, timeout: float = CLOSE_S) -> None:
        """Unsubscribe. What is queued is attempted once more, for at most ``timeout`` seconds; Ctrl-C ends that."""
        self._unsubscribe()
        self._closing.set()
        with suppress(KeyboardInterrupt):
            self._queues.drain(timeout)
        left = sorted(self._queues.drain(0) - {_RUN_STORE}, key=lambda recipient: recipient[:2])
        unanswered = ServiceError("it had not answered when jobctl ended")
        for recipient in left:
            self._report_failure(recipient.label, recipient.job_id, unanswered)
        self._closed = True
        lost = [each.notification for each in left if each.notification is not None]
        if lost:
            self._enqueue_record(lambda: self._record(lost, unanswered))
            with suppress(KeyboardInterrupt):
                self._queues.drain(_RECORD_S)
        for channel in self._channels:
            channel.abort()

    # In the publisher's thread

    def _on_event(self, event: Event) -> None:
        match event:
            case RunStarted(run=run):
                followed = self._jobs.get(run.job_id)
                if followed is not None:
                    self._running[run.id] = followed
                    self._check_in(run, followed.monitor, CheckIn.START)
            case RunFinished(run=run) if run.status in FINAL:
                self._on_finished(run)
            case RunFinished(run=run):
                self._running.pop(run.id, None)
            case SlotsMissed():
                self._on_missed(event)
            case JobLate() | JobOnTime():
                followed = self._jobs.get(event.job_id)
                if followed is not None and self._channels:
                    late = of_lateness(event, followed.job.name)
                    self._enqueue_check(event.job_id, lambda: self._notify(late))
            case SchedulerStarted():
                self._is_scheduling = True
                self._update_monitors({})
                if self._channels:
                    self._enqueue_check("", self._notify_of_earlier_failures)

    def _on_finished(self, run: Run) -> None:
        missed = self._missed.pop(run.job_id, 0)
        if missed > 1:
            self._missed[run.job_id] = missed - 1
        followed = self._running.pop(run.id, None) or self._jobs.get(run.job_id)
        if followed is None:
            return
        job, monitor = followed
        completed = run.status is RunStatus.COMPLETED
        self._check_in(run, monitor, CheckIn.SUCCESS if completed else CheckIn.FAILURE)
        if self._channels:
            self._enqueue_check(run.job_id, lambda: self._notify_if_changed(run, job))

    def _on_missed(self, event: SlotsMissed) -> None:
        """Notify of the first miss, and again only after a run before which no slot was missed."""
        followed = self._jobs.get(event.job_id)
        is_known = event.job_id in self._missed
        self._missed[event.job_id] = 2
        if followed is not None and not is_known and self._channels:
            slots = of_slots(event, followed.job.name)
            self._enqueue_check(event.job_id, lambda: self._notify(slots))

    def _check_in(self, run: Run, monitor: Monitor | None, state: CheckIn) -> None:
        if monitor is not None:
            label = f"check-in {monitor.host}"
            work = partial(monitor.check_in, state, run.id)
            self._enqueue(f"{label} {run.job_id}", Recipient(label, run.job_id), work, _MAX_CHECK_INS)

    def _update_monitors(self, known: Mapping[str, Followed]) -> None:
        """Before the first run: else a monitor would raise false alarms by a schedule that is no longer in effect."""
        for job_id, followed in self._jobs.items():
            monitor = followed.monitor
            if monitor is not None and known.get(job_id) is not followed:
                self._enqueue("monitors", Recipient(f"check-in {monitor.host}", job_id), monitor.update)

    def _enqueue_check(self, job_id: str, check: Work) -> None:
        """Read the run store in a thread of its own."""
        self._enqueue("notifications", Recipient("all receivers", job_id), check)

    def _enqueue(self, queue: str, recipient: Recipient, work: Work, limit: int = _MAX_NOTIFICATIONS) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # an unexpected error must not end the thread
                self._report_failure(recipient.label, recipient.job_id, error)

        self._queues.put(queue, recipient, guarded, limit)

    def _enqueue_record(self, write: Work) -> None:
        """Write to the run store in a thread of its own. Its errors are reported by those who record runs."""

        def guarded() -> None:
            with suppress(StoreError):
                write()

        self._queues.put(_RUN_STORE.label, _RUN_STORE, guarded, _MAX_NOTIFICATIONS)

    # In the threads of the queues

    def _notify_if_changed(self, run: Run, job: Job) -> None:
        """Notify if the run's result differs from what people were notified of last."""
        failed = run.status is RunStatus.FAILED
        delivery = self._newest.get(run.job_id)  # before the store: it is removed after the store is written
        try:
            record = self._store.job(run.job_id)
            known = record is not None and record.failure_notified
        except StoreError:
            if not failed:
                raise
            known = False  # a failure may be sent twice, and is never kept back
        if delivery is not None:
            known = delivery.notification.kind is NotificationKind.FAILURE
        if known is not failed:
            self._notify(of_run(run, job.name, self._store))

    def _notify_of_earlier_failures(self) -> None:
        """Notify of jobs that failed while no notifier ran: a command had failed the runs of a dead process."""
        for record in self._store.jobs().values():
            followed = self._jobs.get(record.id)
            if followed and record.last is not None and record.last.status is RunStatus.FAILED:
                self._notify_if_changed(record.last, followed.job)

    def _notify(self, notification: Notification) -> None:
        job_id, is_wanted = notification.job_id, notification.kind in self._kinds
        delivery = _Delivery(notification, len(self._channels) if is_wanted else 1)
        if notification.kind in _KEPT_STATES:
            with self._lock:
                self._newest[job_id] = delivery
        if not is_wanted:  # counts as delivered
            self._enqueue_record(lambda: self._finish(delivery, None, None))
        for channel in self._channels if is_wanted else ():
            recipient = Recipient(channel.label, job_id, _to_keep(notification, channel))
            self._enqueue(channel.label, recipient, partial(self._deliver, channel, delivery, recipient))

    def _deliver(self, channel: Channel, delivery: _Delivery, recipient: Recipient) -> None:
        """Send, with further attempts; a last one follows when ``close`` begins. Raises after the last attempt."""
        failure: Exception | None = None
        try:
            self._send(channel, delivery.notification)
        except Exception as error:
            failure = error
            raise
        finally:
            kept = recipient.notification
            self._enqueue_record(lambda: self._finish(delivery, kept, failure))

    def _send(self, channel: Channel, notification: Notification) -> None:
        pauses = iter(self._pauses)
        while True:
            is_last = self._closing.is_set()  # if it is set during this attempt, another follows
            try:
                return channel.send(notification)
            except ServiceError:
                pause = None if is_last else next(pauses, None)
                if pause is None:
                    raise
                self._closing.wait(pause)

    def _finish(self, delivery: _Delivery, kept: SentNotification | None, failure: Exception | None) -> None:
        """Record what people know now. A slow receiver of an older notification changes nothing of that."""
        job_id, kind = delivery.notification.job_id, delivery.notification.kind
        try:
            delivery.is_accepted |= failure is None
            if failure is None and self._newest.get(job_id) is delivery:
                self._store.set_failure_notified(job_id, failing=kind is NotificationKind.FAILURE)
            if kept is not None and not (failure and self._closed):  # else ``close`` has recorded it
                self._record([kept], failure)
        finally:
            with self._lock:
                delivery.pending -= 1
                is_unknown = not (delivery.pending or delivery.is_accepted)
                if not delivery.pending and self._newest.get(job_id) is delivery:
                    del self._newest[job_id]
            if is_unknown and kind is NotificationKind.LATE:
                self._store.set_late_notified(job_id, None)  # the next check notifies again

    def _record(self, sent: Iterable[SentNotification], failure: Exception | None) -> None:
        mask, now = self._project.environment.mask, SystemClock().now()
        error = None if failure is None else mask(_problem(failure))
        self._store.keep_notifications(
            [replace(each, at=now, receiver=mask(each.receiver), error=error) for each in sent]
        )

    def _report_failure(self, label: str, job_id: str, error: Exception) -> None:
        if not self._closed:
            event = NotificationFailed(SystemClock().now(), job_id or None, label, _problem(error))
            self._bus.publish(event)


def _to_keep(notification: Notification, channel: Channel) -> SentNotification:
    run = notification.run
    return SentNotification(
        notification.at,
        notification.job_id,
        notification.kind.value,
        channel.kind,
        channel.receiver,
        run_id=run.id if run else None,
    )


def _problem(error: Exception) -> str:
    return str(error) if isinstance(error, JobctlError) else type(error).__name__
