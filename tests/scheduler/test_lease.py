"""Leases: a process that others may declare dead ends what it runs, so that nothing runs twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import FencedError, StoreError
from jobctl.events import RegistrationRenewed, RunFinished
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, Reason
from jobctl.scheduler.liveness import Liveness
from jobctl.scheduler.process_identity import Life, life_by_pid, start_of, this_process
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.support.managers import Heard, MakeManager
from tests.support.postgres import Postgres
from tests.support.project import until
from tests.support.proxy import Proxy, proxied

SOON = 30.0


class HurriedClock(SystemClock):
    """The clock of its leases can be moved forward."""

    def __init__(self) -> None:
        self.by = 0.0

    def boottime(self) -> float:
        return super().boottime() + self.by


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock()


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.schema()


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with proxied(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def store(address: str, postgres: Postgres, proxy: Proxy) -> Iterator[RunStore]:
    """On Postgres, through a line that can be cut."""
    far = address.replace(f":{postgres.port}/", f":{proxy.port}/")
    with closing(open_store(far, busy_timeout=timedelta(seconds=1))) as store:
        yield store


@pytest.fixture
def manager(make_manager: MakeManager, project: Path, clock: HurriedClock) -> LocalJobManager:
    """One that runs a job which does not end by itself."""
    code = (
        "import time\nfrom pathlib import Path\ndef hang():\n    Path('began').touch()\n    time.sleep(300)\n"
    )
    (project / "site_jobs.py").write_text(code, encoding="utf-8")
    manager = make_manager(clock=clock)
    manager.add([Job("hang", "Hang", None, "site_jobs:hang")])
    return manager


def pids_of(manager: LocalJobManager) -> list[int]:
    """The workers that are on a run."""
    active = manager._running_scheduler()._runs.active
    return until(lambda: [one.pid for one in active if one.pid is not None])


def all_gone(pids: list[int]) -> bool:
    """Whether they have ended; a zombie that the hanging loop has not reaped yet has."""
    me = this_process("scheduler", SystemClock().now())
    return all(life_by_pid(replace(me, pid=pid, start=start_of(pid) or "0")) is Life.DEAD for pid in pids)


def stop_the_job(manager: LocalJobManager) -> None:
    """Something that asks the store through the loop."""
    with suppress(StoreError):
        manager.stop_job("hang")


@pytest.fixture
def heard(manager: LocalJobManager) -> Heard:
    heard = Heard()
    manager.bus.subscribe(heard.append)
    return heard


@pytest.mark.slow
def test_a_process_that_was_declared_dead_ends_its_runs_and_registers_anew(
    manager: LocalJobManager, heard: Heard, address: str, project: Path
) -> None:
    """Another process took its runs while this one was frozen, say; it learns so from its next heartbeat."""
    run = manager.trigger_job("hang")
    until((project / "began").exists)
    pids = pids_of(manager)
    with closing(open_store(address)) as elsewhere:
        (owner,) = elsewhere.owners()
        (lost,) = elsewhere.fail_lost_runs(owner.id, SystemClock().now())

        (renewed,) = until(lambda: heard.of(RegistrationRenewed))

        assert lost.id == run.id
        assert all_gone(pids)
        assert (renewed.reason, renewed.runs) == ("another process declared this one dead", 1)
        assert [event.run.reason for event in heard.of(RunFinished)] == [Reason.LOST]
        (kept,) = elsewhere.runs()
        assert kept == lost
        (now,) = [one for one in elsewhere.owners() if one.ended is None]
        assert now.id != owner.id
        again = manager.trigger_job("hang")
        assert [(one.id, who.id) for one, who in elsewhere.unfinished()] == [(again.id, now.id)]


@pytest.mark.slow
def test_its_next_claim_is_refused_before_any_heartbeat(
    manager: LocalJobManager, heard: Heard, address: str, project: Path
) -> None:
    """As after a thaw. With a run on, that must end first; without one, the claim is made anew at once."""
    manager.add([Job("other", "Other", None, "site_jobs:hang")])
    manager.trigger_job("hang")
    until((project / "began").exists)
    pids = pids_of(manager)
    with closing(open_store(address)) as elsewhere:
        (owner,) = elsewhere.owners()
        elsewhere.fail_lost_runs(owner.id, SystemClock().now())

        with pytest.raises(FencedError):
            manager.trigger_job("other")

        until(lambda: all_gone(pids))
        until(lambda: heard.of(RegistrationRenewed))
        (owner,) = [one for one in elsewhere.owners() if one.ended is None]
        elsewhere.fail_lost_runs(owner.id, SystemClock().now())
        run = manager.trigger_job("other")
        assert [one.id for one, _ in elsewhere.unfinished()] == [run.id]


def cut(proxy: Proxy) -> None:
    """Every connection is lost, and none can be made."""
    proxy.down, proxy.cut_at = True, b"BEGIN"


def swallow(proxy: Proxy) -> None:
    """Connections stay, and nothing comes through: whoever asks the store waits."""
    proxy.hang()


@pytest.mark.parametrize("fail", [cut, swallow])
def test_out_of_reach_it_ends_its_runs_before_others_may_take_them(
    manager: LocalJobManager,
    proxy: Proxy,
    clock: HurriedClock,
    address: str,
    project: Path,
    fail: Callable[[Proxy], None],
) -> None:
    manager.trigger_job("hang")
    until((project / "began").exists)
    pids = pids_of(manager)
    fail(proxy)
    stuck = threading.Thread(target=stop_the_job, args=(manager,))
    stuck.start()

    clock.by = 46.0

    until(lambda: all_gone(pids), seconds=3)
    proxy.down = False
    proxy.resume()
    stuck.join()
    with closing(open_store(address)) as elsewhere:
        (kept,) = until(lambda: [run for run in elsewhere.runs() if run.finished_at is not None])
    assert kept.reason is Reason.LOST


def test_within_its_lease_it_goes_on(
    manager: LocalJobManager, proxy: Proxy, clock: HurriedClock, project: Path
) -> None:
    run = manager.trigger_job("hang")
    until((project / "began").exists)
    proxy.down = True
    clock.by = 30.0
    with pytest.raises(StoreError):
        for _ in range(10):
            proxy.cut_at = b"BEGIN"
            manager.get_job_status("hang")
    proxy.down, proxy.cut_at = False, None

    status = until(lambda: manager.get_job_status("hang"))

    assert status is not None
    assert (status.status.value, status.run_id) == ("running", run.id)


def test_nothing_starts_without_a_lease(
    manager: LocalJobManager, proxy: Proxy, clock: HurriedClock, project: Path
) -> None:
    manager.trigger_job("hang")
    until((project / "began").exists)
    scheduler = manager._running_scheduler()
    proxy.hang()
    clock.by = 46.0

    assert not scheduler._lease.holds
    assert scheduler._pool.capacity(quick=False) == 1
    scheduler._pool.submit([replace(active.task, run_id="0" * 16) for active in scheduler._runs.active])

    (worker,) = scheduler._pool._workers
    assert "0" * 16 not in worker.run_ids
    proxy.resume()


# Others


class Elsewhere:
    """A process that cannot be seen from here, and one that watches it by its lease."""

    def __init__(self, store: RunStore, state: Path, clock: HurriedClock) -> None:
        self.store = store
        self.clock = clock
        self.state = state
        self.healthy_since = 0.0
        self.liveness = Liveness(store, state, clock, lambda: self.healthy_since)
        self.other = replace(this_process("scheduler", clock.now()), boot="another machine", leased=True)
        store.register_process(self.other)

    def life(self, liveness: Liveness | None = None) -> Life:
        (owner,) = self.store.owners()
        return (liveness or self.liveness).of(owner)


@pytest.fixture
def elsewhere(store: RunStore, tmp_path: Path, clock: HurriedClock) -> Elsewhere:
    return Elsewhere(store, tmp_path, clock)


def test_a_process_is_dead_when_its_heartbeats_have_stopped_for_a_lease(elsewhere: Elsewhere) -> None:
    assert elsewhere.life() is Life.UNKNOWN
    elsewhere.clock.by = 59
    assert elsewhere.life() is Life.UNKNOWN
    elsewhere.store.heartbeat(elsewhere.other.id)
    elsewhere.clock.by = 118
    assert elsewhere.life() is Life.UNKNOWN
    elsewhere.clock.by = 177
    assert elsewhere.life() is Life.UNKNOWN, "it was seen to change 59 s ago"
    elsewhere.clock.by = 179
    assert elsewhere.life() is Life.DEAD


def test_time_in_which_no_heartbeat_could_come_through_does_not_count(elsewhere: Elsewhere) -> None:
    elsewhere.life()
    elsewhere.clock.by = 75
    elsewhere.healthy_since = elsewhere.clock.boottime()  # the store was locked until now
    assert elsewhere.life() is Life.UNKNOWN
    elsewhere.clock.by = 75 + 61
    assert elsewhere.life() is Life.DEAD


def test_time_that_passes_in_the_midst_of_a_judgement_does_not_count(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the process that judges is frozen: what it has read of the other is old by then."""
    elsewhere.life()

    def frozen(_: object) -> Life:
        elsewhere.clock.by = 75
        return Life.UNKNOWN

    monkeypatch.setattr("jobctl.scheduler.liveness.life_by_pid", frozen)
    assert elsewhere.life() is Life.UNKNOWN
    assert elsewhere.life() is Life.DEAD


def test_short_lived_processes_hand_on_what_they_have_seen(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.scheduler.liveness.uptime", lambda: 1000.0 + elsewhere.clock.by)

    def next_process() -> Life:
        return elsewhere.life(Liveness(elsewhere.store, elsewhere.state, elsewhere.clock))

    assert next_process() is Life.UNKNOWN
    elsewhere.clock.by = 119
    assert next_process() is Life.UNKNOWN
    elsewhere.clock.by = 121
    assert next_process() is Life.DEAD
    elsewhere.store.heartbeat(elsewhere.other.id)
    assert next_process() is Life.UNKNOWN


def test_no_wall_clock_takes_part(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere.life()
    for hours in (-48, 48):
        now = SystemClock().now() + timedelta(hours=hours)
        monkeypatch.setattr(HurriedClock, "now", lambda _, now=now: now)
        assert elsewhere.life() is Life.UNKNOWN
    elsewhere.clock.by = 61
    assert elsewhere.life() is Life.DEAD
