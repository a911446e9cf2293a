"""A process that others may hold for dead ends what it runs, so that nothing runs twice."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import StoreError
from jobctl.events import RunFinished
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, Reason
from jobctl.runs.choose import open_store
from jobctl.runs.store import RunStore
from tests.managers.conftest import MakeManager
from tests.support.postgres import Postgres
from tests.support.project import until
from tests.support.proxy import Proxy, proxied

SOON = 30.0


class HurriedClock(SystemClock):
    """Its steady time can be moved forward."""

    def __init__(self) -> None:
        self.by = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.by


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


def hear_the_end(manager: LocalJobManager) -> tuple[list[RunFinished], threading.Event]:
    heard: list[RunFinished] = []
    done = threading.Event()

    def listen(event: object) -> None:
        if isinstance(event, RunFinished):
            heard.append(event)
            done.set()

    manager.bus.subscribe(listen)
    return heard, done


@pytest.mark.slow
def test_who_was_held_for_dead_ends_what_it_runs(
    manager: LocalJobManager, store: RunStore, address: str, project: Path
) -> None:
    """Another machine took its runs while this one was paused, say."""
    _, done = hear_the_end(manager)
    run = manager.trigger_job("hang")
    until((project / "began").exists)
    with closing(open_store(address)) as elsewhere:
        (owner,) = elsewhere.owners()
        (lost,) = elsewhere.disown(owner.id, SystemClock().now())

        assert done.wait(SOON)  # at its next heartbeat

        assert lost.id == run.id
        (kept,) = elsewhere.runs()
        assert kept.reason is Reason.LOST
        assert [one.ended for one in until(elsewhere.owners) if one.id == owner.id] == [None]
        assert manager.trigger_job("hang").id != run.id


def test_out_of_reach_it_ends_its_runs_before_others_may_take_them(
    manager: LocalJobManager, proxy: Proxy, clock: HurriedClock, address: str, project: Path
) -> None:
    manager.trigger_job("hang")
    until((project / "began").exists)
    pids = [active.pid for active in manager._running_engine()._active.values()]
    proxy.down, proxy.cut_at = True, b"BEGIN"

    clock.by = 46.0

    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids if pid))
    proxy.down = False
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
