"""The content folder against a real Git server on loopback."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError, ServiceError
from tests.content.conftest import TOKEN, Sync
from tests.support.git_server import GitServer, Upstream, git


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


START = {".works/works.yml": "site_name: A\n", "README.md": "hi\n", "data/one/one.yml": "name: One\n"}


def beside(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.parent.iterdir() if path.name not in {".content", ".content.lock"}
    )


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


def test_with_nothing_new_it_costs_one_round_trip(sync: Sync, server: GitServer) -> None:
    sync()
    server.requests.clear()

    report = sync()

    assert (report.commits, report.changes.paths) == (0, [])
    assert len(server.requests) == 1


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


def test_no_such_branch(sync: Sync) -> None:
    with pytest.raises(PermanentJobError, match='no branch "nope"'):
        sync(branch="nope")


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


@pytest.mark.parametrize("why", ["contradiction", "refused", "not allowed", "rewritten"])
def test_what_cannot_be_pushed_is_set_aside_and_told(
    sync: Sync, folder: Path, upstream: Upstream, server: GitServer, why: str
) -> None:
    upstream.commit({"README.md": LONG})
    sync()
    mine = LONG.replace("line 2\n", "mine\n")
    (folder / "README.md").write_text(mine)
    (folder / "note.md").write_text("a note\n")
    line = "line 2\n" if why == "contradiction" else "line 17\n"
    theirs = LONG.replace(line, "theirs\n")
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


def test_another_repository_takes_the_place(sync: Sync, folder: Path, server: GitServer) -> None:
    sync()
    other = Upstream(server.root, "other")
    other.commit({"other.md": "other\n"})

    report = sync(url=f"{server.url}/other.git")

    assert report.first
    assert files(folder) == {"other.md": "other\n"}
    assert beside(folder) == []


def test_a_folder_with_somebodys_files_is_kept_beside(sync: Sync, folder: Path) -> None:
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


def test_a_redirect_within_the_host_is_followed(
    sync: Sync, folder: Path, server: GitServer, upstream: Upstream
) -> None:
    from tests.support.git_server import serving

    with serving(upstream.bare.parent, redirect_to=server.url) as old:
        sync(url=f"{old.url}/content.git")

    assert files(folder) == START


def test_a_redirect_to_another_host_is_not_given_the_token(
    sync: Sync, server: GitServer, upstream: Upstream
) -> None:
    from tests.support.git_server import serving

    elsewhere = server.url.replace("127.0.0.1", "localhost")
    with (
        serving(upstream.bare.parent, redirect_to=elsewhere) as old,
        pytest.raises((PermanentJobError, ServiceError)),
    ):
        sync(url=f"{old.url}/content.git")

    assert [one for one in server.authorizations if one] == []


@pytest.mark.parametrize(
    "address", ["git@github.com:a/b.git", "ssh://git@github.com/a/b", "ftp://x/y", "https://"]
)
def test_addresses_that_cannot_be_used(sync: Sync, address: str) -> None:
    with pytest.raises(PermanentJobError, match="DATA_REPOSITORY is"):
        sync(url=address)


def test_hostile_paths_are_never_written_outside(
    sync: Sync, folder: Path, upstream: Upstream, tmp_path: Path
) -> None:
    work = upstream.work
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=work, input=b"evil", capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip

    def tree(*entries: str) -> str:
        text = "".join(f"{entry}\n" for entry in entries)
        done = subprocess.run(
            ["git", "mktree"], cwd=work, input=text.encode(), capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    link = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=work, input=str(tmp_path).encode(), capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip
    inner = tree(f"100644 blob {blob}\thooks")
    top = tree(
        f"040000 tree {tree(f'100644 blob {blob}{chr(9)}escaped')}\t..",
        f"040000 tree {inner}\t.GIT",
        f"120000 blob {link}\toutside",
        f"160000 commit {git(work, 'rev-parse', 'HEAD')}\tsubmodule",
        f"100644 blob {blob}\tfine.md",
    )
    commit = git(work, "commit-tree", top, "-p", "HEAD", "-m", "hostile")
    git(work, "update-ref", "refs/heads/main", commit)
    upstream.push()

    report = sync()

    assert files(folder) == {"fine.md": "evil"}
    assert len(report.changes.warnings) == 4
    assert not (folder.parent / "escaped").exists()
    assert not (folder / "outside").exists()
    assert "evil" not in (folder / ".git" / "HEAD").read_text()


def test_it_needs_no_git_program_and_no_home(folder: Path, server: GitServer) -> None:
    code = (
        "import datetime, pathlib, sys; from jobctl.content.address import read_address;"
        "from jobctl.content.folder import ContentFolder; from jobctl.settings.secret import Secret;"
        "folder = pathlib.Path(sys.argv[1]); address = read_address(sys.argv[2], Secret(sys.argv[3]), folder.parent);"
        "print(ContentFolder(folder, address).sync().branch)"
    )
    arguments = [sys.executable, "-c", code, str(folder), f"{server.url}/content.git", TOKEN]
    done = subprocess.run(arguments, env={"PATH": ""}, capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("main", "")


@pytest.mark.fault
def test_killed_while_it_clones_the_next_sync_begins_anew(
    sync: Sync, folder: Path, server: GitServer
) -> None:
    sync()
    old = files(folder)
    code = (
        "import os, pathlib, sys; from jobctl.content import folder as module; from jobctl.content.address import *;"
        "module.swap_in = lambda *_: os.kill(os.getpid(), 9); folder = pathlib.Path(sys.argv[1]);"
        "module.ContentFolder(folder, read_address(sys.argv[2], None, folder)).sync()"
    )
    other = Upstream(server.root, "other")
    other.commit({"other.md": "other\n"})
    url = other.bare.as_uri()
    done = subprocess.run([sys.executable, "-c", code, str(folder), url], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(beside(folder)) == 1
    assert files(folder) == old

    sync(url=url, token=None)

    assert files(folder) == {"other.md": "other\n"}
    assert beside(folder) == []


@pytest.mark.fault
def test_killed_while_it_writes_files_the_next_sync_goes_on(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    sync(url=upstream.bare.as_uri(), token=None)
    upstream.commit(
        {"README.md": "new\n", **{f"data/{number}.yml": f"n: {number}\n" for number in range(50)}}
    )
    code = (
        "import os, pathlib, sys; from jobctl.content import folder as module, tree; from jobctl.content.address import *\n"
        "put, left = tree._put, iter(range(20))\n"
        "def some(*given):\n    next(left, None) is None and os.kill(os.getpid(), 9)\n    put(*given)\n"
        "tree._put = some; folder = pathlib.Path(sys.argv[1])\n"
        "module.ContentFolder(folder, read_address(sys.argv[2], None, folder)).sync()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder), upstream.bare.as_uri()], check=False)
    assert done.returncode == -signal.SIGKILL

    report = sync(url=upstream.bare.as_uri(), token=None)

    assert files(folder)["README.md"] == "new\n"
    assert len(files(folder)) == 53
    assert report.notes == []
    assert git(folder, "status", "--porcelain") == ""


def test_two_at_once_take_turns(sync: Sync, folder: Path) -> None:
    errors: list[BaseException] = []

    def one() -> None:
        try:
            sync()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert files(folder) == START
    assert beside(folder) == []
