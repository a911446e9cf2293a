"""Old runs go with their logs, and no log is left that no run belongs to."""

from pathlib import Path

import pytest

from jobctl.store import logs as run_logs
from jobctl.store.base import RunStore
from tests.store.conftest import Desk

NOW = 40 * 24 * 60


@pytest.fixture
def logs(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of six old runs, of which two are to be kept."""
    monkeypatch.setattr(run_logs, "KEEP_PER_JOB", 2)
    desk.register("job")
    folder = tmp_path / "logs" / "job"
    folder.mkdir(parents=True)
    for slot in range(6):
        (folder / f"{desk.ran(slot=slot + 1).id}.log").touch()
    return folder.parent


def named(logs: Path) -> set[str]:
    return {file.stem for file in (logs / "job").iterdir()}


def test_a_log_goes_with_its_run(desk: Desk, store: RunStore, logs: Path) -> None:
    assert run_logs.prune_runs_and_logs(store, logs, desk.at(NOW)) == 4
    assert named(logs) == {run.id for run in store.runs()}
    assert len(named(logs)) == 2


def test_no_run_goes_before_its_log(desk: Desk, store: RunStore, logs: Path) -> None:
    def killed(*_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.prune(desk.at(NOW), run_logs.KEEP, 2, killed)

    assert len(store.runs()) == 6
    assert run_logs.prune_runs_and_logs(store, logs, desk.at(NOW)) == 4


def test_a_log_that_cannot_be_removed_hurts_nothing(desk: Desk, store: RunStore, logs: Path) -> None:
    for file in (logs / "job").iterdir():
        file.unlink()
        file.mkdir()

    assert run_logs.prune_runs_and_logs(store, logs, desk.at(NOW)) == 4


@pytest.mark.slow
def test_a_log_behind_a_link_is_left_alone(desk: Desk, store: RunStore, logs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (logs / "job").rename(elsewhere)
    (logs / "job").symlink_to(elsewhere)

    assert run_logs.prune_runs_and_logs(store, logs, desk.at(NOW)) == 4

    assert len(list(elsewhere.iterdir())) == 6
