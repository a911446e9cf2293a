"""Standard error that is full or closed changes no exit code."""

import signal
import subprocess
from pathlib import Path

import pytest

from jobctl.cli.command_data import COMMANDS
from tests.support.project import Site, until

JOBS = """
[jobs.hello]
every = "1d"
call = "work:hello"
[jobs.bad]
every = "1d"
call = "work:bad"
"""
CALLS = [
    *([name] for name in COMMANDS if name not in {"run", "serve"}),
    ["run", "--only", "unknown"],
    ["run", "--bad-option"],
    ["serve", "--port", "99999999"],
    ["serve", "--host", "no such host"],
    ["trigger", "hello"],
    ["trigger", "bad"],
    ["trigger", "bad", "--json"],
    ["trigger", "unknown"],
    ["trigger", "hello", "--no-wait"],
    ["stop", "hello"],
    ["start", "hello"],
    ["next", "hello"],
    ["logs", "hello"],
    ["unknown"],
    ["--version"],
    ["--help"],
    ["status", "--bad-option"],
]


@pytest.fixture
def site(site: Site) -> Site:
    site.environment.pop("PYTHONUNBUFFERED", None)
    return site


@pytest.mark.slow
@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_full(words: list[str], site: Site) -> None:
    is_the_same("2>/dev/full", words, site)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["status"], ["trigger", "hello"], ["trigger", "bad"], ["unknown"]], ids=" ".join
)
def test_closed(words: list[str], site: Site) -> None:
    is_the_same("2>&-", words, site)


def is_the_same(place: str, words: list[str], site: Site) -> None:
    site.jobs(JOBS)
    site.inline = True
    expected = site.call(*words).returncode
    site.inline = False
    site.prefix = ["sh", "-c", f'exec "$@" {place}', "sh"]

    result = site.call(*words)

    assert result.returncode == expected
    assert result.stderr == ""


@pytest.mark.slow
def test_a_scheduler_ends_well(site: Site) -> None:
    site.jobs(JOBS)
    with Path("/dev/full").open("w") as full:
        scheduler = site.popen("run", stdout=subprocess.DEVNULL, stderr=full)
    until(lambda: {one["status"] for one in site.runs()} == {"completed", "failed"})

    scheduler.send_signal(signal.SIGTERM)

    assert scheduler.wait(60) == 0
