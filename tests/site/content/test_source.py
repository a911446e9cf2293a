"""A repository in a folder of this machine: read in every form that git gives it, never written."""

from pathlib import Path

import pytest

from tests.site.content.conftest import START, Sync, files
from tests.support.disks import read_only
from tests.support.git_server import Upstream, git

FORMS = pytest.mark.parametrize("form", ["bare", "folder", "worktree", "shared", "worktree of shared"])


@pytest.fixture
def source(upstream: Upstream, form: str) -> Path:
    root, work = upstream.bare.parent, upstream.work
    if form == "bare":
        return upstream.bare
    if "shared" in form:
        git(root, "clone", "-q", "--shared", str(work), "shared")
        work = root / "shared"
    if "worktree" in form:
        git(work, "worktree", "add", "-q", "-b", "other", str(root / "worktree"))
        return root / "worktree"
    return work


def state_of(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder, with what a write changes."""
    found = [root, *root.rglob("*")]
    return {
        str(one): (one.lstat().st_mtime_ns, one.lstat().st_ctime_ns, one.lstat().st_size) for one in found
    }


@FORMS
def test_it_is_never_written(sync: Sync, folder: Path, upstream: Upstream, source: Path) -> None:
    before = state_of(upstream.bare.parent)

    assert sync(url=str(source), token=None).first
    assert files(folder) == START
    assert state_of(upstream.bare.parent) == before

    git(source, "branch", "-f", "next", upstream.commit({"README.md": "new\n"}))
    before = state_of(upstream.bare.parent)
    assert sync(url=str(source), token=None, branch="next").changes.changed == ["README.md"]
    assert state_of(upstream.bare.parent) == before


@FORMS
def test_it_may_be_read_only(sync: Sync, folder: Path, upstream: Upstream, source: Path) -> None:
    root = upstream.bare.parent
    with read_only(root, root):
        sync(url=str(source), token=None)

        assert files(folder) == START


@pytest.mark.parametrize("form", ["folder", "worktree", "shared", "worktree of shared"])
def test_a_file_that_is_cut_off_is_named_in_every_form(
    sync: Sync, folder: Path, upstream: Upstream, source: Path
) -> None:
    oid = git(upstream.work, "rev-parse", "HEAD:README.md")
    found = upstream.work / ".git" / "objects" / oid[:2] / oid[2:]
    found.chmod(0o600)
    found.write_bytes(found.read_bytes()[:-5])

    (warning,) = sync(url=str(source), token=None).changes.warnings

    assert warning == 'skipped "README.md": it is missing or damaged in the repository'
    assert sorted(files(folder)) == [".works/works.yml", "data/one/one.yml"]
