"""The notifier by itself: it tries again, and its end is bounded."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.catalogue.notify_settings import Notify
from jobctl.events import Bus, Event, NotTold, RunFinished, SchedulerStarted, SlotsMissed
from jobctl.model import Job, RunStatus, Trigger
from jobctl.project import ProjectContext
from jobctl.scheduler.process_identity import this_process
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, Ending, Registration, new_run_id
from jobctl.subscribers.notifier import Notifier
from tests.support.project import until

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
JOBS = (Job("sync", "Sync", None, "work:sync"),)
SECOND_TIME = ("sh", "-c", "test -e tried && touch told || { touch tried; exit 1; }")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with closing(open_store(tmp_path / "state")) as opened:
        yield opened


def missed(job_id: str = "sync") -> SlotsMissed:
    return SlotsMissed(job_id, 3, NOW - timedelta(minutes=3), NOW, runs_now=False, at=NOW)


def listening(
    folder: Path, store: RunStore, notify: Notify, **more: Any
) -> tuple[Notifier, Bus, list[NotTold]]:
    """A notifier, its bus, and what it could not tell."""
    bus = Bus()
    project = ProjectContext.find(folder, {"PATH": "/usr/bin:/bin"})
    notifier = Notifier(bus, store, notify, JOBS, project, **more)
    heard: list[NotTold] = []
    bus.subscribe(lambda event: heard.append(event) if isinstance(event, NotTold) else None)
    return notifier, bus, heard


def heard_by(
    folder: Path, store: RunStore, *events: Event, notify: Notify, pauses: tuple[float, ...]
) -> list[NotTold]:
    """What could not be told, once everything else was."""
    notifier, bus, heard = listening(folder, store, notify, pauses=pauses)
    for event in events:
        bus.publish(event)
    for _ in range(2):
        assert notifier._lanes.drain(lambda: 20) == set()
    notifier.close()
    return heard


def test_who_cannot_be_told_is_tried_again_later(tmp_path: Path, store: RunStore) -> None:
    assert heard_by(tmp_path, store, missed(), notify=Notify(command=SECOND_TIME), pauses=(0.01,)) == []
    assert (tmp_path / "told").exists()


def test_after_all_tries_it_is_said(tmp_path: Path, store: RunStore) -> None:
    (said,) = heard_by(tmp_path, store, missed(), notify=Notify(command=("false",)), pauses=(0.01, 0.01))

    assert (said.job_id, said.whom, said.problem) == ("sync", "command false", "it exited with code 1")


def test_the_end_waits_for_no_pause(tmp_path: Path, store: RunStore) -> None:
    notifier, bus, _ = listening(tmp_path, store, Notify(command=SECOND_TIME), pauses=(3600,))
    bus.publish(missed())
    until((tmp_path / "tried").exists)

    notifier.close()

    assert (tmp_path / "told").exists()


def test_a_delivery_that_is_on_when_the_end_begins_is_tried_once_more(
    tmp_path: Path, store: RunStore
) -> None:
    wait = "touch tried; until test -e closing; do sleep 0.01; done; exit 1"
    command = ("sh", "-c", f"test -e tried && {{ touch told; exit 1; }} || {{ {wait}; }}")
    notifier, bus, lost = listening(tmp_path, store, Notify(command=command), pauses=(3600, 3600))
    bus.publish(missed())
    until((tmp_path / "tried").exists)
    ending = threading.Thread(target=notifier.close)
    ending.start()
    until(notifier._closing.is_set)
    (tmp_path / "closing").touch()

    ending.join()

    assert (tmp_path / "told").exists()
    assert len(lost) == 1


def ran(store: RunStore, *, failed: bool = False) -> RunFinished:
    """A run of the job that has ended, as the store has it."""
    store.register([Registration("sync", "Sync", "", "UTC")], NOW)
    owner = this_process("trigger", NOW)
    store.register_process(owner)
    (answer,) = store.claim(owner, [Claim(new_run_id(), "sync", Trigger.MANUAL, NOW, force=True)])
    assert isinstance(answer, Claimed)
    status = RunStatus.FAILED if failed else RunStatus.COMPLETED
    store.finish([Ending(answer.run.id, status, NOW, NOW, timedelta(0), error="no luck" if failed else None)])
    ended = store.run(answer.run.id)
    assert ended is not None
    return RunFinished(ended)


def test_misses_are_told_again_only_after_a_run_without_one(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> told"))
    late = [event for _ in range(3) for event in (missed(), ran(store))]

    heard_by(tmp_path, store, *late, ran(store), missed(), notify=count, pauses=())

    assert (tmp_path / "told").read_text().split() == ["missed", "missed"]


def test_what_nobody_took_is_told_at_the_next_failure(tmp_path: Path, store: RunStore) -> None:
    nobody, somebody = Notify(command=("false",)), Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> told"))

    assert len(heard_by(tmp_path, store, ran(store, failed=True), notify=nobody, pauses=())) == 1
    heard_by(tmp_path, store, ran(store, failed=True), notify=somebody, pauses=())
    heard_by(tmp_path, store, ran(store, failed=True), ran(store), notify=somebody, pauses=())

    assert (tmp_path / "told").read_text().split() == ["failure", "recovery"]


def test_a_failure_and_a_recovery_on_their_way_are_both_told(tmp_path: Path, store: RunStore) -> None:
    slow = Notify(command=("sh", "-c", "echo $JOBCTL_EVENT >> told; sleep 0.2"))
    events = [ran(store, failed=failed) for failed in (True, True, False, True, False)]

    heard_by(tmp_path, store, *events, notify=slow, pauses=())

    assert (tmp_path / "told").read_text().split() == ["failure", "recovery"] * 2
    record = store.job("sync")
    assert record is not None
    assert not record.failure_notified


def test_a_program_is_ended_with_what_it_started(tmp_path: Path, store: RunStore) -> None:
    leaver = Notify(command=("sh", "-c", "sleep 300 & echo $! > child"))

    assert heard_by(tmp_path, store, missed(), notify=leaver, pauses=()) == []

    child = int((tmp_path / "child").read_text())
    until(
        lambda: (
            not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text()
        )
    )


def test_who_has_not_answered_at_the_end_is_said(tmp_path: Path, store: RunStore) -> None:
    endless = Notify(command=("sh", "-c", "touch began; sleep 300"))
    notifier, bus, heard = listening(tmp_path, store, endless)
    bus.publish(missed())
    until((tmp_path / "began").exists)

    notifier.close(timeout=0)

    (said,) = heard
    assert (said.job_id, said.whom) == ("sync", "command sh")
    assert said.problem == "it had not answered when jobctl ended"


def test_what_nobody_thought_of_ends_no_lane(tmp_path: Path, store: RunStore) -> None:
    notifier, bus, heard = listening(tmp_path, store, Notify(command=("touch", "told")))

    def broken(_: object) -> None:
        raise KeyError("odd")

    notifier._channels = [notifier._channels[0]._replace(tell=broken), *notifier._channels]
    bus.publish(missed())
    for _ in range(2):
        notifier._lanes.drain(lambda: 20)
    notifier.close()

    assert [event.problem for event in heard] == ["KeyError"]
    assert (tmp_path / "told").exists()


def test_of_a_job_that_is_no_longer_known_nobody_hears(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("touch", "told"))
    start = SchedulerStarted(NOW, jobs=1, workers=1)

    assert heard_by(tmp_path, store, start, missed("gone"), notify=count, pauses=()) == []
    assert not (tmp_path / "told").exists()
