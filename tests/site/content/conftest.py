from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.settings.masking import Secret
from jobctl.site.content.remote import read_repository_address
from jobctl.site.content.sync import ContentFolder, SyncReport
from tests.support.git_server import GitServer, Upstream, serving

TOKEN = "ghp_loopbackToken123"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    upstream = Upstream(tmp_path / "server")
    upstream.commit(
        {".works/works.yml": "site_name: A\n", "data/one/one.yml": "name: One\n", "README.md": "hi\n"}
    )
    return upstream


@pytest.fixture
def server(upstream: Upstream) -> Iterator[GitServer]:
    with serving(upstream.bare.parent, token=TOKEN) as running:
        yield running


Sync = Callable[..., SyncReport]


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


START = {".works/works.yml": "site_name: A\n", "README.md": "hi\n", "data/one/one.yml": "name: One\n"}


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir() if path.name not in {".content", ".jobctl"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site" / ".content"


@pytest.fixture
def sync(server: GitServer, folder: Path) -> Sync:
    def run(
        *,
        url: str | None = None,
        token: str | None = TOKEN,
        branch: str | None = None,
        may_push: bool = True,
        step: float = 60,
    ) -> SyncReport:
        address = read_repository_address(
            url or f"{server.url}/content.git", Secret(token) if token else None, folder.parent
        )
        return ContentFolder(
            folder, address, branch=branch, may_push=may_push, step=timedelta(seconds=step)
        ).sync()

    return run


@pytest.fixture
def url(upstream: Upstream, sync: Sync) -> str:
    """The repository as a folder, which is synced once."""
    sync(url=upstream.bare.as_uri(), token=None)
    return upstream.bare.as_uri()
