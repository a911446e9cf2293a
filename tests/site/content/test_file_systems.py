"""File systems that cannot do what most can: container images, read-only and full disks, no links, no case."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.site.content import snapshot
from tests.site.content.conftest import START, Sync, beside, files
from tests.site.content.test_faults import killed
from tests.site.content.test_hostile import put, tree
from tests.support.disks import overlay, read_only, small_disk
from tests.support.git_server import Upstream, git


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A content folder that came with a container's image."""
    baked = tmp_path / "image" / ".content"
    (baked / "data").mkdir(parents=True)
    (baked / "data" / "baked.md").write_text("baked\n")
    (baked / "link").symlink_to("data")
    with overlay(tmp_path / "image", tmp_path / "site"):
        folder = tmp_path / "site" / ".content"
        with pytest.raises(OSError, match="cross-device"):
            folder.rename(folder.with_name("other"))
        yield folder


def test_a_folder_of_the_image_is_replaced_and_what_is_in_it_kept(
    sync: Sync, folder: Path, image: Path
) -> None:
    report = sync()

    assert files(folder) == START
    (kept,) = beside(folder)
    assert (folder.parent / kept / "data" / "baked.md").read_text() == "baked\n"
    assert (folder.parent / kept / "link").is_symlink()
    assert kept in report.notes[0]
    assert sync().notes == []


def test_a_copy_of_the_image_is_brought_up_to_date(
    tmp_path: Path, sync: Sync, folder: Path, upstream: Upstream
) -> None:
    sync()
    folder.parent.rename(tmp_path / "image")
    with overlay(tmp_path / "image", folder.parent):
        upstream.commit({"data/one/one.yml": None, "data/two/two.yml": "name: Two\n"})
        assert sync().notes == []
        other = Upstream(upstream.bare.parent, "other")
        other.commit({"other.md": "other\n"})

        assert sync(url=other.bare.as_uri(), token=None).notes == []

        assert files(folder) == {"other.md": "other\n"}
        assert beside(folder) == []


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["copying", "copied", "removing"])
def test_a_kill_while_a_folder_of_the_image_is_replaced_loses_nothing(
    sync: Sync, folder: Path, image: Path, upstream: Upstream, moment: str
) -> None:
    moments = {
        "copying": "os.symlink = lambda *_, **__: die()",
        "copied": "shutil.rmtree = lambda *_, **__: die()",
        "removing": "real = os.unlink\ndef unlink(path, **more):\n"
        "    real(path, **more)\n    'baked' in str(path) and die()\nos.unlink = unlink",
    }
    killed(folder, upstream.bare.as_uri(), f"import shutil\n{moments[moment]}")

    sync(url=upstream.bare.as_uri(), token=None)

    assert files(folder) == START
    kept = list(folder.parent.glob(".content.before-*/data/baked.md"))
    assert {one.read_text() for one in kept} == {"baked\n"}  # kept twice where the copy was just made
    assert [one for one in beside(folder) if ".before-" not in one] == []


def test_a_disk_that_cannot_be_written(sync: Sync, folder: Path, upstream: Upstream, tmp_path: Path) -> None:
    sync()
    upstream.commit({"README.md": "new\n"})
    with read_only(folder, folder), pytest.raises(PermanentJobError, match="read-only") as caught:
        sync()

    assert "that can be written" in str(caught.value.hint)


@pytest.mark.slow
def test_a_full_disk(sync: Sync, folder: Path, upstream: Upstream) -> None:
    upstream.commit({"large.bin": os.urandom(3_000_000)})
    with small_disk(folder.parent, "2m"):
        with pytest.raises(ServiceError, match="no space left") as caught:
            sync()

        assert "free some space" in str(caught.value.hint)
        assert beside(folder) == []


def test_names_that_are_one_where_case_and_form_do_not_count(
    sync: Sync, folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "folding", lambda _: str.casefold)
    work = upstream.work
    upper, lower = (git(work, "hash-object", "-w", name) for name in ("README.md", ".works/works.yml"))
    put(upstream, tree(work, f"100644 blob {upper}\tA.md", f"100644 blob {lower}\ta.md"))

    report = sync()

    assert files(folder) == {"A.md": "hi\n"}
    assert report.changes.warnings == ['skipped "a.md": its name is the same as "A.md" on this file system']
    put(upstream, tree(work, f"100644 blob {lower}\ta.md"))
    assert sync().changes.removed == ["A.md"]
    assert files(folder) == {"a.md": "site_name: A\n"}


def test_where_case_does_not_count_neither_does_the_form_of_a_character(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "head").touch()  # what git names HEAD is found by this name

    fold = snapshot.folding(tmp_path)

    assert len({fold(name) for name in ("\u00e9", "\u00c9", "e\u0301")}) == 1


def test_names_that_differ_are_two_here(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    fold = snapshot.folding(tmp_path)

    assert len({fold(name) for name in ("a", "A", "\u00e9", "e\u0301")}) == 4
    assert list((tmp_path / ".git").iterdir()) == []


def test_a_file_system_without_links(
    sync: Sync, folder: Path, upstream: Upstream, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    os.symlink("README.md", upstream.work / "link")  # noqa: PTH211 - the other way is refused here
    upstream.commit({"README.md": "new\n"})

    report = sync(url=url, token=None)

    assert report.changes.warnings == ['skipped "link": operation not permitted']
    assert files(folder)["README.md"] == "new\n"
    (upstream.work / "link").unlink()
    os.symlink("data", upstream.work / "link")  # noqa: PTH211 - the other way is refused here
    upstream.commit({"README.md": "newer\n"})
    assert sync(url=url, token=None).notes == []
    assert git(upstream.bare, "ls-tree", "--name-only", "main", "link") == "link"


def test_a_push_takes_nothing_away_that_this_file_system_could_not_hold(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    work, long = upstream.work, "a" * 300
    text = "".join(f"line {number}\n" for number in range(20))
    upstream.commit({"README.md": text})
    hello = git(work, "rev-parse", "HEAD:README.md")
    put(upstream, tree(work, f"100644 blob {hello}\tREADME.md", f"100644 blob {hello}\t{long}"))
    sync(url=url, token=None)
    (folder / "README.md").write_text(text.replace("line 2\n", "mine\n"))
    (work / "new.md").write_text(text.replace("line 17\n", "theirs\n"))
    new = git(work, "hash-object", "-w", "new.md")
    put(upstream, tree(work, f"100644 blob {new}\tREADME.md", f"100644 blob {hello}\t{long}"))

    assert sync(url=url, token=None).pushed
    assert long in git(upstream.bare, "ls-tree", "--name-only", "main").split()


def test_local_changes_that_a_read_only_repository_cannot_take_are_set_aside(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    text = "".join(f"line {number}\n" for number in range(20))
    upstream.commit({"README.md": text})
    sync(url=url, token=None)
    (folder / "README.md").write_text(text.replace("line 2\n", "mine\n"))
    upstream.commit({"README.md": text.replace("line 17\n", "theirs\n")})
    with read_only(upstream.bare, upstream.bare):
        (note,) = sync(url=url, token=None).notes

    assert "set aside" in note
    assert f"{url} cannot be written: " in note
