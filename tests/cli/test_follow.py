"""``logs --follow``: a run that is running, from its first line to its last."""

import json
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from jobctl.model import Trigger
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Owner, Registration
from tests.support.project import Site, until
from tests.support.screen import Terminal

JOBS = """
[jobs.steps]
call = "work:steps"
retries = 1
retry_delay = "10ms"
[jobs.torrent]
call = "work:torrent"
"""
CODE = """
import time
from pathlib import Path

def until(name):
    while not Path(name).exists():
        time.sleep(0.02)

def steps():
    if Path("again").exists():
        print("once more", flush=True)
        return
    print("one", flush=True)
    until("two")
    print("two")
    print("three", flush=True)
    until("fail")
    Path("again").touch()
    raise ValueError("not yet")

def torrent():
    for number in range(30_000):
        print(f"{number:06} {'x' * 92}")
    print("waiting", flush=True)
    until("go")
    for number in range(30_000, 30_010):
        print(f"{number:06}")
"""


@pytest.mark.slow
def test_all_jobs_are_followed_together(site: Site) -> None:
    terminal = Terminal(site, ["logs", "--follow"], TZ="Asia/Tokyo")
    terminal.until(lambda lines: "no run has printed anything yet" in lines)
    site.write("fail", "")
    steps = site.popen("trigger", "steps")
    terminal.until(lambda lines: any(line.endswith("[steps] one") for line in lines))
    site.write("go", "")
    site.call("trigger", "torrent")
    terminal.until(lambda lines: any(line.endswith("[torrent] 030009") for line in lines))
    site.write("two", "")
    lines = terminal.until(lambda lines: any(line.endswith("[steps] once more") for line in lines))
    terminal.child.sendintr()

    assert terminal.end() == 130
    assert steps.wait() == 0
    assert terminal.bytes.count(b" one\r\n") == terminal.bytes.count(b" once more\r\n") == 1
    hour = datetime.now(ZoneInfo("Asia/Tokyo")).hour
    assert any(f" {one:02}:" in lines[-3] for one in (hour, (hour - 1) % 24))


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    return site


def following(site: Site, *words: str) -> subprocess.Popen[str]:
    return site.popen("logs", "--follow", *words, stderr=subprocess.PIPE)


def begun(site: Site, job: str) -> subprocess.Popen[str]:
    process = site.popen("trigger", job, stdout=subprocess.DEVNULL)
    until(lambda: site.runs(job))
    return process


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.slow
@pytest.mark.parametrize("by_run", [False, True])
def test_lines_come_as_they_are_printed_over_all_attempts(by_run: bool, site: Site) -> None:
    running = begun(site, "steps")
    follow = following(site, site.runs("steps")[0]["run_id"] if by_run else "steps")

    assert next_line(follow) == "one\n"
    (site.folder / "two").touch()
    assert [next_line(follow) for _ in range(2)] == ["two\n", "three\n"]
    (site.folder / "fail").touch()
    rest, result = follow.communicate(timeout=30)

    assert rest.startswith("Traceback")
    assert rest.endswith("ValueError: not yet\nattempt 2\nonce more\n")
    assert follow.returncode == 0
    assert result.startswith("steps: completed in ")
    running.communicate(timeout=30)


def test_a_job_that_has_not_run_yet_is_waited_for(site: Site) -> None:
    follow = following(site, "steps")
    assert follow.stderr is not None
    assert follow.stderr.readline() == "steps has not run yet; waiting for its first run\n"
    for name in ("two", "fail"):
        (site.folder / name).touch()

    site.call("trigger", "steps")
    lines, _ = follow.communicate(timeout=30)

    assert lines.startswith("one\ntwo\nthree\n")
    assert lines.endswith("once more\n")


@pytest.mark.slow
def test_of_more_than_is_kept_no_line_comes_twice_and_gaps_are_reported(site: Site) -> None:
    running = begun(site, "torrent")
    follow = following(site, "torrent")
    seen = [next_line(follow)]
    while not seen[-1].startswith("more output follows"):
        seen.append(next_line(follow))
    (site.folder / "go").touch()
    rest, _ = follow.communicate(timeout=60)
    running.communicate(timeout=30)

    lines = "".join(seen) + rest
    assert lines == site.call("logs", "torrent").stdout
    numbers = [int(line[:6]) for line in lines.splitlines() if line[:6].isdecimal() and len(line) in {6, 99}]
    assert numbers[0] == 0
    assert numbers[-10:] == list(range(30_000, 30_010))
    assert numbers == sorted(set(numbers))
    assert "bytes of output are left out here" in rest.partition("\n")[0]


@pytest.mark.slow
def test_as_json_each_line_is_a_document_and_the_run_the_last(site: Site) -> None:
    running = begun(site, "steps")
    follow = following(site, "steps", "--json")
    assert json.loads(next_line(follow))["line"] == "one"
    for name in ("two", "fail"):
        (site.folder / name).touch()
    rest, result = follow.communicate(timeout=30)
    running.communicate(timeout=30)

    *lines, last = [json.loads(line) for line in rest.splitlines()]
    assert [one["line"] for one in lines][:2] == ["two", "three"]
    assert last["run"]["status"] == "completed"
    assert result == ""


@pytest.mark.slow
def test_ctrl_c_ends_the_following_and_not_the_run(site: Site) -> None:
    running = begun(site, "steps")
    follow = following(site, "steps")
    assert next_line(follow) == "one\n"

    follow.send_signal(2)
    follow.communicate(timeout=30)
    for name in ("two", "fail"):
        (site.folder / name).touch()
    running.communicate(timeout=30)

    assert follow.returncode == 130
    assert site.runs("steps")[0]["status"] == "completed"


def test_a_run_on_another_machine_is_reported_at_once(site: Site) -> None:
    now = datetime.now(UTC)
    with closing(open_store(site.folder / ".jobctl")) as store:
        owner = Owner("there", "trigger", "machine-7", 1, "1", "another boot", now)
        store.register([Registration("steps", "Steps", "", "UTC")], now)
        store.register_process(owner)
        store.claim(owner, [Claim("0123456789abcdef", "steps", Trigger.MANUAL, now)])

    follow = following(site, "steps")
    assert follow.stderr is not None
    assert follow.stderr.readline() == "run 01234567 was on machine-7: its log is there\n"
    follow.kill()
    follow.communicate()
