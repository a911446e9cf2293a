from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.project import Site
from tests.support.terminal import CODE, Cli, Past


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
