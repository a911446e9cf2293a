from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobctl.cli.app import app
from tests.support.project import Site
from tests.support.terminal import CODE, JOBS, Answer, Cli, Past


@pytest.fixture
def cli(here: Path) -> Cli:
    """The program in this process, in a project with three jobs."""
    (here / "jobctl.toml").write_text(JOBS, encoding="utf-8")
    (here / "work.py").write_text(CODE, encoding="utf-8")

    def call(*words: str, **environment: str) -> Answer:
        done = CliRunner().invoke(app, list(words), env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def past(cli: Cli, here: Path) -> Iterator[Past]:
    happened = Past(here)
    with closing(happened.store):
        yield happened


@pytest.fixture
def site(site: Site) -> Site:
    """The program in processes of its own, with jobs to run."""
    site.write("work.py", CODE)
    return site
