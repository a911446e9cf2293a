"""Monitors that get a check-in at each start and end."""

import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from jobctl.subscribers.check_ins import CheckIn, check_in_url
from tests.subscribers.conftest import Fickle
from tests.support.http_server import Provider, Reply, Request
from tests.support.project import until

HEALTHCHECKS = "https://hc-ping.com/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
SENTRY = "https://o0.ingest.sentry.io/api/1/cron/nightly/key/"


@pytest.mark.parametrize(
    ("state", "path"), [(CheckIn.START, "/start"), (CheckIn.SUCCESS, ""), (CheckIn.FAILURE, "/fail")]
)
def test_the_form_of_healthchecks(state: CheckIn, path: str) -> None:
    asked = urlsplit(check_in_url(f"{HEALTHCHECKS}?create=1", state, "3f2a91"))

    assert asked.path == urlsplit(HEALTHCHECKS).path + path
    query = parse_qs(asked.query)
    assert query["create"] == ["1"]
    assert (
        query["rid"] == parse_qs(urlsplit(check_in_url(HEALTHCHECKS, CheckIn.START, "3f2a91")).query)["rid"]
    )
    assert query["rid"] != parse_qs(urlsplit(check_in_url(HEALTHCHECKS, state, "other")).query)["rid"]


@pytest.mark.parametrize(
    ("state", "status"), [(CheckIn.START, "in_progress"), (CheckIn.SUCCESS, "ok"), (CheckIn.FAILURE, "error")]
)
def test_the_form_of_sentry(state: CheckIn, status: str) -> None:
    asked = urlsplit(check_in_url(SENTRY, state, "3f2a91"))

    assert asked.path == urlsplit(SENTRY).path
    query = parse_qs(asked.query)
    assert query["status"] == [status]
    assert len(query["check_in_id"][0]) == 32


@pytest.mark.slow
def test_start_success_and_failure_are_pinged_in_order(fickle: Fickle, receiver: Provider) -> None:
    fickle.configure("{}", "check_in = '$MONITOR'\n")
    ping = {"MONITOR": f"{receiver.url}/ping/fickle"}

    fickle.trigger(broken=False, **ping)
    fickle.trigger(broken=True, **ping)

    assert {request.method for request in receiver.requests} == {"GET"}
    paths = [urlsplit(request.path).path for request in receiver.requests]
    assert paths == ["/ping/fickle/start", "/ping/fickle", "/ping/fickle/start", "/ping/fickle/fail"]
    ids = [parse_qs(urlsplit(request.path).query)["rid"][0] for request in receiver.requests]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]


@pytest.mark.slow
def test_a_monitor_that_refuses_is_reported_and_fails_no_job(fickle: Fickle, receiver: Provider) -> None:
    receiver.rule = lambda _: Reply(410)
    fickle.configure("{}", f'check_in = "{receiver.url}/ping/fickle"\n')

    stderr = fickle.trigger(broken=False)

    assert "check-in 127.0.0.1 was not notified: " in " ".join(stderr.split())
    assert "answered 410" in " ".join(stderr.split())


@pytest.mark.slow
def test_a_silent_monitor_delays_no_other_job(fickle: Fickle, receiver: Provider) -> None:
    def rule(request: Request) -> Reply:
        if "silent" in request.path:
            silent.wait(30)
        return Reply(200)

    silent = threading.Event()
    receiver.rule = rule
    tick = '[jobs.{0}]\nevery = "1s"\ncall = "time:monotonic"\ncheck_in = "{1}/{0}"\n'
    fickle.configure("{}", "".join(tick.format(name, receiver.url) for name in ("silent", "other")))

    scheduler = fickle.site.run()
    until(lambda: len([one for one in receiver.requests if one.path.startswith("/other?")]) >= 3)
    silent.set()
    scheduler.terminate()
    assert scheduler.wait() == 0


@pytest.mark.slow
def test_a_job_that_leaves_the_file_while_it_runs_is_followed_to_its_end(
    fickle: Fickle, receiver: Provider
) -> None:
    waiting = 'every = "1h"\ncommand = ["sh", "-c", "while [ ! -e go ]; do sleep 0.05; done; exit 3"]\n'
    hook = f'{{ webhook = "{receiver.url}/hook" }}'
    fickle.configure(hook, f'[jobs.old]\n{waiting}check_in = "{receiver.url}/ping"\n')
    scheduler = fickle.site.run("--json")
    until(lambda: [one for one in receiver.requests if one.path.startswith("/ping/start")])

    fickle.configure(hook)
    until(lambda: "jobs_changed" in fickle.site.log(scheduler))
    (fickle.site.folder / "go").touch()
    until(lambda: [one for one in receiver.requests if one.path == "/hook"])
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert [one for one in receiver.requests if one.path.startswith("/ping/fail")]
    (failure,) = [one.body for one in receiver.requests if one.path == "/hook"]
    assert failure["job"]["id"] == "old"
