"""The endpoints on a real server, over HTTP."""

import signal
import threading
from contextlib import suppress

import httpx2
import pytest

from tests.support.project import Site, until
from tests.web.conftest import SECRET, Serve


@pytest.mark.slow
def test_any_other_job_can_be_run_and_is_recorded(serve: Serve, site: Site) -> None:
    client = serve()

    done = client.post("/api/cron/jobs/quick")

    assert (done.status_code, done.json()["result"], done.json()["status"]) == (200, {"n": 1}, "completed")
    (kept,) = site.runs()
    assert (kept["trigger"], kept["run_id"]) == ("http", done.json()["run_id"])


@pytest.mark.slow
def test_a_body_holds_the_arguments(serve: Serve, site: Site) -> None:
    client = serve()

    done = client.post("/api/cron/jobs/greet", json={"arguments": {"name": "Ada", "times": 2}})
    again = client.post("/api/cron/jobs/greet", json={"arguments": {"name": "Bob"}})

    assert (done.status_code, done.json()["result"]) == (200, {"said": "hello Ada hello Ada"})
    assert again.json()["result"] == {"said": "hello Bob"}
    assert [run["arguments"] for run in site.runs()] == [{"name": "Bob"}, {"name": "Ada", "times": 2}]


@pytest.mark.slow
def test_a_run_can_be_kept_for_later_and_cancelled(serve: Serve, site: Site) -> None:
    client = serve()

    kept = client.post(
        "/api/cron/jobs/greet", json={"arguments": {"name": "Ada"}, "at": "2087-03-29T05:00:00+02:00"}
    )

    assert (kept.status_code, kept.json()["success"]) == (202, True)
    (waiting,) = site.json("runs", "--waiting")["waiting"]
    assert waiting == {name: value for name, value in kept.json().items() if name != "success"}
    assert (waiting["begins_at"], waiting["arguments"]) == ("2087-03-29T03:00:00+00:00", {"name": "Ada"})
    assert waiting["actor"].startswith("HTTP from ")
    cancelled = client.post(f"/api/runs/{waiting['run_id']}/cancel", json={"reason": "too early"})
    assert cancelled.status_code == 202
    assert client.post(f"/api/runs/{waiting['run_id']}/cancel").status_code == 409
    (run,) = site.runs()
    assert (run["run_id"], run["status"]) == (waiting["run_id"], "cancelled")
    cancel, trigger = site.json("runs", "--actions")["actions"]
    assert (cancel["reason"], cancel["actor"]) == ("too early", trigger["actor"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "message"),
    [("2020-01-01T00:00:00Z", "is past"), ("2087-01-01", '"at" must be a time with its offset'), ("soon", '"at" must')],
)  # fmt: skip
def test_a_time_that_is_past_or_none_is_refused(serve: Serve, site: Site, at: str, message: str) -> None:
    refused = serve().post("/api/cron/jobs/quick", json={"at": at})
    assert (refused.status_code, message in refused.json()["error"]) == (400, True)
    assert site.json("runs", "--waiting")["waiting"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"arguments": {}}', 'greet needs the argument "name": a text'),
        ('{"arguments": {"name": 1}}', 'greet: the argument "name" takes a text, not 1'),
        ('{"arguments": {"name": "Ada", "loud": true}}', 'greet has no parameter "loud"'),
        ('{"name": "Ada"}', "the body must be a JSON object"),
        ('{"arguments": {}, "name": "Ada"}', "the body must be a JSON object"),
        ('{"arguments": [1]}', "the body must be a JSON object"),
        ("[" * 100_000, "the body must be a JSON object"),
        ("name=Ada", "the body must be a JSON object"),
        ('{"arguments": {"name": "' + "a" * 70_000 + '"}}', "the arguments of greet are larger than 64 KiB"),
        ("a" * 200_000, "the body is larger than 128 KiB"),
    ],
)
def test_wrong_arguments_are_refused(serve: Serve, site: Site, body: str, message: str) -> None:
    refused = serve().post("/api/cron/jobs/greet", content=body)

    assert (refused.status_code, refused.json()["success"]) == (400, False)
    assert message in refused.json()["error"]
    assert site.runs() == []


@pytest.mark.slow
def test_the_endpoints_of_the_site_ignore_a_body(serve: Serve) -> None:
    assert serve().post("/api/cron/sync", content="no JSON").status_code != 400


@pytest.mark.slow
def test_the_reason_of_a_failure_is_shown_only_in_development(serve: Serve) -> None:
    production, development = serve(), serve(NODE_ENV="development")

    hidden, shown = (client.get("/api/cron/jobs/broken") for client in (production, development))

    assert (hidden.status_code, shown.status_code) == (500, 500)
    assert "hunter2" not in hidden.text
    assert shown.json()["error"] == "ValueError: the password is hunter2"


@pytest.mark.slow
def test_a_second_call_while_it_runs_runs_nothing(serve: Serve, site: Site) -> None:
    client = serve()
    first: list[httpx2.Response] = []
    calling = threading.Thread(target=lambda: first.append(client.get("/api/cron/jobs/gated")))
    calling.start()
    until((site.folder / "began").exists)

    second = client.get("/api/cron/jobs/gated")
    (site.folder / "go").touch()
    calling.join()

    assert (second.status_code, first[0].status_code) == (409, 200)
    assert "already running" in second.json()["error"]
    assert len(site.runs()) == 1


@pytest.mark.slow
def test_a_run_can_be_run_again(serve: Serve, site: Site) -> None:
    client = serve()
    first = client.post("/api/cron/jobs/greet", json={"arguments": {"name": "Ada"}}).json()

    again = client.post(f"/api/runs/{first['run_id']}/rerun")

    assert (again.status_code, again.json()["result"]) == (200, {"said": "hello Ada"})
    newest, _ = site.runs()
    assert (newest["run_id"], newest["rerun_of"]) == (again.json()["run_id"], first["run_id"])
    assert newest["trigger"] == "http"
    assert newest["actor"].startswith("HTTP from ")


@pytest.mark.slow
def test_what_cannot_be_run_again(serve: Serve, site: Site) -> None:
    client, disabled = serve(), serve(DISABLE_AUTO_SYNC="true")
    first = client.post("/api/cron/jobs/quick").json()["run_id"]
    running = site.popen("trigger", "gated")
    (going,) = until(lambda: [run["run_id"] for run in site.runs() if run["job_id"] == "gated"])

    def code(run_id: str, by: httpx2.Client = client, **more: str) -> int:
        return by.post(f"/api/runs/{run_id}/rerun", headers=more).status_code

    refused = (code(going), code("0000"), code(first, disabled), code(first, Authorization="Bearer no"))
    site.write("go", "")
    running.wait()

    assert refused == (409, 404, 503, 401)
    assert client.get(f"/api/runs/{first}/rerun").status_code == 405
    assert client.post("/api/runs/0000/cancel").status_code == 404
    assert len(site.runs()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303), ("GET", "/api/cron/jobs/unknown", 404), ("GET", "/api/cron/jobs/..%2fquick", 404),
        ("GET", "/api/cron/sync/", 404), ("GET", "/api/cron//sync", 404), ("GET", "/api/cron/jobs/", 404),
        ("PUT", "/api/cron/sync", 405), ("DELETE", "/api/cron/jobs/quick", 405), ("HEAD", "/api/cron/jobs/quick", 405),
        ("OPTIONS", "/api/cron/sync", 405), ("POST", "/api/jobs", 405), ("GET", "/api/cron/jobs/quick%00", 404),
    ],
)  # fmt: skip
def test_what_is_no_endpoint_runs_nothing(
    method: str, path: str, status: int, serve: Serve, site: Site
) -> None:
    client = serve()

    assert client.request(method, path).status_code == status
    assert site.runs() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x"]
)
def test_without_the_secret_nothing_is_run_or_shown(header: str, serve: Serve, site: Site) -> None:
    client = serve()
    paths = (
        "/api/cron/sync",
        "/api/cron/jobs/quick",
        "/api/cron/jobs/unknown",
        "/api/jobs",
        "/api/metrics",
        "/metrics",
    )

    responses = [client.get(path, headers={"Authorization": header}) for path in paths]

    assert [response.status_code for response in responses] == [401] * len(paths)
    assert not any(SECRET in response.text for response in responses)
    assert site.runs() == []
    assert client.get("/healthz", headers={"Authorization": header}).text == "ok\n"


@pytest.mark.slow
def test_without_any_secret_only_development_on_loopback_is_served(serve: Serve) -> None:
    production = serve(CRON_SECRET="")
    development = serve(CRON_SECRET="", NODE_ENV="development")
    names = [{"Host": "evil.test"}, {"Sec-Fetch-Site": "cross-site"}]

    assert production.get("/api/jobs").status_code == 401
    assert development.get("/api/jobs").status_code == 200
    assert [development.get("/api/jobs", headers=one).status_code for one in names] == [401, 401]


def test_disabled_stops_other_jobs(serve: Serve) -> None:
    response = serve(DISABLE_AUTO_SYNC="1").get("/api/cron/jobs/quick")

    assert response.status_code == 503
    assert "scheduling is disabled" in response.json()["error"]


@pytest.mark.slow
def test_looks_are_those_of_the_command_line(serve: Serve, site: Site) -> None:
    client = serve()
    client.get("/api/cron/jobs/quick")

    # a look may fall on each side of a change that the server itself makes, as its pruning 5 seconds after it began
    until(lambda: client.get("/api/jobs").json()["jobs"] == site.json("status")["jobs"])
    until(lambda: client.get("/api/metrics").json() == site.json("metrics"))
    until(lambda: client.get("/metrics").text == site.call("metrics", "--format", "prometheus").stdout)
    text = client.get("/metrics")
    assert text.headers["content-type"].startswith("application/openmetrics-text")
    assert 'jobctl_runs_completed_total{job="quick"} 1\n' in text.text


@pytest.mark.slow
def test_jobs_of_applications_and_next_times_on_vercel_are_shown_as_by_status(
    serve: Serve, site: Site
) -> None:
    site.environment["JOBCTL_STATE"] = str(site.folder / "state")  # on Vercel another folder else
    done = site.python(
        "from jobctl import get_job_manager\n"
        "manager = get_job_manager()\n"
        "manager.schedule_job('tidy', 'Tidy up', lambda: None, interval=3600)\n"
        "manager.start()\nmanager.shutdown()\n"
    )
    assert done.returncode == 0, done
    here = {one["id"]: one for one in serve().get("/api/jobs").json()["jobs"]}
    there = {one["id"]: one for one in serve(VERCEL="1").get("/api/jobs").json()["jobs"]}

    assert here.keys() == there.keys() == {one["id"] for one in site.json("status")["jobs"]}
    assert "tidy" in here
    timed = {one for one in there if there[one]["next_run"]}
    site.environment["VERCEL"] = "1"
    assert timed == {one["id"] for one in site.json("status")["jobs"] if one["next_run"]}
    assert timed > {one for one in here if here[one]["next_run"]}


@pytest.mark.slow
def test_a_run_whose_process_died_is_lost_at_the_next_request(serve: Serve, site: Site) -> None:
    client = serve()
    running = site.popen("trigger", "gated")
    until((site.folder / "began").exists)
    running.kill()
    running.wait()

    states = {one["id"]: one["status"] for one in client.get("/api/jobs").json()["jobs"]}

    assert states["gated"] == "failed"
    assert 'jobctl_job_running{job="gated"} 0\n' in client.get("/metrics").text
    assert site.runs_kept("gated")[0].reason == "lost"


def test_huge_headers_are_refused(serve: Serve) -> None:
    client = serve()

    with suppress(httpx2.TransportError):  # the connection may be closed before all was sent
        assert client.get("/api/jobs", headers={"X-Big": "x" * 200_000}).status_code == 400
    assert client.get("/healthz").status_code == 200


@pytest.mark.slow
def test_a_stop_is_graceful(site: Site) -> None:
    process = site.popen("serve", "--port", "0", env={"NODE_ENV": "production", "CRON_SECRET": SECRET})
    assert process.stdout is not None
    url = process.stdout.readline().split()[1].rstrip(",")
    first: list[httpx2.Response] = []

    def call() -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        first.append(httpx2.get(f"{url}/api/cron/jobs/gated?x={SECRET}", headers=headers, timeout=60))

    calling = threading.Thread(target=call)
    calling.start()
    until((site.folder / "began").exists)
    process.send_signal(signal.SIGTERM)
    (site.folder / "go").touch()
    log, _ = process.communicate(timeout=30)
    calling.join()

    assert process.returncode == 0
    assert first[0].json()["status"] == "completed"
    assert "GET /api/cron/jobs/gated 200" in log
    assert SECRET not in log
    site.nothing_left()


EARLY = """
import os, signal, sys, uvicorn
run = uvicorn.Server.run
def early(server, **more):
    os.kill(os.getpid(), signal.SIGTERM)
    return run(server, **more)
uvicorn.Server.run = early
sys.argv = ["jobctl", "serve", "--port", "0"]
from jobctl.cli.main import main
main()
"""


def test_a_stop_that_comes_before_the_server_listens_for_it_is_not_lost(site: Site) -> None:
    done = site.python(EARLY)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_reported(site: Site) -> None:
    done = site.call("serve", "--host", "203.0.113.7", "--port", "8000")

    assert done.returncode == 2
    assert 'cannot listen on "203.0.113.7" port 8000: ' in done.stderr
