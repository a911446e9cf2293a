from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    yield site
    site.clean_up()
