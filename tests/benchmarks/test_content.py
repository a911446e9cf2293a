"""The content folder on a repository of 10,000 files, against the git program in the same run."""

import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.content.address import read_address
from jobctl.content.folder import ContentFolder
from tests.support.git_server import GIT_ENVIRONMENT, GitServer, Upstream, serving

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

FILES = 10_000


def took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def shell(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=GIT_ENVIRONMENT, check=True, capture_output=True)


def compare(server: GitServer, root: Path, upstream: Upstream) -> list[tuple[str, float, float]]:
    url = f"{server.url}/content.git"
    ours = ContentFolder(root / "ours", read_address(url, None, root), step=timedelta(minutes=5))
    found = [
        (
            "first clone",
            took(ours.sync),
            took(lambda: shell(root, "clone", "-q", "--depth", "1", url, str(root / "theirs"))),
        )
    ]
    found.append(("nothing new", took(ours.sync), took(lambda: shell(root / "theirs", "pull", "-q"))))
    upstream.commit({f"data/item-{number}/item-{number}.yml": "name: New\n" for number in range(3)})
    found.append(("3 files changed", took(ours.sync), took(lambda: shell(root / "theirs", "pull", "-q"))))
    return found


def test_ten_thousand_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "server").mkdir()
    upstream = Upstream(tmp_path / "server")
    upstream.commit(
        {f"data/item-{number}/item-{number}.yml": f"name: Item {number}\n" for number in range(FILES)}
    )
    with serving(tmp_path / "server") as server:
        found = compare(server, tmp_path, upstream)

    with capsys.disabled():
        print(f"\n{FILES} files over HTTP: jobctl, git, ratio")
        for name, ours, theirs in found:
            print(f"  {name:16} {ours * 1000:7.0f} ms {theirs * 1000:7.0f} ms  {ours / theirs:5.2f}")
    assert len(list((tmp_path / "ours" / "data").iterdir())) == FILES
