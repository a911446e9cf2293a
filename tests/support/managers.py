"""A local manager over a scratch project, with its store, a clock that can be moved, and every event."""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from jobctl.clock import SystemClock
from jobctl.events import Event
from jobctl.managers.local import LocalJobManager
from jobctl.store.base import RunStore
from jobctl.store.open import open_store


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = open_store(tmp_path / "state")
    yield opened
    opened.close()


class MovableClock(SystemClock):
    """The machine's clock, moved."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


Kind = TypeVar("Kind")


class Heard(list[Event]):
    """Every event that was published, in order."""

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in list(self) if isinstance(event, kind)]


MakeManager = Callable[..., LocalJobManager]


@pytest.fixture
def make_manager(store: RunStore, project: Path, tmp_path: Path) -> Iterator[MakeManager]:
    made: list[LocalJobManager] = []

    def make(**more: object) -> LocalJobManager:
        settings: dict[str, object] = {
            "project": project,
            "state": tmp_path / "state",
            "environment": {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
            "workers": 2,
            **more,
        }
        manager = LocalJobManager(settings.pop("store", store), **settings)  # type: ignore[arg-type]
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.end_now()
        manager.shutdown()


@pytest.fixture
def manager(make_manager: MakeManager) -> LocalJobManager:
    return make_manager()


@pytest.fixture
def heard(manager: LocalJobManager) -> Heard:
    heard = Heard()
    manager.bus.subscribe(heard.append)
    return heard
