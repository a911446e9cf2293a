"""A file system that refuses locks, as some network file systems do: reported in one sentence that names it."""

import errno
import shutil
import subprocess
from pathlib import Path

import pytest

from jobctl import files
from jobctl.errors import PermanentJobError
from jobctl.site.content.folder_swap import sync_lock
from tests.support.project import Site

pytestmark = pytest.mark.faults
JOBS = '[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n'


def refusing(call: str, error: str, after: int = 0) -> list[str]:
    """The start of a command line under which the kernel answers a call with an error, all but the first ones."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    words = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error={error}:when={after + 1}+",
    ]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs ptrace")
    return words


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, "def hello(): pass\n")
    return site


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP"])
@pytest.mark.parametrize("words", [["run"], ["trigger", "hello"]], ids=" ".join)
def test_a_new_store(words: list[str], error: str, site: Site) -> None:
    site.prefix = refusing("flock", error)

    told = site.call(*words)

    assert told.returncode == 70
    assert told.stderr.count("error:") == 1
    kind = subprocess.run(["stat", "-f", "-c", "%T", site.folder], capture_output=True, text=True, check=True)
    assert "refuses locks" in told.stderr
    assert "its file system (" in told.stderr
    assert kind.stdout.strip().split("/")[0][:3] in told.stderr
    assert "set JOBCTL_STATE" in told.stderr
    assert "bug" not in told.stderr


@pytest.mark.parametrize("words", [["status"], ["trigger", "hello"]], ids=" ".join)
def test_a_store_that_is_there(words: list[str], site: Site) -> None:
    assert site.call("trigger", "hello").returncode == 0
    refusing("fcntl", "ENOLCK", after=1000)  # skips where it cannot be done
    seen = site.folder.parent / "seen"
    site.prefix = ["strace", "-f", "-qq", "-o", str(seen), "-e", "trace=fcntl"]
    site.call("--version")  # what Python itself needs at its start
    site.prefix = refusing("fcntl", "ENOLCK", after=len(seen.read_text().splitlines()))

    told = site.call(*words)

    assert told.returncode == 70
    assert "refuses locks" in told.stderr


def test_the_content_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)

    with pytest.raises(
        PermanentJobError, match=r"\.content cannot be synced: its file system \(.*\) refuses locks"
    ):
        with sync_lock(tmp_path / ".content", 1):
            pass


def test_the_innermost_mount_is_named(tmp_path: Path) -> None:
    kind, point = files._mount_of(Path("/proc/self")) or ("", "")

    assert (kind, point) == ("proc", "/proc")
    assert tmp_path.is_relative_to((files._mount_of(tmp_path) or ("", "/nowhere"))[1])
