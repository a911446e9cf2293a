"""Who is notified that a job is late, and by whom: the scheduler, a peer, ``serve``, or ``watch`` from a timer."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobctl.subscribers import expectation_watch
from tests.support.http_server import Provider, Reply, http_server
from tests.support.project import Site, frozen, until

pytestmark = pytest.mark.slow

JOBS = """
[jobs.tick]
every = "1s"
command = ["true"]
expect = { start_within = "5s" }
[jobs.other]
every = "1d"
command = ["true"]
"""


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with http_server(lambda _: Reply(200)) as provider:
        yield provider


@pytest.fixture
def watched(site: Site, receiver: Provider) -> Site:
    site.jobs(JOBS)
    text = (site.folder / "jobctl.toml").read_text()
    site.write("jobctl.toml", f'notify = {{ webhook = "{receiver.url}" }}\n{text}')
    return site


def events(receiver: Provider) -> list[tuple[str, str]]:
    """But for missed slots, which are not what these tests are about."""
    found = [(request.body["event"], request.body["job"]["id"]) for request in receiver.requests]
    return [event for event in found if event[0] != "missed"]


def stopped_scheduler(site: Site) -> None:
    """One that has run, and ended: its job is due every second since."""
    scheduler = site.run()
    until(lambda: site.runs("tick"))
    scheduler.terminate()
    assert scheduler.wait(60) == 0


def test_a_timer_notifies_once_of_each_change(watched: Site, receiver: Provider) -> None:
    stopped_scheduler(watched)
    until(lambda: watched.call("watch").returncode == 1 and events(receiver))

    again = watched.json("watch")

    assert events(receiver) == [("late", "tick")]
    assert [late["job_id"] for late in again["late"]] == ["tick"]
    assert "has not begun" in again["late"][0]["why"]
    assert again["scheduler"]["running"] is False

    scheduler = watched.run()
    until(lambda: watched.call("watch").returncode == 0)
    assert events(receiver) == [("late", "tick"), ("on-time", "tick")]
    scheduler.terminate()
    assert scheduler.wait(60) == 0


def test_what_is_late_is_shown_everywhere(watched: Site) -> None:
    stopped_scheduler(watched)
    until(lambda: watched.json("watch")["late"])

    jobs = {job["id"]: job for job in watched.json("status")["jobs"]}

    assert "has not begun" in jobs["tick"]["late"]
    assert jobs["other"]["late"] is None
    text = watched.call("metrics", "--format", "prometheus").stdout
    assert 'jobctl_job_late{job="tick"} 1' in text
    assert 'jobctl_job_late{job="other"}' not in text


def test_what_nobody_received_is_sent_again(watched: Site, receiver: Provider) -> None:
    stopped_scheduler(watched)
    own = (watched.folder / "jobctl.toml").read_text()
    watched.write("jobctl.toml", own.replace(receiver.url, "http://127.0.0.1:1"))

    until(lambda: "was not notified" in watched.call("watch").stderr)
    watched.write("jobctl.toml", own)
    until(lambda: watched.call("watch").returncode == 1 and events(receiver))

    assert events(receiver) == [("late", "tick")]


def test_what_it_says_where_all_is_well(watched: Site) -> None:
    scheduler = watched.run()
    until(lambda: watched.runs("tick"))

    done = watched.call("watch")

    assert (done.returncode, done.stdout) == (0, "JOB\tSINCE\tWHY\n")
    assert done.stderr == "every job is on time\n"
    scheduler.terminate()
    assert scheduler.wait(60) == 0


def test_no_scheduler_is_a_reason_to_exit_with_1(watched: Site) -> None:
    done = watched.call("watch")

    assert done.returncode == 1
    assert "no scheduler is running. Start it: jobctl run" in done.stderr


def test_a_peer_notifies_while_the_scheduler_is_frozen(watched: Site, receiver: Provider) -> None:
    scheduler = watched.run()
    until(lambda: watched.runs("tick"))
    server = watched.popen("serve", "--port", "0", env={"NODE_ENV": "development"})
    with frozen(lambda: [scheduler.pid]):
        until(lambda: events(receiver), seconds=expectation_watch.INTERVAL_S * 6)
        assert events(receiver) == [("late", "tick")]

    until(lambda: len(events(receiver)) == 2, seconds=expectation_watch.INTERVAL_S * 6)
    assert events(receiver)[1] == ("on-time", "tick")
    for process in (server, scheduler):
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


def test_several_watchers_notice_a_change_once(watched: Site, receiver: Provider) -> None:
    stopped_scheduler(watched)
    until(lambda: watched.json("status")["jobs"][-2]["late"])
    watchers = [watched.popen("watch") for _ in range(4)]
    for watcher in watchers:
        watcher.communicate(timeout=60)

    until(lambda: events(receiver))
    assert events(receiver) == [("late", "tick")]
    with closing(sqlite3.connect(watched.folder / ".jobctl" / "jobctl.db")) as store:
        assert store.execute("SELECT count(*) FROM jobs WHERE late IS NOT NULL").fetchone() == (1,)


def test_a_test_goes_to_each_receiver(watched: Site, receiver: Provider) -> None:
    done = watched.call("check", "notify")

    assert done.returncode == 0, done.stderr
    assert "a test was sent: webhook 127.0.0.1" in done.stdout
    assert [event for event, _ in events(receiver)] == ["test"]
    assert "notify" not in watched.call("check").stdout
    assert len(receiver.requests) == 1


def test_a_receiver_that_does_not_answer_fails_the_test(watched: Site, receiver: Provider) -> None:
    own = (watched.folder / "jobctl.toml").read_text()
    watched.write("jobctl.toml", own.replace(receiver.url, "http://127.0.0.1:1"))

    done = watched.call("check", "notify")

    assert done.returncode == 5
    assert "webhook 127.0.0.1: " in done.stdout


def test_a_late_job_that_is_stopped_is_not_said_to_be_on_time(watched: Site, receiver: Provider) -> None:
    stopped_scheduler(watched)
    until(lambda: watched.json("watch")["late"] and events(receiver))

    assert watched.call("stop", "tick").returncode == 0
    assert watched.json("watch")["late"] == []
    assert events(receiver) == [("late", "tick")]

    assert watched.call("start", "tick").returncode == 0
    until(lambda: watched.json("watch")["late"])
    until(lambda: len(events(receiver)) == 2)
    assert events(receiver)[1] == ("late", "tick")
