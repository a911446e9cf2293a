"""The content folder against the git program, both over smart HTTP with a token, on 10,000 files.

Adds its findings to the table of figures; asserts what each sync costs in requests and written files, and the ratios.
``JOBCTL_BENCH_FILES`` changes the size.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from jobctl.settings.masking import Secret
from jobctl.site.content.remote import read_repository_address
from jobctl.site.content.sync import ContentFolder, SyncReport
from tests.benchmarks.conftest import Figure, Figures
from tests.support.git_server import GIT_ENVIRONMENT, GitServer, Upstream, serving

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

FILES = int(os.environ.get("JOBCTL_BENCH_FILES", "10000"))
TOKEN = "ghp_loopbackToken789"
TIMES = 3
MANY = FILES // 10
BARS = {"first clone": 1.5, "nothing new": 1.0, "3 of them new": 4.0, f"{MANY:,} of them new": 4.0}


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    upstream = Upstream(tmp_path / "server")
    text = "name: Item {0}\ndescription: " + "word " * 30 + "{0}\n"
    upstream.commit({f"data/item-{n}/item-{n}.yml": text.format(n) for n in range(FILES)})
    return upstream


@pytest.fixture
def server(upstream: Upstream) -> Iterator[GitServer]:
    with serving(upstream.bare.parent, token=TOKEN) as running:
        yield running


def seconds(does: Callable[[], object]) -> float:
    begin = time.perf_counter()
    does()
    return time.perf_counter() - begin


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*.yml")}


def test_against_the_git_program(
    upstream: Upstream, server: GitServer, tmp_path: Path, figures: Figures
) -> None:
    # each clone has a place of its own: some file systems create files slowly where others were removed just before
    contents = [tmp_path / f"site-{time_}" / ".content" for time_ in range(TIMES)]
    peers = [tmp_path / f"peer-{time_}" for time_ in range(TIMES)]
    content, peer = contents[-1], peers[-1]
    address = read_repository_address(f"{server.url}/content.git", Secret(TOKEN), tmp_path)
    folder = ContentFolder(content, address)
    peer_url = address.url.replace("://", f"://x-access-token:{TOKEN}@")

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], env=GIT_ENVIRONMENT, check=True, capture_output=True)

    def clone_with_git(place: Path) -> None:
        git("clone", "-q", "--depth", "1", "--single-branch", peer_url, str(place))

    def clone(place: Path) -> None:
        assert len(ContentFolder(place, address).sync().changes.added) == FILES

    def pull_with_git() -> None:
        git("-C", str(peer), "pull", "-q", "--ff-only")

    reports: list[SyncReport] = []

    def sync() -> None:
        reports.append(folder.sync())

    table: dict[str, list[tuple[float, float]]] = {name: [] for name in BARS}
    for place, other in zip(contents, peers, strict=True):
        table["first clone"].append((seconds(partial(clone, place)), seconds(partial(clone_with_git, other))))
    for _ in range(TIMES):
        server.requests.clear()
        ours = seconds(sync)
        assert len(server.requests) == 2
        table["nothing new"].append((ours, seconds(pull_with_git)))
    for time_ in range(TIMES):
        upstream.commit({f"data/item-{n}/item-{n}.yml": f"name: {time_}\n" for n in (1, 2, 3)})
        before = written(content)
        ours = seconds(sync)
        after = written(content)
        assert [path for path in after if after[path] != before[path]] == [
            path for path in after if path.name in {"item-1.yml", "item-2.yml", "item-3.yml"}
        ]
        assert len(reports[-1].changes.changed) == 3
        table["3 of them new"].append((ours, seconds(pull_with_git)))

    for time_ in range(TIMES):
        upstream.commit({f"data/item-{n}/item-{n}.yml": f"name: {time_} of many\n" for n in range(MANY)})
        ours = seconds(sync)
        assert len(reports[-1].changes.changed) == MANY
        table[f"{MANY:,} of them new"].append((ours, seconds(pull_with_git)))
    figures.check(
        Figure(
            f"content, {FILES:,} files: {name}", f"{ours * 1000:,.0f} ms", f"{theirs * 1000:,.0f} ms, the git program",
            ours / theirs, BARS[name],
        )
        for name, (ours, theirs) in ((name, map(min, zip(*taken, strict=True))) for name, taken in table.items())
    )  # fmt: skip
