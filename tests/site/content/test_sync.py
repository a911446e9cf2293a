"""The content folder against a real Git server on loopback."""

import fcntl
import threading
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError, ServiceError
from tests.site.content.conftest import START, TOKEN, Sync, beside, files
from tests.support.git_server import GitServer, Upstream, git


def test_the_first_time_is_a_shallow_clone_that_is_swapped_in(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    upstream.commit({"data/two/two.yml": "name: Two\n"})

    report = sync()

    assert files(folder) == {**START, "data/two/two.yml": "name: Two\n"}
    assert (report.first, report.branch, len(report.changes.added)) == (True, "main", 4)
    assert report.head == git(upstream.work, "rev-parse", "HEAD")
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    assert git(folder, "status", "--porcelain") == ""
    assert beside(folder) == []


def test_folders_of_the_users_beside_it_are_left_alone(sync: Sync, folder: Path) -> None:
    sync()
    ours = [folder.with_name(f"{folder.name}.{kind}-123-0123abcd") for kind in ("old", "new")]
    mine = [
        folder.with_name(folder.name + end)
        for end in (".old-2025-backup", ".new-design", ".old-1-0123abcd.zip", ".new-x-0123abcd")
    ]
    for path in (*ours, *mine):
        path.mkdir()
        (path / "note.md").write_text("my only copy")

    sync()

    assert [path.exists() for path in ours] == [False, False]
    assert [(path / "note.md").read_text() for path in mine] == ["my only copy"] * 4


def test_with_nothing_new_the_server_is_asked_once_without_the_token_and_once_with_it(
    sync: Sync, server: GitServer
) -> None:
    sync()
    server.authorizations.clear()

    report = sync()

    assert (report.commits, report.changes.paths) == (0, [])
    assert [bool(one) for one in server.authorizations] == [False, True]


def test_only_what_changed_is_fetched_and_written(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.md")}
    upstream.commit({"data/one/one.yml": "name: Uno\n", "data/two/two.yml": "name: Two\n"})
    upstream.commit({"data/one/one.yml": None, "data/three/three.yml": "name: Three\n"})
    upstream.commit({"data/two/two.yml": "name: Zwei\n"})

    report = sync()

    assert report.commits == 3
    assert (report.changes.added, report.changes.changed, report.changes.removed) == (
        ["data/three/three.yml", "data/two/two.yml"],
        [],
        ["data/one/one.yml"],
    )
    assert not (folder / "data" / "one").exists()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.md")} == before
    assert git(folder, "status", "--porcelain") == ""


def test_the_token_is_nowhere_on_disk(
    sync: Sync, folder: Path, server: GitServer, upstream: Upstream
) -> None:
    sync(url=server.url.replace("http://", f"http://x-access-token:{TOKEN}@") + "/content.git", token=None)
    upstream.commit({"README.md": "new\n"})
    sync()

    kept = [path for path in folder.parent.rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]
    assert git(folder, "remote", "get-url", "origin") == f"{server.url}/content.git"


@pytest.mark.parametrize(
    ("token", "words", "hint"),
    [("wrong", "refuses the token", "GH_TOKEN"), (None, "asks for a token", "set GH_TOKEN")],
)
def test_a_wrong_or_missing_token(sync: Sync, folder: Path, token: str | None, words: str, hint: str) -> None:
    with pytest.raises(PermanentJobError, match=words) as caught:
        sync(token=token)

    assert hint in str(caught.value.hint)
    assert "wrong" not in str(caught.value)
    assert not folder.exists()
    assert beside(folder) == []


def test_no_such_repository(sync: Sync, server: GitServer) -> None:
    with pytest.raises(PermanentJobError, match="there is no repository at"):
        sync(url=f"{server.url}/nothing.git")


def test_an_empty_repository(sync: Sync, server: GitServer, folder: Path) -> None:
    Upstream(server.root, "empty")

    with pytest.raises(PermanentJobError, match="is empty"):
        sync(url=f"{server.url}/empty.git")
    assert beside(folder) == []


def test_a_branch_that_the_remote_has_not(sync: Sync, folder: Path, upstream: Upstream) -> None:
    first = sync(branch="master")
    upstream.commit({"README.md": "new\n"})
    second, third = sync(branch="master"), sync(branch="master")

    assert (first.branch, files(folder)["README.md"]) == ("main", "new\n")
    assert {one.warning for one in (first, second, third)} == {
        'the content repository has no branch "master" (GITHUB_BRANCH): its default branch main is used'
    }
    assert sync(branch="main").warning is sync().warning is None


def test_an_unreachable_server(sync: Sync) -> None:
    with pytest.raises(ServiceError, match="did not answer"):
        sync(url="http://127.0.0.1:9/content.git")


def test_a_server_that_says_nothing_is_given_up(sync: Sync, server: GitServer) -> None:
    server.silent = threading.Event()

    with pytest.raises(ServiceError):
        sync(step=0.3)


def test_a_server_that_breaks_off_leaves_the_old_content(
    sync: Sync, server: GitServer, folder: Path, upstream: Upstream
) -> None:
    server.break_after = 40
    with pytest.raises(ServiceError):
        sync()
    assert not folder.exists()
    server.break_after = None
    sync()
    upstream.commit({"README.md": "new\n"})
    server.break_after = 40

    with pytest.raises(ServiceError):
        sync()
    assert files(folder) == START

    server.break_after = None
    sync()
    assert files(folder)["README.md"] == "new\n"


def test_a_rewritten_history_is_taken_over(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    upstream.commit({"README.md": "older\n"})
    sync()
    git(upstream.work, "reset", "-q", "--hard", "HEAD~1")
    upstream.commit({"other.md": "rewritten\n"}, push=False)
    upstream.push("--force")

    report = sync()

    assert files(folder) == {**START, "other.md": "rewritten\n"}
    assert "rewritten" in report.notes[0]


def test_another_default_branch_is_followed(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    git(upstream.work, "checkout", "-q", "-b", "next")
    upstream.commit({"README.md": "next\n"})
    git(upstream.bare, "symbolic-ref", "HEAD", "refs/heads/next")

    report = sync()

    assert report.branch == "next"
    assert files(folder)["README.md"] == "next\n"


def test_a_branch_that_was_asked_for(sync: Sync, folder: Path, upstream: Upstream) -> None:
    git(upstream.work, "checkout", "-q", "-b", "draft")
    upstream.commit({"README.md": "draft\n"})

    assert sync(branch="draft").branch == "draft"
    assert files(folder)["README.md"] == "draft\n"


def test_another_repository_takes_the_place(sync: Sync, folder: Path, server: GitServer) -> None:
    sync()
    other = Upstream(server.root, "other")
    other.commit({"other.md": "other\n"})

    report = sync(url=f"{server.url}/other.git")

    assert report.first
    assert files(folder) == {"other.md": "other\n"}
    assert beside(folder) == []


def test_a_folder_with_a_users_files_is_set_aside(sync: Sync, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.md").write_text("mine\n")

    report = sync()

    assert files(folder) == START
    (kept,) = beside(folder)
    assert (folder.parent / kept / "mine.md").read_text() == "mine\n"
    assert kept in report.notes[0]


@pytest.mark.parametrize("as_path", [True, False])
def test_a_repository_in_a_folder(sync: Sync, folder: Path, upstream: Upstream, as_path: bool) -> None:
    url = str(upstream.bare) if as_path else upstream.bare.as_uri()
    sync(url=url, token=None)
    upstream.commit({"README.md": "new\n"})

    assert sync(url=url, token=None).changes.changed == ["README.md"]
    assert files(folder)["README.md"] == "new\n"


def test_no_such_folder(sync: Sync, tmp_path: Path) -> None:
    with pytest.raises(PermanentJobError, match="there is no repository"):
        sync(url=str(tmp_path / "nowhere"), token=None)


@pytest.mark.parametrize("over_http", [True, False])
def test_the_case_of_a_scheme_does_not_count(
    sync: Sync, folder: Path, upstream: Upstream, server: GitServer, over_http: bool
) -> None:
    url = f"{server.url}/content.git" if over_http else upstream.bare.as_uri()
    scheme, _, rest = url.partition(":")
    sync(url=f"{scheme.upper()}:{rest}")

    assert files(folder) == START
    assert git(folder, "remote", "get-url", "origin") == url


@pytest.mark.parametrize(
    "address", ["git@github.com:a/b.git", "ssh://git@github.com/a/b", "ftp://x/y", "https://"]
)
def test_addresses_that_cannot_be_used(sync: Sync, address: str) -> None:
    with pytest.raises(PermanentJobError, match="DATA_REPOSITORY is"):
        sync(url=address)


def test_nothing_beside_it_is_seen_by_the_sites_git(sync: Sync, folder: Path) -> None:
    git(folder.parent, "init", "-q", ".")
    (folder.parent / ".gitignore").write_text(".content\n")

    sync()

    assert git(folder.parent, "status", "--porcelain") == "?? .gitignore"
    assert (folder.parent / ".jobctl" / "content.lock").exists()


@pytest.mark.parametrize("name", [".content.lock", ".jobctl/content.lock"])
def test_a_sync_that_is_on_is_waited_for_also_one_of_an_older_jobctl(
    sync: Sync, folder: Path, name: str
) -> None:
    sync()
    path = folder.parent / name
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ServiceError, match="another sync of the content folder is still running"):
            sync(step=0.3)

    sync()

    assert not (folder.parent / ".content.lock").exists()
