"""The notifier by itself: it tries again, and its end is bounded."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.events import Bus, Event, NotTold, SchedulerStarted, SlotsMissed
from jobctl.model import Job
from jobctl.notify.notifier import Notifier, Place
from jobctl.notify.settings import Notify
from jobctl.runs.choose import open_store
from jobctl.runs.store import RunStore
from jobctl.settings.environment import Environment
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


def heard_by(
    folder: Path, store: RunStore, *events: Event, notify: Notify, pauses: tuple[float, ...]
) -> list[Event]:
    """What the bus carries, once everything was told."""
    bus = Bus()
    heard: list[Event] = []
    bus.subscribe(heard.append)
    place = Place(Environment.load(folder, {"PATH": "/usr/bin:/bin"}), folder, folder / "outbox")
    notifier = Notifier(bus, store, notify, JOBS, place, pauses=pauses)
    for event in events:
        bus.publish(event)
    for lane in [*notifier._lanes.values()]:
        lane.drain(20)
    for lane in [*notifier._lanes.values()]:
        lane.drain(20)
    notifier.close()
    return heard[len(events) :]


def test_who_cannot_be_told_is_tried_again_later(tmp_path: Path, store: RunStore) -> None:
    assert heard_by(tmp_path, store, missed(), notify=Notify(command=SECOND_TIME), pauses=(0.01,)) == []
    assert (tmp_path / "told").exists()


def test_after_all_tries_it_is_said(tmp_path: Path, store: RunStore) -> None:
    (said,) = heard_by(tmp_path, store, missed(), notify=Notify(command=("false",)), pauses=(0.01, 0.01))

    assert isinstance(said, NotTold)
    assert (said.job_id, said.whom, said.problem) == ("sync", "command false", "it exited with code 1")


def test_the_end_waits_for_no_pause(tmp_path: Path, store: RunStore) -> None:
    bus = Bus()
    place = Place(Environment.load(tmp_path, {"PATH": "/usr/bin:/bin"}), tmp_path, tmp_path / "outbox")
    notifier = Notifier(bus, store, Notify(command=SECOND_TIME), JOBS, place, pauses=(3600,))
    bus.publish(missed())
    until((tmp_path / "tried").exists)

    notifier.close()

    assert (tmp_path / "told").exists()


def test_slots_missed_in_a_row_are_told_once(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("sh", "-c", "echo >> told"))

    heard_by(tmp_path, store, missed(), missed(), missed(), notify=count, pauses=())

    assert (tmp_path / "told").read_text() == "\n"


def test_of_a_job_that_is_no_longer_known_nobody_hears(tmp_path: Path, store: RunStore) -> None:
    count = Notify(command=("touch", "told"))
    start = SchedulerStarted(NOW, jobs=1, workers=1)

    assert heard_by(tmp_path, store, start, missed("gone"), notify=count, pauses=()) == []
    assert not (tmp_path / "told").exists()
