"""``logs`` of a run that another machine ran, where the store is shared."""

from contextlib import closing
from datetime import UTC, datetime

from jobctl.model import Trigger
from jobctl.runs.choose import open_store
from jobctl.runs.store import Claim, Owner, Registration
from tests.support.project import Site

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_it_says_where_the_log_is(site: Site) -> None:
    site.jobs('[jobs.far]\ncall = "work:far"\n')
    with closing(open_store(site.folder / ".jobctl")) as store:
        owner = Owner("there", "trigger", "machine-7", 1, "1", "another boot", NOW, NOW)
        store.register([Registration("far", "Far", "", "UTC")], NOW)
        store.claim(owner, [Claim("0123456789abcdef", "far", Trigger.MANUAL, NOW)])

    told = site.call("logs", "far")

    assert (told.returncode, told.stdout) == (0, "")
    assert "run 01234567 was on machine-7: what it printed is there" in told.stderr
