from collections.abc import Iterator

import pytest

from tests.support.http_server import Provider, Reply, http_server
from tests.support.project import Site

CODE = """
from pathlib import Path

def fickle():
    if Path("broken").exists():
        raise ValueError("no such table: votes")
"""
JOB = '[jobs.fickle]\nname = "A fickle one"\nevery = "1h"\ncall = "work:fickle"\n'


@pytest.fixture
def receiver() -> Iterator[Provider]:
    """Accepts every request."""
    with http_server(lambda _: Reply(200)) as provider:
        yield provider


class Fickle:
    """A project whose only job fails while the file ``broken`` exists."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def configure(self, notify: str, job: str = "") -> None:
        self.site.jobs(JOB + job, CODE)
        text = (self.site.folder / "jobctl.toml").read_text()
        self.site.write("jobctl.toml", f"notify = {notify}\n{text}")

    def trigger(self, *, broken: bool, **environment: str) -> str:
        file = self.site.folder / "broken"
        file.touch() if broken else file.unlink(missing_ok=True)
        done = self.site.call("trigger", "fickle", env=environment)
        assert done.returncode == int(broken), done.stderr
        return done.stderr


@pytest.fixture
def fickle(site: Site) -> Fickle:
    return Fickle(site)
