"""Hostile repositories, kills in the middle, two at once."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.site.content.conftest import START, TOKEN, Sync, beside, files
from tests.support.git_server import GitServer, Upstream, git


def tree(work: Path, *entries: str) -> str:
    text = "".join(f"{entry}\n" for entry in entries)
    done = subprocess.run(["git", "mktree"], cwd=work, input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()


def put(upstream: Upstream, top: str) -> None:
    commit = git(upstream.work, "commit-tree", top, "-p", "HEAD", "-m", "hostile")
    git(upstream.work, "update-ref", "refs/heads/main", commit)
    upstream.push()


def test_hostile_paths_are_never_written_outside(
    sync: Sync, folder: Path, upstream: Upstream, tmp_path: Path
) -> None:
    work = upstream.work
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=work, input=b"evil", capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip

    link = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=work, input=str(tmp_path).encode(), capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip
    inner = tree(work, f"100644 blob {blob}\thooks")
    top = tree(
        work,
        f"040000 tree {tree(work, f'100644 blob {blob}{chr(9)}escaped')}\t..",
        f"040000 tree {inner}\t.GIT",
        f"120000 blob {link}\toutside",
        f"160000 commit {git(work, 'rev-parse', 'HEAD')}\tsubmodule",
        f"100644 blob {blob}\tfine.md",
    )
    put(upstream, top)

    report = sync()

    assert files(folder) == {"fine.md": "evil"}
    assert len(report.changes.warnings) == 4
    assert not (folder.parent / "escaped").exists()
    assert not (folder / "outside").exists()
    assert "evil" not in (folder / ".git" / "HEAD").read_text()


def test_names_that_no_file_system_holds_come_and_go(sync: Sync, folder: Path, upstream: Upstream) -> None:
    work, long = upstream.work, "a" * 300
    hello = git(work, "hash-object", "-w", "README.md")
    inner = tree(work, f"100644 blob {hello}\tx.md")
    sync()

    put(
        upstream,
        tree(
            work,
            f"100644 blob {hello}\tfine.md",
            f"040000 tree {inner}\t{long}",
            f"100644 blob {hello}\t{long}.md",
        ),
    )
    report = sync()
    assert files(folder) == {"fine.md": "hi\n"}
    assert [one.rpartition(": ")[2] for one in report.changes.warnings] == ["file name too long"] * 2

    put(upstream, tree(work, f"100644 blob {hello}\tother.md"))
    sync()
    assert files(folder) == {"other.md": "hi\n"}


@pytest.mark.slow
def test_it_needs_no_git_program_and_no_home(folder: Path, server: GitServer) -> None:
    code = (
        "import datetime, pathlib, sys; from jobctl.site.content.remote import read_repository_address;"
        "from jobctl.site.content.sync import ContentFolder; from jobctl.settings.masking import Secret;"
        "folder = pathlib.Path(sys.argv[1]); address = read_repository_address(sys.argv[2], Secret(sys.argv[3]), folder.parent);"
        "print(ContentFolder(folder, address).sync().branch)"
    )
    arguments = [sys.executable, "-c", code, str(folder), f"{server.url}/content.git", TOKEN]
    done = subprocess.run(arguments, env={"PATH": ""}, capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("main", "")


@pytest.mark.faults
def test_killed_while_it_clones_the_next_sync_begins_anew(
    sync: Sync, folder: Path, server: GitServer
) -> None:
    sync()
    old = files(folder)
    code = (
        "import os, pathlib, sys; from jobctl.site.content import sync as module; from jobctl.site.content.remote import *;"
        "module.swap_in = lambda *_: os.kill(os.getpid(), 9); folder = pathlib.Path(sys.argv[1]);"
        "module.ContentFolder(folder, read_repository_address(sys.argv[2], None, folder)).sync()"
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


@pytest.mark.faults
def test_killed_while_it_writes_files_the_next_sync_goes_on(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    sync(url=upstream.bare.as_uri(), token=None)
    upstream.commit(
        {"README.md": "new\n", **{f"data/{number}.yml": f"n: {number}\n" for number in range(50)}}
    )
    code = (
        "import os, pathlib, sys; from jobctl.site.content import checkout as tree, sync as module; from jobctl.site.content.remote import *\n"
        "put, left = tree._put, iter(range(20))\n"
        "def some(*given):\n    next(left, None) is None and os.kill(os.getpid(), 9)\n    put(*given)\n"
        "tree._put = some; folder = pathlib.Path(sys.argv[1])\n"
        "module.ContentFolder(folder, read_repository_address(sys.argv[2], None, folder)).sync()"
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
