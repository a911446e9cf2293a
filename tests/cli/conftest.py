from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.project import Site
from tests.support.terminal import CODE, Cli, Past

GATED = """
import time
from pathlib import Path

def wait():
    print("begun", flush=True)
    while not Path("gate").exists():
        time.sleep(0.02)
    print("let through")
"""


@pytest.fixture
def past(cli: Cli, here: Path) -> Iterator[Past]:
    happened = Past(here)
    with closing(happened.store):
        yield happened


@pytest.fixture
def site(site: Site) -> Site:
    """The program in processes of its own, with jobs to run; ``gated:wait`` runs until ``gate`` is there."""
    site.write("work.py", CODE)
    site.write("gated.py", GATED)
    return site
