"""A run store that cannot be written can be looked at; whatever needs to write it says so and starts nothing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.audit import audit
from tests.support.disks import read_only
from tests.support.project import Site

WRITES = ("run", "trigger a", "trigger a --in 1h", "backfill a --from 2026-11-01")
LOOKS = ("status", "logs a", "next a", "runs --waiting", "runs --actions")


@pytest.fixture
def site(site: Site) -> Site:
    """A project with a past."""
    site.jobs('[jobs.a]\nevery = "1h"\ncommand = ["echo", "hello"]\n')
    assert site.call("trigger", "a").returncode == 0
    return site


def everything_in(folder: Path) -> dict[str, bytes]:
    """But for the two that SQLite makes for those that only read."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in files if path.suffix not in {".db-wal", ".db-shm"}}


def can_be_looked_at(site: Site, *more: str) -> None:
    before = everything_in(site.folder / ".jobctl")
    for command in (*LOOKS, *more):
        done = site.call(*command.split())
        assert done.returncode == 0, done
    assert [run["status"] for run in site.runs("a")] == ["completed"]
    assert everything_in(site.folder / ".jobctl") == before


def refuses_to_write(site: Site, words: str, *more: str) -> None:
    for command in (*WRITES, *more):
        refused = site.call(*command.split())
        assert refused.returncode == 70, refused
        assert words in refused.stderr, refused
        assert "hint:" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_disk_that_is_read_only(site: Site, tmp_path: Path) -> None:
    with read_only(site.folder / ".jobctl", tmp_path / "disk"):
        site.environment["JOBCTL_STATE"] = str(tmp_path / "disk")
        can_be_looked_at(site, "metrics", "mode")
        refuses_to_write(site, "read-only", "stop a")
    del site.environment["JOBCTL_STATE"]
    assert site.call("trigger", "a").returncode == 0
    audit(site)


@pytest.fixture(params=["folder", "file"])
def modes(request: pytest.FixtureRequest, site: Site) -> Iterator[None]:
    """One of the two cannot be written."""
    folder = site.folder / ".jobctl"
    path, mode = (folder, 0o555) if request.param == "folder" else (folder / "jobctl.db", 0o444)
    before = path.stat().st_mode
    path.chmod(mode)
    yield
    path.chmod(before)


@pytest.mark.usefixtures("as_one_whom_modes_bind", "modes")
def test_a_folder_or_file_that_cannot_be_written(site: Site) -> None:
    can_be_looked_at(site)
    refuses_to_write(site, "permission denied")


@pytest.mark.usefixtures("as_one_whom_modes_bind")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give a file away")
def test_a_store_of_another_user(site: Site) -> None:
    state = site.folder / ".jobctl"
    for path in (state, *state.rglob("*")):
        os.chown(path, 65534, 65534)
        path.chmod(0o755 if path.is_dir() else 0o644)

    for command in ("status", "trigger a", "runs", "metrics", "check store", "run"):
        refused = site.call(*command.split())
        assert refused.returncode == 2, refused
        assert "belongs to user nobody, so it is not trusted" in refused.stderr
        assert "JOBCTL_SAFE_FOLDERS" in refused.stderr

    site.environment["JOBCTL_SAFE_FOLDERS"] = str(state)
    can_be_looked_at(site)
    refuses_to_write(site, "it belongs to user")
    state.chmod(0o700)
    refused = site.call("status")
    assert (refused.returncode, "permission denied" in refused.stderr) == (70, True), refused


def test_a_file_where_the_folder_should_be(site: Site) -> None:
    shutil.rmtree(site.folder / ".jobctl")
    file = site.write(".jobctl", "a file, not a folder")

    refuses_to_write(site, ".jobctl")

    assert file.read_text() == "a file, not a folder"
