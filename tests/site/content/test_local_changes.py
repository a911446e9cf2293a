"""What somebody changed in the content folder meets what the remote changed."""

import os
import re
from pathlib import Path

import pytest

from tests.site.content.conftest import START, Sync, beside, files
from tests.support.git_server import GitServer, Upstream, git


def test_local_changes_that_do_not_conflict_are_left_alone(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    sync()
    (folder / "README.md").write_text("mine\n")
    (folder / "new.md").write_text("mine too\n")
    upstream.commit({"data/two/two.yml": "name: Two\n"})

    report = sync()

    assert report.notes == []
    assert files(folder) == {
        **START,
        "README.md": "mine\n",
        "new.md": "mine too\n",
        "data/two/two.yml": "name: Two\n",
    }


LONG = "".join(f"line {number}\n" for number in range(20))


def test_local_changes_that_touch_the_same_file_are_committed_and_pushed(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    upstream.commit({"README.md": LONG})
    sync()
    (folder / "README.md").write_text(LONG.replace("line 2\n", "line two\n"))
    upstream.commit({"README.md": LONG.replace("line 17\n", "line seventeen\n")})

    report = sync()

    both = LONG.replace("line 2\n", "line two\n").replace("line 17\n", "line seventeen\n")
    assert report.pushed
    assert files(folder)["README.md"] == both
    upstream.pull()
    assert (upstream.work / "README.md").read_text() == both
    log = git(upstream.work, "log", "-3", "--format=%an <%ae> %s")
    assert "Website Bot <bot@ever.works> [Auto] Save local changes before sync" in log
    assert sync().changes.paths == []


@pytest.mark.parametrize("why", ["refused", "not allowed", "rewritten"])
def test_what_cannot_be_pushed_is_set_aside_and_reported(
    sync: Sync, folder: Path, upstream: Upstream, server: GitServer, why: str
) -> None:
    upstream.commit({"README.md": LONG})
    sync()
    mine = LONG.replace("line 2\n", "mine\n")
    (folder / "README.md").write_text(mine)
    (folder / "note.md").write_text("a note\n")
    theirs = LONG.replace("line 17\n", "theirs\n")
    server.refuse_push = why == "refused"
    if why == "rewritten":
        git(upstream.work, "checkout", "-q", "--orphan", "fresh")
        git(upstream.work, "branch", "-q", "-D", "main")
        git(upstream.work, "branch", "-q", "-m", "main")
        upstream.commit({"README.md": theirs}, push=False)
        upstream.push("--force")
    else:
        upstream.commit({"README.md": theirs})

    report = sync(may_push=why != "not allowed")

    assert files(folder)["README.md"] == theirs
    (told,) = [note for note in report.notes if "set aside" in note]
    match = re.search(r"branch (set-aside-[\w-]+)", told)
    assert match is not None
    assert git(folder, "show", f"{match[1]}:README.md") == mine.strip()
    assert git(folder, "show", f"{match[1]}:note.md") == "a note"
    upstream.pull()
    assert (upstream.work / "README.md").read_text() == theirs
    assert sync().changes.paths == []


@pytest.mark.slow
@pytest.mark.parametrize("why", ["both changed", "they removed", "we removed", "both added", "a name with *"])
def test_one_file_that_contradicts_is_set_aside_alone(
    sync: Sync, folder: Path, upstream: Upstream, why: str
) -> None:
    path = {"both added": "added.md", "a name with *": "data/[a]*.md"}.get(why, "README.md")
    upstream.commit({"README.md": LONG, "data/a.md": "a\n"})
    if "*" in why:
        upstream.commit({path: "old\n"})
    sync()
    mine: str | None = None if why == "we removed" else "mine\n"
    theirs: str | None = None if why == "they removed" else "theirs\n"
    if mine is None:
        (folder / path).unlink()
    else:
        (folder / path).write_text(mine)
    (folder / "note.md").write_text("a note\n")
    (folder / "data" / "a.md").write_text("b\n")
    upstream.commit({path: theirs})

    report = sync()

    pushed, aside = report.notes
    assert pushed == "local changes were committed and pushed"
    match = re.fullmatch(r'local changes to 1 file were set aside as branch (\S+): .* \("(.*)"\)', aside)
    assert match is not None
    assert match[2] == path
    changed = git(folder, "diff", "--name-only", "-z", "HEAD", match[1]).strip("\0")
    assert changed == path
    if mine is not None:
        assert git(folder, "show", f"{match[1]}:{path}") == mine.strip()
    upstream.pull()
    for place in (folder, upstream.work):
        assert (place / path).exists() == (theirs is not None)
        assert theirs is None or (place / path).read_text() == theirs
        assert (place / "note.md").read_text() == "a note\n"
        assert (place / "data" / "a.md").read_text() == "b\n"
    assert git(folder, "status", "--porcelain") == ""
    assert sync().changes.paths == []


def test_where_everything_contradicts_nothing_is_pushed(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    (folder / "README.md").write_text("mine\n")
    head = upstream.commit({"README.md": "theirs\n"})

    report = sync()

    assert not report.pushed
    assert "set aside as branch" in report.notes[0]
    assert files(folder)["README.md"] == "theirs\n"
    assert git(upstream.bare, "rev-parse", "main") == git(upstream.work, "rev-parse", "HEAD")
    del head


def test_what_was_not_changed_is_never_set_aside(
    sync: Sync, folder: Path, upstream: Upstream, server: GitServer
) -> None:
    (upstream.work / "outside").symlink_to("/etc/hostname")
    upstream.commit({".gitattributes": "* text=auto eol=crlf\n", ".gitignore": "README.md\n"})
    sync()
    for path in folder.rglob("*.yml"):
        path.chmod(0o600)
        os.utime(path, (0, 0))
    (folder / "data" / "one" / "one.yml").unlink()
    git(folder, "config", "core.autocrlf", "true")
    other = Upstream(server.root, "other")
    other.commit({"other.md": "other\n"})

    report = sync(url=f"{server.url}/other.git")

    assert report.notes == []
    assert beside(folder) == []


@pytest.mark.parametrize("what", ["ignored", "branch", "stash", "same size", "settings"])
def test_what_the_user_has_in_the_old_copy_is_kept_beside(
    sync: Sync, folder: Path, upstream: Upstream, server: GitServer, what: str
) -> None:
    if what == "settings":
        (folder / ".works").mkdir(parents=True)
        (folder / ".works" / "works.yml").write_text("site_name: Mine\ncopyright_year: 2026\n")
    else:
        upstream.commit({".gitignore": "draft\n"})
        sync()
    readme = folder / "README.md"
    if what == "ignored":
        (folder / "draft").write_text("my only copy\n")
    elif what == "same size":
        seen = readme.stat()
        readme.write_text("ho\n")
        os.utime(readme, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    elif what != "settings":
        readme.write_text("mine\n")
        if what == "stash":
            git(folder, "stash", "-q")
        else:
            git(folder, "switch", "-q", "-c", "mine")
            git(folder, "commit", "-q", "-a", "-m", "mine")
            git(folder, "switch", "-q", "main")
    other = Upstream(server.root, "other")
    other.commit({"other.md": "other\n"})

    report = sync(url=f"{server.url}/other.git")

    (kept,) = beside(folder)
    assert kept in report.notes[0]
