"""Who is next where several slots wait for the same way to be free, or for a worker."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.events import RunFinished, RunStarted, SlotsMissed
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, OnOverlap, Trigger
from jobctl.scheduler.agenda import AgendaEntry, DueSlot
from jobctl.scheduler.dispatch import BlockedSlots
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, ClaimOutcome, Misfires, Owner, new_run_id
from tests.support.managers import Heard
from tests.support.project import until

pytestmark = pytest.mark.slow

SOON = 60.0
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
CODE = "import time\ndef short(): time.sleep(0.8)\ndef long(): time.sleep(300)\ndef tick(): pass\n"


def job(job_id: str, call: str, **more: Any) -> Job:
    return Job(job_id, job_id, Every(1), f"work:{call}", overlap=OnOverlap.QUEUE, **more)


def wait_until(manager: LocalJobManager, done: Callable[[], bool]) -> None:
    """Look again after each event."""
    seen = threading.Event()
    manager.bus.subscribe(lambda _: seen.set() if done() else None)
    assert done() or seen.wait(SOON)


def ended(heard: Heard) -> list[str]:
    return [event.run.job_id for event in heard.of(RunFinished) if event.run.reason is None]


def test_jobs_of_a_group_take_turns(manager: LocalJobManager, heard: Heard, project: Path) -> None:
    (project / "work.py").write_text(CODE)
    manager.add([job("a", "short", group="g"), job("b", "short", group="g")])
    manager.start()

    wait_until(manager, lambda: len(ended(heard)) >= 10)

    counts = Counter(ended(heard)[:10])
    assert min(counts["a"], counts["b"]) >= 4, ended(heard)


def due(job_id: str, slot: int, group: str | None = "g") -> DueSlot:
    one = job(job_id, "tick", group=group)
    return DueSlot(AgendaEntry(one, Every(1), START, None), START + timedelta(seconds=slot), should_run=True)


def test_a_newer_slot_keeps_its_jobs_place_in_line() -> None:
    queue = BlockedSlots()
    queue.put(due("a", 1), 0)
    queue.put(due("b", 1), 0)

    taken = queue.replace_older(due("a", 2))

    assert taken
    assert [
        (one.entry.job.id, one.slot.second, one.nothing_missed_before) for one in queue.take(0, recorded=1)
    ] == [
        ("a", 2, False),
        ("b", 1, True),
    ]


@pytest.mark.parametrize(("group", "asked"), [("g", ["a"]), ("other", []), (None, [])])
def test_who_waits_is_asked_for_before_a_newcomer_of_the_group(group: str | None, asked: list[str]) -> None:
    queue = BlockedSlots()
    queue.put(due("a", 1), 0)

    assert not queue.replace_older(due("b", 2, group))
    assert [one.entry.job.id for one in queue.take(0, recorded=0)] == asked


def test_one_whose_way_is_not_free_holds_up_no_other(
    make_manager: Callable[..., LocalJobManager], project: Path, tmp_path: Path
) -> None:
    (project / "work.py").write_text(CODE)
    elsewhere = make_manager(store=open_store(tmp_path / "state"))
    elsewhere.add([Job("long", "Long", None, "work:long", group="g")])
    elsewhere.trigger_job("long")
    manager, heard = make_manager(workers=1), Heard()
    manager.bus.subscribe(heard.append)
    manager.add([job("waits", "tick", group="g"), job("free", "tick")])
    manager.start()

    wait_until(manager, lambda: len(ended(heard)) >= 4)

    assert set(ended(heard)) == {"free"}
    assert heard.of(SlotsMissed) == []
    assert len({event.run.scheduled_for for event in heard.of(RunStarted)}) >= 4


def test_slots_that_pass_while_no_worker_is_free_are_reported_as_missed(
    make_manager: Callable[..., LocalJobManager], project: Path
) -> None:
    (project / "work.py").write_text(CODE.replace("0.8", "3.5"))
    manager, heard = make_manager(workers=1), Heard()
    manager.bus.subscribe(heard.append)
    manager.add([Job("hog", "Hog", None, "work:short"), replace(job("tick", "tick"), overlap=OnOverlap.SKIP)])
    manager.start()
    wait_until(manager, lambda: len(ended(heard)) >= 1)
    manager.trigger_job("hog")

    wait_until(manager, lambda: "hog" in ended(heard) and ended(heard)[-1] == "tick")

    slots = [event.run.scheduled_for for event in heard.of(RunStarted) if event.run.scheduled_for]
    passed = (max(slots) - min(slots)) / timedelta(seconds=1) + 1
    assert len(slots) < passed
    assert len(slots) + sum(event.count for event in heard.of(SlotsMissed)) == passed


def test_what_another_scheduler_has_taken_is_seen_at_once(
    manager: LocalJobManager, heard: Heard, project: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs hold both workers; the slots of the others wait, and another scheduler takes them."""
    go = project / "go"
    (project / "work.py").write_text(
        f"import pathlib, time\ndef hold():\n    while not pathlib.Path({str(go)!r}).exists(): pass\n    time.sleep(0.05)\n"
    )
    ids = [f"job-{number}" for number in range(20)]
    manager.add(Job(one, one, Every(3600), "work:hold") for one in ids)
    manager.start()
    wait_until(manager, lambda: len(heard.of(RunStarted)) == 2)
    begun = {event.run.job_id for event in heard.of(RunStarted)}
    other = Owner("other", "scheduler", "there", 1, "1", "boot", START)
    store.register_process(other)
    claims = [
        Claim(
            new_run_id(), one, Trigger.SCHEDULE, record.anchor, slot=record.anchor, misfires=Misfires(None, 0)
        )
        for one, record in store.jobs().items()
        if one not in begun
    ]
    assert all(isinstance(outcome, Claimed) for outcome in store.claim(other, claims))
    asked: list[int] = []
    claim = store.claim

    def count_and_claim(owner: Owner, wanted: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        asked.append(len(wanted))
        return claim(owner, wanted)

    monkeypatch.setattr(store, "claim", count_and_claim)
    go.touch()
    wait_until(manager, lambda: len(heard.of(RunFinished)) == 2)
    until(lambda: bool(asked))
    manager.shutdown()

    assert sum(asked) <= 2
    assert len(store.runs(limit=None)) == len(ids)
