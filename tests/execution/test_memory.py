"""``memory_mib``: what a run may take, and that the next run of the same worker may take all again."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.project import Site

CODE = """
import os

def greedy():
    print("worker", os.getpid())
    data = bytearray(300 * 1024 * 1024)
    print("took", len(data))
"""
PROGRAM = [sys.executable, "-c", "data = bytearray(300 * 1024 * 1024); print('took', len(data))"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone keeps to it")


@pytest.fixture
def site(site: Site) -> Site:
    call, command = 'call = "work:greedy"', f"command = {PROGRAM!r}"
    site.jobs(
        "".join(
            f'[jobs.{name}]\nevery = "1d"\n{target}\n{limit}\n'
            for name, target, limit in [
                ("small", call, "memory_mib = 100"), ("large", call, "memory_mib = 1000"), ("free", call, ""),
                ("small-program", command, "memory_mib = 200"), ("large-program", command, "memory_mib = 1000"),
            ]
        ),
        CODE,
    )  # fmt: skip
    return site


@pytest.mark.slow
@pytest.mark.parametrize("job", ["small", "small-program"])
def test_a_run_that_takes_more_fails(site: Site, job: str) -> None:
    said = site.call("trigger", job, "--no-retry")

    assert said.returncode == 1
    assert "took" not in said.stdout
    (run,) = site.runs(job)
    assert run["status"] == "failed"
    assert "memory_mib" in run["error"] or job == "small-program"


def test_nothing_that_a_program_starts_escapes(site: Site) -> None:
    words = f"{sys.executable} -c 'b = bytearray(500 << 20); print(len(b))'; true"
    site.jobs(f'[jobs.x]\nevery = "1d"\nmemory_mib = 200\ncommand = {json.dumps(["sh", "-c", words])}\n')

    assert "524288000" not in site.call("trigger", "x").stdout


@pytest.mark.slow
@pytest.mark.parametrize("job", ["large", "free", "large-program"])
def test_a_run_within_its_limit_goes_well(site: Site, job: str) -> None:
    assert "took" in site.call("trigger", job).stdout


def test_the_limit_of_one_run_is_not_that_of_the_next(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(workers=1)
    bench.write("import os\ndef take(mib):\n    return [os.getpid(), len(bytearray(mib << 20))]\n")

    within = bench.run("work:take", arguments={"mib": 1}, memory_mib=50)
    beyond = bench.run("work:take", arguments={"mib": 100}, memory_mib=50)
    free = bench.run("work:take", arguments={"mib": 100})

    assert beyond.error == "MemoryError: it took more than memory_mib = 50 allows"
    assert free.result == [within.result[0], 100 << 20]


@pytest.mark.parametrize("text", ["0", "-1", '"512M"', "1.5", "2000000"])
def test_what_is_no_size_is_refused(site: Site, text: str) -> None:
    site.jobs(f'[jobs.x]\nevery = "1d"\ncommand = ["true"]\nmemory_mib = {text}\n')

    said = site.call("run")
    assert said.returncode == 2
    assert "memory_mib" in said.stderr
    assert "MiB" in said.stderr
