"""A run store on Postgres, and no psycopg to reach it with: a sentence with the right install line, exit code 4."""

import json
import sys

import pytest

from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")

BROKEN = """
raise ImportError("no pq wrapper available.\\nAttempts made:\\n- couldn't import psycopg 'c' implementation")
"""
COMMANDS = [
    ["run"],
    ["trigger", "hello"],
    ["trigger", "hello", "--no-wait"],
    ["status"],
    ["status", "hello"],
    ["status", "--watch"],
    ["metrics"],
    ["metrics", "--format", "prometheus"],
    ["runs"],
    ["logs", "hello"],
    ["logs", "hello", "--follow"],
    ["stop", "hello"],
    ["stop", "--all", "--yes"],
    ["start", "hello"],
    ["analytics"],
]


@pytest.fixture(params=["missing", "broken"])
def site(request: pytest.FixtureRequest, site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n')
    for name in [name for name in sys.modules if name.startswith(("psycopg", "jobctl.store.postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    shim = site.folder.parent / "shim"
    (shim / "psycopg").mkdir(parents=True)
    if request.param == "missing":
        monkeypatch.setitem(sys.modules, "psycopg", None)
        (shim / "sitecustomize.py").write_text("import sys\nsys.modules['psycopg'] = None\n")
    else:
        (shim / "psycopg" / "__init__.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(shim)
    site.environment["PYTHONPATH"] = str(shim)
    site.environment["JOBCTL_STATE"] = "postgresql://jobs:a-secret@127.0.0.1:1/jobs"
    return site


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_what_to_install(words: list[str], site: Site) -> None:
    result = site.call(*words)

    assert result.returncode == 4
    assert "psycopg" in result.stderr
    assert 'pip install "ever-jobctl[postgres]"' in result.stderr
    assert "bug" not in result.stderr
    assert "a-secret" not in result.stderr + result.stdout


def test_for_programs(site: Site) -> None:
    result = site.call("status", "--json")

    assert result.returncode == 4
    assert json.loads(result.stdout)["error"]["exit_code"] == 4


def test_mode_and_next_need_no_store(site: Site) -> None:
    assert site.call("mode").returncode == 0
    assert site.call("next", "*/5 * * * *").returncode == 0


def test_an_embedding_application_gets_the_same_sentence(site: Site) -> None:
    result = site.python("from jobctl import get_job_manager\nget_job_manager()")

    assert "NotRunError" in result.stderr.splitlines()[-1]
    assert "psycopg" in result.stderr.splitlines()[-1]
