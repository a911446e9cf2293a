"""Repositories that would fill the disk or the memory, and single files that cannot be had."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha1
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError
from jobctl.memory_limit import MIB
from jobctl.settings.masking import Secret
from jobctl.site.content.limits import Limits
from jobctl.site.content.remote import read_repository_address
from jobctl.site.content.sync import ContentFolder, SyncReport
from tests.site.content.conftest import START, TOKEN, Sync, beside, files
from tests.site.content.test_hostile import put, tree
from tests.support.git_server import GIT_ENVIRONMENT, GitServer, Upstream, git

CHILD = """
import json, pathlib, resource, sys
from jobctl.site.content.remote import read_repository_address
from jobctl.site.content.sync import ContentFolder
from jobctl.site.content.limits import Limits
from jobctl.errors import JobctlError
from jobctl.settings.masking import Secret
folder, url, token, limits = sys.argv[1:]
address = read_repository_address(url, Secret(token) if token else None, pathlib.Path(folder))
target = ContentFolder(pathlib.Path(folder), address, limits=Limits(**json.loads(limits)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    said = target.sync().changes.warnings
except JobctlError as error:
    said = [type(error).__name__, str(error), str(error.hint)]
print(json.dumps([(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, said]))
"""

Take = Callable[..., SyncReport]
WAYS = pytest.mark.parametrize("over_http", [False, True], ids=["folder", "http"])


def measured(folder: Path, url: str, limits: Limits | None = None) -> tuple[int, list[str]]:
    """A sync in a process of its own: by how many MiB its memory grew, and what it said."""
    arguments = [
        str(folder),
        url,
        TOKEN if url.startswith("http") else "",
        json.dumps(asdict(limits or Limits())),
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    grown, said = json.loads(done.stdout)
    return grown, said


def blob(work: Path, data: bytes) -> str:
    command = ["git", "-c", "core.bigFileThreshold=1g", "hash-object", "-w", "--stdin"]
    done = subprocess.run(command, cwd=work, env=GIT_ENVIRONMENT, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def zeros(bare: Path, mib: int) -> str:
    """A blob of zeros. Git itself would compress it for seconds, once for each repository."""
    head = b"blob %d\0" % (mib * MIB)
    oid, data = sha1(head, usedforsecurity=False), zlib.compressobj(1)
    packed = [data.compress(head)]
    for _ in range(mib):
        oid.update(bytes(MIB))
        packed.append(data.compress(bytes(MIB)))
    name = oid.hexdigest()
    file = bare / "objects" / name[:2] / name[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"".join([*packed, data.flush()]))
    return name


def put_at_once(upstream: Upstream, top: str) -> None:
    """A commit in the bare repository itself."""
    commit = git(upstream.bare, "commit-tree", top, "-p", "main", "-m", "hostile")
    git(upstream.bare, "update-ref", "refs/heads/main", commit)


def place(upstream: Upstream, server: GitServer, *, over_http: bool) -> str:
    return f"{server.url}/content.git" if over_http else upstream.bare.as_uri()


@pytest.fixture
def take(folder: Path, upstream: Upstream) -> Take:
    def run(**limits: int) -> SyncReport:
        address = read_repository_address(upstream.bare.as_uri(), None, folder)
        return ContentFolder(folder, address, limits=Limits(**limits)).sync()

    return run


@pytest.mark.slow
@WAYS
@pytest.mark.parametrize("leaf", ["files", "empty folders"])
def test_a_tree_of_trees_with_more_paths_than_any_disk_holds(
    folder: Path, upstream: Upstream, server: GitServer, leaf: str, over_http: bool
) -> None:
    work = upstream.work
    hello = git(work, "hash-object", "-w", "README.md")
    names = range(10)
    top = tree(work, *(f"100644 blob {hello}\tf{n}" for n in names)) if leaf == "files" else tree(work)
    for _ in range(20):
        top = tree(work, *(f"040000 tree {top}\td{n}" for n in names))
    put(upstream, top)

    grown, said = measured(folder, place(upstream, server, over_http=over_http))

    assert said[0] == "PermanentJobError"
    assert "more than 200,000 files and folders" in said[1]
    assert "JOBCTL_CONTENT_MAX_FILES" in said[2]
    assert grown < 60
    assert not folder.exists()


@pytest.mark.slow
@WAYS
def test_more_bytes_in_all_than_the_limit(
    folder: Path, upstream: Upstream, server: GitServer, over_http: bool
) -> None:
    large = zeros(upstream.bare, 20)
    put_at_once(upstream, tree(upstream.bare, *(f"100644 blob {large}\t{n}" for n in range(300))))

    grown, said = measured(folder, place(upstream, server, over_http=over_http))

    assert said[0] == "PermanentJobError"
    assert "more than 5,120 MiB" in said[1]
    assert "JOBCTL_CONTENT_MAX_MIB" in said[2]
    assert grown < 120


@pytest.mark.slow
@WAYS
def test_a_file_of_zeros_is_skipped_and_the_rest_is_synced(
    folder: Path, upstream: Upstream, server: GitServer, over_http: bool
) -> None:
    upstream.commit({"fine.md": "fine\n"})
    large, hello = zeros(upstream.bare, 300), blob(upstream.bare, b"hi\n")
    put_at_once(
        upstream, tree(upstream.bare, f"100644 blob {hello}\tfine.md", f"100644 blob {large}\tzeros.bin")
    )

    grown, said = measured(folder, place(upstream, server, over_http=over_http))

    assert said == ['skipped "zeros.bin": 300 MiB are more than JOBCTL_CONTENT_MAX_FILE_MIB allows']
    assert files(folder) == {"fine.md": "hi\n"}
    assert grown < 100


@pytest.mark.slow
def test_received_bytes_have_a_limit(folder: Path, server: GitServer, upstream: Upstream) -> None:
    upstream.commit({"large.bin": os.urandom(3 * MIB)})
    address = read_repository_address(f"{server.url}/content.git", Secret(TOKEN), folder)

    with pytest.raises(PermanentJobError, match="more than 1 MiB"):
        ContentFolder(folder, address, limits=Limits(mib=1)).sync()


def pack_with_delta_bomb(base: bytes, times: int) -> tuple[bytes, str, str]:
    """A pack of a file and of a delta that makes the file, many times over, of it; the ids of both."""

    def head(kind: int, size: int) -> bytes:
        parts = [kind << 4 | size & 15]
        size >>= 4
        while size:
            parts[-1] |= 0x80
            parts.append(size & 0x7F)
            size >>= 7
        return bytes(parts)

    def number(size: int) -> bytes:
        parts = []
        while size > 0x7F:
            parts.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([*parts, size])

    small = sha1(b"blob %d\0" % len(base) + base, usedforsecurity=False)
    large = sha1(b"blob %d\0" % (len(base) * times), usedforsecurity=False)
    for _ in range(times):
        large.update(base)
    copy = bytes([0x80 | 0x70]) + len(base).to_bytes(3, "little")
    delta = number(len(base)) + number(len(base) * times) + copy * times
    body = b"PACK" + (2).to_bytes(4, "big") + (2).to_bytes(4, "big")
    body += head(3, len(base)) + zlib.compress(base)
    body += head(7, len(delta)) + small.digest() + zlib.compress(delta)
    return body + sha1(body, usedforsecurity=False).digest(), small.hexdigest(), large.hexdigest()


@WAYS
@pytest.mark.slow
def test_a_delta_of_a_few_bytes_makes_no_object_of_any_size(
    folder: Path, upstream: Upstream, server: GitServer, over_http: bool
) -> None:
    pack, small, large = pack_with_delta_bomb(bytes(15 * MIB), 24)
    subprocess.run(
        ["git", "index-pack", "--stdin"], cwd=upstream.bare, input=pack, capture_output=True, check=True
    )
    top = tree(upstream.bare, f"100644 blob {large}\tlarge", f"100644 blob {small}\tsmall")
    commit = git(upstream.bare, "commit-tree", top, "-m", "bomb")
    git(upstream.bare, "update-ref", "refs/heads/main", commit)
    url = place(upstream, server, over_http=over_http)

    grown, said = measured(folder, url, Limits(memory_mib=128))

    if over_http:
        assert said[0] == "PermanentJobError", said
        assert "more than 128 MiB of memory" in said[1]
        assert "JOBCTL_CONTENT_MAX_MEMORY_MIB" in said[2]
    else:
        assert said == ['skipped "large": 360 MiB are more than JOBCTL_CONTENT_MAX_FILE_MIB allows']
    assert grown < 140


@pytest.mark.slow
@WAYS
def test_folders_nested_without_end_are_skipped(
    folder: Path, upstream: Upstream, server: GitServer, over_http: bool
) -> None:
    work = upstream.work
    hello = git(work, "hash-object", "-w", "README.md")
    top = tree(work, f"100644 blob {hello}\tf")
    objects = subprocess.Popen(
        ["git", "mktree", "--batch", "--missing"],
        cwd=work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert objects.stdin is not None
    assert objects.stdout is not None
    for _ in range(3000):
        objects.stdin.write(f"040000 tree {top}\td\n\n")
        objects.stdin.flush()
        top = objects.stdout.readline().strip()
    objects.stdin.close()
    objects.stdout.close()
    objects.wait()
    put(upstream, tree(work, f"040000 tree {top}\td", f"100644 blob {hello}\tfine.md"))

    grown, said = measured(folder, place(upstream, server, over_http=over_http))

    assert len(said) == 1
    assert "a folder deeper than JOBCTL_CONTENT_MAX_DEPTH allows" in said[0]
    assert files(folder) == {"fine.md": "hi\n"}
    assert grown < 60
    assert measured(folder, place(upstream, server, over_http=over_http))[1] == []


def test_what_a_raised_limit_allows_is_written(take: Take, folder: Path, upstream: Upstream) -> None:
    upstream.commit({"large.bin": b"0" * 2 * MIB, "a/b/c/d.md": "deep\n"})

    warnings = take(file_mib=1, depth=2).changes.warnings
    assert len(warnings) == 2
    assert take(file_mib=1, depth=2).changes.warnings == []
    assert take().changes.added == ["a/b/c/d.md", "large.bin"]
    assert (folder / "a" / "b" / "c" / "d.md").read_text() == "deep\n"
    assert (folder / "large.bin").stat().st_size == 2 * MIB


BAD_LINKS = {
    "nowhere": "a broken link",
    "bad": "a broken link",
    ".": "a link to a folder that contains it",
    "/etc/passwd": "a link to a path outside the folder",
    "../x": "a link to a path outside the folder",
    "x" * 5000: "a broken link",
}


@pytest.mark.parametrize("target", BAD_LINKS)
def test_a_bad_link_is_named_and_the_rest_is_synced(
    take: Take, folder: Path, upstream: Upstream, target: str
) -> None:
    hello, link = blob(upstream.work, b"hi\n"), blob(upstream.work, target.encode())
    put(upstream, tree(upstream.work, f"120000 blob {link}\tbad", f"100644 blob {hello}\tfine.md"))

    assert take().changes.warnings == [f'skipped "bad": {BAD_LINKS[target]}']

    assert files(folder) == {"fine.md": "hi\n"}
    assert not (folder / "bad").is_symlink()
    put(
        upstream,
        tree(
            upstream.work,
            f"120000 blob {link}\tbad",
            f"100644 blob {hello}\tfine.md",
            f"100644 blob {hello}\tnowhere",
        ),
    )
    assert take().changes.warnings == []
    assert (folder / "bad").is_symlink() is (target == "nowhere")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\\b", "its name has a backslash or control characters"),
        ("a\nb", "its name has a backslash or control characters"),
        ("\x1b[2J", "its name has a backslash or control characters"),
        ("caf\udce9", "its name is not UTF-8"),
        (".git ", "a path that must not be written"),
    ],
)
def test_a_bad_name_is_named_and_the_rest_is_synced(
    take: Take, folder: Path, upstream: Upstream, name: str, reason: str
) -> None:
    hello = blob(upstream.work, b"hi\n")
    entries = f"100644 blob {hello}\tfine.md\x00100644 blob {hello}\t{name}\x00".encode(
        "utf-8", "surrogateescape"
    )
    done = subprocess.run(
        ["git", "mktree", "-z"], cwd=upstream.work, input=entries, capture_output=True, check=True
    )
    put(upstream, done.stdout.decode().strip())

    (warning,) = take().changes.warnings

    assert warning.endswith(reason)
    assert warning.isprintable()
    assert files(folder) == {"fine.md": "hi\n"}


@pytest.mark.parametrize("fault", ["missing", "damaged"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_object_that_is_not_there_is_named_and_the_rest_is_synced(
    take: Take, folder: Path, upstream: Upstream, fault: str, kind: str
) -> None:
    upstream.commit({"bad/bad.md": "some text that is not there\n"})
    oid = git(upstream.work, "rev-parse", "HEAD:bad" if kind == "folder" else "HEAD:bad/bad.md")
    found = upstream.bare / "objects" / oid[:2] / oid[2:]
    found.chmod(0o600)
    if fault == "missing":
        found.unlink()
    else:
        found.write_bytes(found.read_bytes()[:-5])

    (warning,) = take().changes.warnings

    assert "missing or damaged in the repository" in warning
    assert "README.md" in files(folder)
    if (kind, fault) == ("folder", "damaged"):
        return  # git takes no push there
    upstream.commit({"README.md": "new\n"})
    assert take().notes == []
    assert files(folder)["README.md"] == "new\n"


def put_without_name(upstream: Upstream, *, below: bool) -> None:
    """A commit that has a file with an empty name, which no git program makes, pushes or serves."""
    bare = upstream.bare
    hello = git(bare, "rev-parse", "main:README.md")
    data = b"100644 \0" + bytes.fromhex(hello)
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=bare, input=data, capture_output=True, check=True,
    )  # fmt: skip
    top = done.stdout.decode().strip()
    if below:
        top = tree(bare, f"040000 tree {top}\tbad", f"100644 blob {hello}\tfine.md")
    git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", top, "-p", "main", "-m", "bad"))


@pytest.mark.parametrize("first", [True, False])
def test_a_folder_with_an_empty_name_in_it_is_named_and_the_rest_is_synced(
    sync: Sync, folder: Path, upstream: Upstream, first: bool
) -> None:
    url = upstream.bare.as_uri()
    if not first:
        sync(url=url)
    put_without_name(upstream, below=True)

    assert sync(url=url).changes.warnings == [
        'skipped "bad": a folder that is missing or damaged in the repository'
    ]
    assert files(folder) == {"fine.md": "hi\n"}


@pytest.mark.parametrize("first", [True, False])
def test_a_commit_that_cannot_be_read_is_the_repositorys_fault(
    sync: Sync, folder: Path, upstream: Upstream, first: bool
) -> None:
    url = upstream.bare.as_uri()
    if not first:
        sync(url=url)
    put_without_name(upstream, below=False)

    with pytest.raises(PermanentJobError) as caught:
        sync(url=url)

    assert str(caught.value).startswith(f"the content repository {url} is damaged: ")
    assert "git fsck" in str(caught.value.hint)
    assert files(folder) == ({} if first else START)
    assert beside(folder) == []


def test_pointers_of_git_lfs_are_counted_once(take: Take, upstream: Upstream) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12\n"
    upstream.commit({f"{n}.png": pointer.format(str(n) * 64) for n in range(3)})

    (warning,) = take().changes.warnings

    assert warning == '3 files ("0.png" first) are pointers of Git LFS, whose content jobctl does not fetch'
