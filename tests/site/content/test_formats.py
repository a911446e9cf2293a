"""Repositories in formats that libgit2 cannot read: said once, in a sentence."""

import subprocess
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError
from tests.site.content.conftest import Sync, beside
from tests.support.git_server import GitServer, Upstream, git


def sha256(folder: Path) -> None:
    try:
        git(folder, "init", "-q", "--object-format=sha256", "-b", "main")
    except subprocess.CalledProcessError:
        pytest.skip("this git makes no SHA-256 repositories")
    (folder / "a.md").write_text("a\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a")


def extended(folder: Path, extension: str) -> None:
    """As a git writes it that keeps its refs so; the one of this machine need not know how."""
    git(folder, "init", "-q", "-b", "main")
    with (folder / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\trepositoryformatversion = 1\n[extensions]\n\t{extension}\n")


@pytest.mark.parametrize("over_http", [False, True])
def test_a_remote_with_sha256_objects(sync: Sync, server: GitServer, over_http: bool) -> None:
    place = server.root / "new.git"
    place.mkdir()
    sha256(place)

    with pytest.raises(PermanentJobError, match="has SHA-256 objects") as caught:
        sync(url=f"{server.url}/new.git/.git" if over_http else str(place))

    assert "--object-format=sha1" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("extension", "words"),
    [("refStorage = reftable", "keeps its branches as a reftable"), ("other = 1", "extensions.other")],
)
def test_a_folder_in_another_format(sync: Sync, tmp_path: Path, extension: str, words: str) -> None:
    (tmp_path / "new").mkdir()
    extended(tmp_path / "new", extension)

    with pytest.raises(PermanentJobError, match=words) as caught:
        sync(url=str(tmp_path / "new"), token=None)

    assert "--ref-format=files" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["sha256", "reftable"])
def test_a_copy_in_another_format_is_left_alone(
    sync: Sync, folder: Path, upstream: Upstream, kind: str
) -> None:
    folder.mkdir()
    if kind == "sha256":
        sha256(folder)
    else:
        extended(folder, "refStorage = reftable")

    with pytest.raises(PermanentJobError, match=r"\.content (has|keeps)") as caught:
        sync()

    assert "move it away" in str(caught.value.hint)
    assert beside(folder) == []
    assert (folder / ".git" / "config").exists()
