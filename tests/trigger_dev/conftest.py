from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.model import Job
from jobctl.schedules import parse_schedule
from jobctl.settings.masking import Secret
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.client import TriggerDevClient
from jobctl.trigger_dev.manager import TriggerDevJobManager
from tests.support.trigger_dev import KEY, Cloud, trigger_dev


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Trigger.dev, with a deployed worker for three jobs."""
    with trigger_dev("a-job", "b-job", "c-job") as cloud:
        yield cloud


@pytest.fixture
def account(cloud: Cloud) -> Account:
    return Account(cloud.url, Secret(KEY), "production")


@pytest.fixture
def pauses() -> list[float]:
    """The pauses between attempts in seconds; the tests do not really wait."""
    return []


@pytest.fixture
def api(account: Account, pauses: list[float]) -> Iterator[TriggerDevClient]:
    made = TriggerDevClient(account, wait=pauses.append)
    yield made
    made.close()


MakeManager = Callable[..., TriggerDevJobManager]


@pytest.fixture
def make_manager(account: Account, pauses: list[float]) -> Iterator[MakeManager]:
    made: list[TriggerDevJobManager] = []

    def make(*jobs: Job, **more: object) -> TriggerDevJobManager:
        manager = TriggerDevJobManager(account, wait=pauses.append, **more)  # type: ignore[arg-type]
        manager.add(jobs)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.shutdown()


def job(job_id: str, schedule: str | None = "0 9 * * *", timezone: str = "UTC", **more: object) -> Job:
    when = parse_schedule(schedule, timezone) if schedule else None
    return Job(job_id, job_id, when, "json:dumps", **more)  # type: ignore[arg-type]


@pytest.fixture
def remembering(tmp_path: Path) -> Iterator[RunStore]:
    """A run store, in which ids of runs are kept."""
    with closing(open_store(tmp_path / "state")) as store:
        yield store
