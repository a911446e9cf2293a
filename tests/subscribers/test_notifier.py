"""The notifier alone: it tries again, and closing it takes a limited time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.catalogue.notify_settings import Notify
from jobctl.events import Bus, Event, NotificationFailed, RunFinished, SchedulerStarted, SlotsMissed
from jobctl.model import Job, RunStatus, Trigger
from jobctl.project import ProjectContext
from jobctl.scheduler.process_identity import this_process
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, Ending, Registration, new_run_id
from jobctl.subscribers.notifier import Notifier
from tests.support.http_server import Reply, http_server
from tests.support.project import until

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
JOBS = (Job("sync", "Sync", None, "work:sync"),)
SECOND_TIME = ("sh", "-c", "test -e tried && touch sent || { touch tried; exit 1; }")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with closing(open_store(tmp_path / "state")) as opened:
        yield opened


def missed(job_id: str = "sync") -> SlotsMissed:
    return SlotsMissed(job_id, 3, NOW - timedelta(minutes=3), NOW, runs_now=False, at=NOW)


def listening(
    folder: Path, store: RunStore, notify: Notify, **more: Any
) -> tuple[Notifier, Bus, list[NotificationFailed]]:
    """A notifier, its bus, and the failures that it publishes."""
    bus = Bus()
    project = ProjectContext.find(folder, {"PATH": "/usr/bin:/bin"})
    notifier = Notifier(bus, store, notify, JOBS, project, **more)
    failures: list[NotificationFailed] = []
    bus.subscribe(lambda event: failures.append(event) if isinstance(event, NotificationFailed) else None)
    return notifier, bus, failures


def failures_of(
    folder: Path, store: RunStore, *events: Event, notify: Notify, pauses: tuple[float, ...]
) -> list[NotificationFailed]:
    """The failed notifications, after all others were delivered."""
    notifier, bus, failures = listening(folder, store, notify, pauses=pauses)
    for event in events:
        bus.publish(event)
    assert notifier._queues.drain(20) == set()
    notifier.close()
    return failures


def test_a_failed_notification_is_tried_again(tmp_path: Path, store: RunStore) -> None:
    assert failures_of(tmp_path, store, missed(), notify=Notify(command=SECOND_TIME), pauses=(0.01,)) == []
    assert (tmp_path / "sent").exists()


def test_the_failure_is_published_after_all_attempts(tmp_path: Path, store: RunStore) -> None:
    (failure,) = failures_of(
        tmp_path, store, missed(), notify=Notify(command=("false",)), pauses=(0.01, 0.01)
    )

    assert (failure.job_id, failure.receiver, failure.problem) == (
        "sync",
        "command false",
        "it exited with code 1",
    )


def test_closing_waits_for_no_pause(tmp_path: Path, store: RunStore) -> None:
    notifier, bus, _ = listening(tmp_path, store, Notify(command=SECOND_TIME), pauses=(3600,))
    bus.publish(missed())
    until((tmp_path / "tried").exists)

    notifier.close()

    assert (tmp_path / "sent").exists()


def test_a_delivery_that_is_on_when_the_end_begins_is_tried_once_more(
    tmp_path: Path, store: RunStore
) -> None:
    wait = "touch tried; until test -e closing; do sleep 0.01; done; exit 1"
    command = ("sh", "-c", f"test -e tried && {{ touch sent; exit 1; }} || {{ {wait}; }}")
    notifier, bus, lost = listening(tmp_path, store, Notify(command=command), pauses=(3600, 3600))
    bus.publish(missed())
    until((tmp_path / "tried").exists)
    ending = threading.Thread(target=notifier.close)
    ending.start()
    until(notifier._closing.is_set)
    (tmp_path / "closing").touch()

    ending.join()

    assert (tmp_path / "sent").exists()
    assert len(lost) == 1


def ran(store: RunStore, *, failed: bool = False) -> RunFinished:
    """A run of the job that has ended, as the store has it."""
    store.register([Registration("sync", "Sync", "", "UTC")], NOW)
    owner = this_process("trigger", NOW)
    store.register_process(owner)
    (answer,) = store.claim(owner, [Claim(new_run_id(), "sync", Trigger.MANUAL, NOW, force=True)])
    assert isinstance(answer, Claimed)
    status = RunStatus.FAILED if failed else RunStatus.COMPLETED
    store.finish(
        [
            Ending(
                answer.run.id,
                answer.run.job_id,
                status,
                NOW,
                NOW,
                timedelta(0),
                error="no luck" if failed else None,
            )
        ]
    )
    ended = store.run(answer.run.id)
    assert ended is not None
    return RunFinished(ended)


def test_misses_are_notified_again_only_after_a_run_without_a_miss(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> sent"))
    late = [event for _ in range(3) for event in (missed(), ran(store))]

    failures_of(tmp_path, store, *late, ran(store), missed(), notify=count, pauses=())

    assert (tmp_path / "sent").read_text().split() == ["missed", "missed"]


def test_what_no_receiver_accepted_is_sent_at_the_next_failure(tmp_path: Path, store: RunStore) -> None:
    refusing, accepting = (
        Notify(command=("false",)),
        Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> sent")),
    )

    assert len(failures_of(tmp_path, store, ran(store, failed=True), notify=refusing, pauses=())) == 1
    failures_of(tmp_path, store, ran(store, failed=True), notify=accepting, pauses=())
    failures_of(tmp_path, store, ran(store, failed=True), ran(store), notify=accepting, pauses=())

    assert (tmp_path / "sent").read_text().split() == ["failure", "recovery"]


def test_a_failure_and_a_recovery_in_the_queue_are_both_sent(tmp_path: Path, store: RunStore) -> None:
    slow = Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> sent; sleep 0.2"))
    events = [ran(store, failed=failed) for failed in (True, True, False, True, False)]

    failures_of(tmp_path, store, *events, notify=slow, pauses=())

    assert (tmp_path / "sent").read_text().split() == ["failure", "recovery"] * 2
    record = store.job("sync")
    assert record is not None
    assert not record.failure_notified


def test_a_program_is_ended_with_what_it_started(tmp_path: Path, store: RunStore) -> None:
    leaver = Notify(command=("sh", "-c", "sleep 300 & echo $! > child"))

    assert failures_of(tmp_path, store, missed(), notify=leaver, pauses=()) == []

    child = int((tmp_path / "child").read_text())
    until(
        lambda: (
            not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text()
        )
    )


def test_a_receiver_that_has_not_answered_at_the_end_is_reported_and_kept(
    tmp_path: Path, store: RunStore
) -> None:
    endless = Notify(command=("sh", "-c", "touch began; sleep 300"))
    notifier, bus, failures = listening(tmp_path, store, endless)
    bus.publish(missed())
    until((tmp_path / "began").exists)

    notifier.close(timeout=0)

    (failure,) = failures
    assert (failure.job_id, failure.receiver) == ("sync", "command sh")
    assert failure.problem == "it had not answered when jobctl ended"
    assert kept(store) == [("missed", "command", "sh", failure.problem)]


def test_an_unexpected_error_ends_no_queue(tmp_path: Path, store: RunStore) -> None:
    notifier, bus, failures = listening(tmp_path, store, Notify(command=("touch", "sent")))

    def broken(_: object) -> None:
        raise KeyError("odd")

    notifier._channels = [notifier._channels[0]._replace(send=broken), *notifier._channels]
    bus.publish(missed())
    notifier._queues.drain(20)
    notifier.close()

    assert [event.problem for event in failures] == ["KeyError"]
    assert (tmp_path / "sent").exists()


def kept(store: RunStore) -> list[tuple[str, str, str, str | None]]:
    return [(one.event, one.channel, one.receiver, one.error) for one in store.notifications("sync")]


def test_what_was_sent_and_what_was_not_is_kept(tmp_path: Path, store: RunStore) -> None:
    failed, recovered = ran(store, failed=True), ran(store)
    failures_of(tmp_path, store, failed, notify=Notify(command=("false",)), pauses=())
    failures_of(tmp_path, store, failed, recovered, missed(), notify=Notify(command=("true",)), pauses=())

    assert kept(store) == [
        ("missed", "command", "true", None),
        ("recovery", "command", "true", None),
        ("failure", "command", "true", None),
        ("failure", "command", "false", "it exited with code 1"),
    ]
    runs = [one.run_id for one in store.notifications("sync")]
    assert runs == [None, recovered.run.id, failed.run.id, failed.run.id]


def test_a_url_is_kept_by_its_host_alone(tmp_path: Path, store: RunStore) -> None:
    with http_server(lambda _: Reply(404)) as room:
        failures_of(tmp_path, store, missed(), notify=Notify(slack=f"{room.url}/T0/hidden?k=1"), pauses=())

    ((event, channel, receiver, error),) = kept(store)
    assert (event, channel, receiver) == ("missed", "slack", "127.0.0.1")
    assert error
    assert "hidden" not in error


def test_a_locked_store_delays_and_loses_no_notification(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> sent"))
    events: list[Event] = [ran(store, failed=True), ran(store), missed()]
    notifier, bus, failures = listening(tmp_path, store, count)
    sent = tmp_path / "sent"
    with closing(sqlite3.connect(store.place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for event in events:
            bus.publish(event)

        until(lambda: sent.exists() and len(sent.read_text().split()) == 3)
        assert kept(store) == []
        other.execute("ROLLBACK")
    notifier.close()

    assert sent.read_text().split() == ["failure", "recovery", "missed"]
    assert [event for event, *_ in kept(store)] == ["missed", "recovery", "failure"]
    assert failures == []


def test_a_store_that_cannot_be_read_keeps_no_failure_back(tmp_path: Path, store: RunStore) -> None:
    failed = ran(store, failed=True)
    notifier, bus, failures = listening(tmp_path, store, Notify(command=("touch", "sent")))
    store.close()

    bus.publish(failed)
    notifier.close()

    assert (tmp_path / "sent").exists()
    assert failures == []


def test_a_job_that_is_no_longer_known_is_not_notified(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("touch", "sent"))
    start = SchedulerStarted(NOW, jobs=1, workers=1)

    assert failures_of(tmp_path, store, start, missed("gone"), notify=count, pauses=()) == []
    assert not (tmp_path / "sent").exists()
