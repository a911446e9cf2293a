"""The content folder after kills, damage and full disks, and beside what others do in it."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pygit2
import pytest

from jobctl.errors import PermanentJobError, ServiceError
from tests.site.content.conftest import Sync
from tests.site.content.test_local_changes import LONG
from tests.support.git_server import Upstream, git
from tests.support.serving import Server

pytestmark = pytest.mark.faults

CHILD = """
import os, pathlib, resource, signal, sys
from jobctl.site.content import checkout as tree, sync as module
from jobctl.site.content.remote import read_repository_address
def die():
    os.kill(os.getpid(), signal.SIGKILL)
{code}
folder = pathlib.Path(sys.argv[1])
module.ContentFolder(folder, read_repository_address(sys.argv[2], None, folder)).sync()
"""


def child(folder: Path, url: str, code: str) -> subprocess.CompletedProcess[str]:
    """A sync in a process of its own, with ``code`` run before it."""
    return subprocess.run(
        [sys.executable, "-c", CHILD.format(code=code), str(folder), url],
        check=False,
        capture_output=True,
        text=True,
    )


def killed(folder: Path, url: str, code: str) -> None:
    done = child(folder, url, code)
    assert done.returncode == -signal.SIGKILL, done.stderr


LOCKS = ["index.lock", "config.lock", "HEAD.lock", "refs/heads/main.lock", "refs/jobctl/synced.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_that_a_killed_sync_left_is_removed(
    sync: Sync, folder: Path, upstream: Upstream, url: str, lock: str
) -> None:
    tip = upstream.commit({"README.md": "new\n"})
    killed(folder, url, "module.fill_index = lambda *_: die()")
    (folder / ".git" / lock).write_text("")

    sync(url=url, token=None)

    assert git(folder, "rev-parse", "HEAD") == tip
    assert not list((folder / ".git").rglob("*.lock"))


def test_a_lock_of_another_program_is_left_and_reported(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    upstream.commit({"README.md": "new\n"})
    lock = folder / ".git" / "index.lock"
    lock.write_text("")

    with pytest.raises(ServiceError, match="another git program is working") as caught:
        sync(url=url, token=None)

    assert lock.exists()
    assert ".lock" in str(caught.value.hint)
    lock.unlink()
    sync(url=url, token=None)
    assert (folder / "README.md").read_text() == "new\n"


KILLS = {
    "removing": "real, left = tree._remove, iter(range(5))\n"
    "def some(*given):\n    next(left, None) is None and die()\n    real(*given)\ntree._remove = some",
    "before a rename": "pathlib.Path.replace = lambda one, other: die() if one.name == 'jobctl-new' else os.replace(one, other)",
    "before the index": "module.fill_index = lambda *_: die()",
    **{
        f"after {name}": "import pygit2\nkind = pygit2.repository.References\nreal = kind.create\n"
        "def create(self, name, *more, **named):\n    real(self, name, *more, **named)\n"
        f"    name == {name!r} and die()\nkind.create = create"
        for name in ("refs/remotes/origin/main", "refs/heads/main", "refs/jobctl/synced")
    },
}


@pytest.mark.parametrize("again", [False, True], ids=["nothing newer", "newer meanwhile"])
@pytest.mark.parametrize("kill", KILLS)
def test_what_a_kill_left_half_done_is_no_local_change(
    sync: Sync, folder: Path, upstream: Upstream, url: str, kill: str, again: bool
) -> None:
    upstream.commit({f"old/{number}.yml": f"{number}\n" for number in range(10)})
    sync(url=url, token=None)
    (folder / "mine.md").write_text("mine\n")
    removed: dict[str, str | bytes | None] = {f"old/{number}.yml": None for number in range(10)}
    tip = upstream.commit({**removed, "README.md": "new\n", "passing.md": "1\n"})
    killed(folder, url, KILLS[kill])
    if again:
        tip = upstream.commit({"README.md": "newer\n", "passing.md": None})

    report = sync(url=url, token=None)

    assert (report.notes, report.pushed) == ([], False)
    assert git(upstream.bare, "rev-parse", "main") == tip
    assert git(folder, "rev-parse", "HEAD") == tip
    assert git(folder, "status", "--porcelain") == "?? mine.md"
    assert "README.md" in report.changes.paths
    assert sync(url=url, token=None).changes.paths == []


def test_what_is_changed_after_a_kill_is_kept(sync: Sync, folder: Path, upstream: Upstream, url: str) -> None:
    upstream.commit({"README.md": "new\n", "other.md": "o\n"})
    killed(folder, url, KILLS["before the index"])
    (folder / "README.md").write_text("mine\n")

    sync(url=url, token=None)

    assert (folder / "README.md").read_text() == "mine\n"
    assert (folder / "other.md").read_text() == "o\n"


def test_a_kill_right_after_the_swap_loses_no_kept_folder(
    sync: Sync, folder: Path, upstream: Upstream
) -> None:
    folder.mkdir()
    (folder / "mine.md").write_text("mine\n")
    code = "real = module.swap_in\ndef swap(*given):\n    real(*given)\n    die()\nmodule.swap_in = swap"
    killed(folder, upstream.bare.as_uri(), code)

    sync(url=upstream.bare.as_uri(), token=None)

    (kept,) = folder.parent.glob(".content.before-*/mine.md")
    assert kept.read_text() == "mine\n"


def test_a_full_disk_ends_the_sync_and_the_next_goes_on(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    data = os.urandom(200_000)
    upstream.commit({"a.md": "a\n", "big.bin": data, "z.md": "z\n"})
    full = (
        "real = module.apply\ndef apply(*given):\n    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "    return real(*given)\nmodule.apply = apply\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    )

    done = child(folder, url, full)

    assert "ServiceError" in done.stderr
    assert "cannot be written" in done.stderr
    assert not (folder / "big.bin").exists()
    assert sync(url=url, token=None).changes.added == ["a.md", "big.bin", "z.md"]
    assert (folder / "big.bin").read_bytes() == data


def test_a_damaged_copy_is_cloned_anew_and_kept(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    (folder / "mine.md").write_text("mine\n")
    for path in (folder / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    upstream.commit({"README.md": "new\n"})

    report = sync()

    assert (folder / "README.md").read_text() == "new\n"
    assert "the copy was damaged" in report.notes[-1]
    (kept,) = folder.parent.glob(".content.before-*/mine.md")
    assert kept.read_text() == "mine\n"


def test_many_fetches_leave_few_packs(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    packs = folder / ".git" / "objects" / "pack"
    bare = pygit2.Repository(str(folder / ".git"))
    for number in range(60):  # as a fetch would bring them
        builder = pygit2.PackBuilder(bare)
        builder.add(bare.create_blob(f"{number}"))
        builder.write(str(packs))
    assert len(list(packs.glob("*.pack"))) > 50
    tip = upstream.commit({"README.md": "new\n"})

    sync()

    assert len(list(packs.glob("*.pack"))) == 1
    git(folder, "fsck", "--strict")
    assert git(folder, "rev-parse", "HEAD") == tip
    (folder / "README.md").write_text("mine\n")
    upstream.commit({"README.md": "theirs\n"})
    assert "set aside" in sync().notes[0]


def test_what_the_site_pushed_itself_is_not_committed_again(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    (folder / "README.md").write_text("by the site\n")
    git(folder, "commit", "-q", "-a", "-m", "site")
    git(folder, "push", "-q", "origin", "HEAD")
    tip = git(upstream.bare, "rev-parse", "main")

    report = sync(url=url, token=None)

    assert (report.notes, report.pushed, report.head) == ([], False, tip)
    assert git(upstream.bare, "rev-parse", "main") == tip
    assert git(folder, "status", "--porcelain") == ""


def commit_submodule(upstream: Upstream, commit: str, readme: str) -> str:
    git(upstream.work, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    (upstream.work / "README.md").write_text(readme)
    git(upstream.work, "add", "README.md")
    git(upstream.work, "commit", "-q", "-m", "submodule")
    upstream.push()
    return git(upstream.work, "rev-parse", "HEAD")


def test_a_submodule_that_moves_is_no_local_change(sync: Sync, upstream: Upstream, url: str) -> None:
    commit_submodule(upstream, "1" * 40, "a\n")
    sync(url=url, token=None)
    tip = commit_submodule(upstream, "2" * 40, "b\n")

    assert sync(url=url, token=None).notes == []
    assert git(upstream.bare, "rev-parse", "main") == tip


def test_a_push_takes_no_submodule_and_no_link_away(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    (upstream.work / "outside").symlink_to("../elsewhere")
    git(upstream.work, "add", "outside")
    commit_submodule(upstream, "1" * 40, LONG)
    sync(url=url, token=None)
    (folder / "README.md").write_text(LONG.replace("line 2\n", "mine\n"))
    commit_submodule(upstream, "1" * 40, LONG.replace("line 17\n", "theirs\n"))

    assert sync(url=url, token=None).pushed
    assert {"sub", "outside"} <= set(git(upstream.bare, "ls-tree", "--name-only", "main").split())


@pytest.mark.parametrize(("mine", "theirs"), [("draft", "draft"), ("draft", "draft/x"), ("draft/x", "draft")])
def test_an_ignored_file_in_the_way_is_set_aside(
    sync: Sync, folder: Path, upstream: Upstream, url: str, mine: str, theirs: str
) -> None:
    upstream.commit({".gitignore": "draft\n"})
    sync(url=url, token=None)
    (folder / mine).parent.mkdir(exist_ok=True)
    (folder / mine).write_text("mine\n")
    (upstream.work / theirs).parent.mkdir(exist_ok=True)
    (upstream.work / theirs).write_text("theirs\n")
    git(upstream.work, "add", "-f", theirs)
    git(upstream.work, "commit", "-q", "-m", "theirs")
    upstream.push()

    report = sync(url=url, token=None)

    assert (folder / theirs).read_text() == "theirs\n"
    name = report.notes[0].partition("branch ")[2].partition(":")[0]
    assert git(folder, "show", f"{name}:{mine}") == "mine"


def test_a_folder_that_becomes_a_file_and_back(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    upstream.commit({"thing/a.md": "a\n", "thing/b/c.md": "c\n"})
    sync(url=url, token=None)
    upstream.commit({"thing/a.md": None, "thing/b/c.md": None})
    git(upstream.work, "clean", "-f", "-d", "-q")
    upstream.commit({"thing": "file\n"})
    assert sync(url=url, token=None).notes == []
    assert (folder / "thing").read_text() == "file\n"
    upstream.commit({"thing": None})
    upstream.commit({"thing/a.md": "back\n"})

    assert sync(url=url, token=None).notes == []
    assert (folder / "thing" / "a.md").read_text() == "back\n"


def test_line_ends_that_git_would_change_are_no_local_change(
    sync: Sync, folder: Path, upstream: Upstream, url: str
) -> None:
    def put(data: bytes) -> str:
        command = ["git", "hash-object", "-w", "--no-filters", "--stdin"]
        done = subprocess.run(command, cwd=upstream.work, input=data, capture_output=True, check=True)
        git(upstream.work, "update-index", "--add", "--cacheinfo", f"100644,{done.stdout.decode().strip()},a")
        git(upstream.work, "commit", "-q", "-m", "crlf")
        upstream.push()
        return git(upstream.work, "rev-parse", "HEAD")

    upstream.commit({".gitattributes": "* text=auto\n"})
    put(b"a\r\nb\r\n")
    sync(url=url, token=None)
    tip = put(b"a\r\nc\r\n")

    assert sync(url=url, token=None).notes == []
    assert (folder / "a").read_bytes() == b"a\r\nc\r\n"
    assert git(upstream.bare, "rev-parse", "main") == tip


def test_a_default_branch_below_the_old_one(sync: Sync, folder: Path, upstream: Upstream) -> None:
    sync()
    git(upstream.bare, "branch", "-m", "main", "main/v2")
    git(upstream.bare, "symbolic-ref", "HEAD", "refs/heads/main/v2")

    assert sync().branch == "main/v2"
    git(upstream.bare, "branch", "-m", "main/v2", "main")
    git(upstream.bare, "symbolic-ref", "HEAD", "refs/heads/main")
    upstream.commit({"README.md": "new\n"})

    assert sync().branch == "main"
    assert (folder / "README.md").read_text() == "new\n"


@pytest.mark.parametrize(
    ("target", "stays"),
    [("data", True), ("../a", False), ("/etc", False), ("data/../../a", False), ("d2/../../../a", False), (".git/config", False)],
)  # fmt: skip
def test_links_never_lead_outside(
    sync: Sync, folder: Path, upstream: Upstream, target: str, stays: bool
) -> None:
    (upstream.work / "deep" / "er").mkdir(parents=True)
    (upstream.work / "d2").symlink_to("deep/er")
    (upstream.work / "link").symlink_to(target)
    upstream.commit({"deep/er/x": "x\n"})

    sync()

    assert (folder / "d2").is_symlink()
    assert (folder / "link").is_symlink() is stays


def test_a_content_folder_that_is_a_link_stays_one(sync: Sync, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    folder.symlink_to(tmp_path / "volume" / "content")

    sync()
    sync()

    assert folder.is_symlink()
    assert (tmp_path / "volume" / "content" / "README.md").read_text() == "hi\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_an_untrusted_certificate_is_not_given_the_token(sync: Sync, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with pytest.raises(PermanentJobError, match="certificate of localhost is not trusted"):
            sync(url=f"https://localhost:{server.server_port}/content.git")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert seen == []
