import pytest

from tests.support.project import Site


@pytest.fixture(params=["sqlite", "postgresql"])
def site_on_either_store(request: pytest.FixtureRequest, site: Site) -> Site:
    """A project whose run store is a file, or on Postgres."""
    if request.param == "postgresql":
        site.environment["JOBCTL_STATE"] = request.getfixturevalue("postgres").schema()
    return site
