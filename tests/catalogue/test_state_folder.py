"""Where the state folder is."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from jobctl.errors import ConfigurationError
from jobctl.files import STATE, private_folder
from jobctl.files import state_folder as make_state_folder
from jobctl.project import ProjectContext
from jobctl.project_location import ProjectLocation, state_folder
from jobctl.settings.environment import Environment


def found(folder: Path, **variables: str) -> Path:
    return state_folder(ProjectLocation(folder), Environment.load(folder, variables))


def test_it_is_in_the_project_by_default(tmp_path: Path) -> None:
    assert found(tmp_path) == tmp_path / ".jobctl"
    assert found(tmp_path, JOBCTL_STATE="kept") == tmp_path / "kept"
    assert found(tmp_path, JOBCTL_STATE="/var/lib/site") == Path("/var/lib/site")


def test_on_vercel_it_is_in_the_temporary_folder_by_default(tmp_path: Path) -> None:
    """Nothing else can be written there; that JOBCTL_STATE has a default changes nothing."""
    there = found(tmp_path, VERCEL="1")
    assert there.parent == Path(tempfile.gettempdir())
    assert there.name.startswith(".jobctl-")
    assert found(tmp_path, VERCEL="1", JOBCTL_STATE="") == there
    assert found(tmp_path / "other", VERCEL="1") != there, "two projects share nothing"
    assert found(tmp_path, VERCEL="1", JOBCTL_STATE="kept") == tmp_path / "kept"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell expands it in an .env file."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    site = tmp_path / "home" / "site"
    site.mkdir(parents=True)
    (site / "jobctl.toml").touch()

    assert found(tmp_path, JOBCTL_STATE="~/jobs") == tmp_path / "home" / "jobs"
    assert ProjectContext.find(process={"JOBCTL_PROJECT": "~/site"}).folder == site
    with pytest.raises(ConfigurationError, match="JOBCTL_STATE begins with a home folder that is not known"):
        found(tmp_path, JOBCTL_STATE="~nobody-has-this-name/jobs")


def test_git_ignores_it_whichever_command_creates_it(tmp_path: Path) -> None:
    made, older, users = tmp_path / "a" / STATE, tmp_path / "b" / STATE, tmp_path / "c"
    older.mkdir(parents=True)
    users.mkdir()

    private_folder(made / "outbox")
    for folder in (older, users):
        make_state_folder(folder)

    assert [(folder / ".gitignore").exists() for folder in (made, older, users)] == [True, True, False]
    assert (made / ".gitignore").read_text() == "*\n"


def test_processes_that_make_it_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            for number in range(200):
                barrier = Barrier(4)

                def make(folder: Path, barrier: Barrier = barrier) -> bool:
                    barrier.wait()
                    return private_folder(folder)

                place = tmp_path / str(number) / STATE
                made = threads.map(make, [place / f"machine-{each}" / "outgoing" for each in range(4)])
                assert list(made) == [True] * 4
    finally:
        sys.setswitchinterval(interval)
