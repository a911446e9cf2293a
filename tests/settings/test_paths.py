"""``~`` at the start of a setting that names a path: no shell expands it in a file."""

from pathlib import Path

import pytest

from jobctl.catalogue.job_keys import KEYS
from jobctl.errors import ConfigurationError
from jobctl.settings.environment import Environment
from jobctl.site.content.remote import read_repository_address
from jobctl.site.database.session import _place_of, read_database_url
from tests.support.project import Site


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_setting_that_names_a_path_expands_it(home: Path) -> None:
    environment = Environment.load(home, {"JOBCTL_METRICS_FILE": "~/jobs.prom"})

    assert environment.textfile("JOBCTL_METRICS_FILE") == str(home / "jobs.prom")
    assert read_repository_address("~/content.git", None, Path("/srv")).url == (home / "content.git").as_uri()
    assert _place_of(read_database_url("sqlite:///~/site.db", Path("/srv"))) == str(home / "site.db")
    assert KEYS["folder"].read("~/work") == str(home / "work")


@pytest.mark.slow
def test_the_project_and_the_state_folder(home: Path, site: Site) -> None:
    site.environment |= {
        "HOME": str(site.folder.parent),
        "JOBCTL_PROJECT": f"~/{site.folder.name}",
        "JOBCTL_STATE": "~/state",
    }
    site.jobs('[jobs.hello]\nevery = "1d"\ncommand = ["true"]\n')

    assert site.call("trigger", "hello").returncode == 0
    assert (site.folder.parent / "state" / "jobctl.db").exists()
    assert site.call("mode", "--project", f"~/{site.folder.name}").returncode == 0


def test_an_unknown_home_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL begins with a home folder that is not known"):
        read_database_url("sqlite:///~no-such-user/site.db", Path("/srv"))
