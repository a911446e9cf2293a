"""The same environment for every test: no colour, 80 columns, UTC, an empty home, none of the site's variables."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner

from jobctl.cli.app import app
from jobctl.managers.factory import reset_job_manager
from jobctl.settings.variables import VARIABLES
from tests.support.browser import Browser, find_browser
from tests.support.npm import TRIGGER_DEV, fetch, shared_folder
from tests.support.postgres import Postgres
from tests.support.project import Site
from tests.support.site_database import NOW, OnPostgres, OnSQLite, SiteDatabase
from tests.support.terminal import CODE, JOBS, Answer, Cli

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_CLEARED = (
    *VARIABLES,
    "CI",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "GIT_DIR",
    "PY_COLORS",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "_JOBCTL_COMPLETE",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """``-n auto``: three processes per core, since most tests wait for other processes most of the time."""
    return 3 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs on request is slow too, so that ``-m "not slow and not faults"`` leaves it out."""
    for item in items:
        if item.get_closest_marker("benchmark") or item.get_closest_marker("request"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def same_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    for name in _CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp() / "home"))
    yield
    reset_job_manager()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli(here: Path) -> Cli:
    """The program in this process, in a project with three jobs."""
    (here / "jobctl.toml").write_text(JOBS, encoding="utf-8")
    (here / "work.py").write_text(CODE, encoding="utf-8")

    def call(*words: str, stdin: str | None = None, **environment: str) -> Answer:
        done = CliRunner().invoke(app, list(words), input=stdin, env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A project on disk and the real program; nothing of it outlives the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    yield site
    site.clean_up()


@pytest.fixture
def inline(site: Site) -> None:
    """The commands of ``site.call`` run in this process, which spares an interpreter for each."""
    site.inline = True


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of this test process's own."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    cache = getattr(pytestconfig, "cache", None)
    folder = cache.mkdir("browser") if cache else tmp_path_factory.getbasetemp().parent / "browser"
    with Browser(find_browser(folder)) as started:
        yield started


@pytest.fixture(scope="session")
def trigger_dev_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Trigger.dev's own packages in its ``node_modules``."""
    return fetch(shared_folder(tmp_path_factory, "trigger-dev-packages"), TRIGGER_DEV)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SiteDatabase]:
    """The site's database, empty but for the tenants ``t1`` and ``t2``, on either engine."""
    made: SiteDatabase
    if request.param == "sqlite":
        made = OnSQLite(tmp_path / "site.db")
    else:
        made = OnPostgres(request.getfixturevalue("postgres"))
    made.tenant("t2", created_at=NOW)
    made.tenant("t1", created_at=NOW - timedelta(days=1))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def site_on_either_store(request: pytest.FixtureRequest, site: Site) -> Site:
    """A project whose run store is a file, or on Postgres."""
    if request.param == "postgresql":
        site.environment["JOBCTL_STATE"] = request.getfixturevalue("postgres").schema()
    return site
