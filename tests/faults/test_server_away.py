"""A Postgres server that is away for a while: whoever waits for a run goes on waiting, and the run goes on."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from tests.faults.audit import jobs_that_tell, told
from tests.support.postgres import Postgres
from tests.support.project import Site, until
from tests.web.conftest import serving

AWAY = "import jobctl.project as outage\noutage.OUTAGE_S = 1.0\n"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One of this test's own, which can be stopped."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def site(site: Site, server: Postgres) -> Site:
    site.environment["JOBCTL_STATE"] = server.schema()
    jobs_that_tell(
        site,
        {"quick": 0.01},
        '[jobs.gated]\nevery = "1h"\ncall = "work:gated"\n',
        "def gated():\n    print('at the gate', flush=True)\n    open('began', 'w').close()\n    while not os.path.exists('go'):\n"
        "        select.select([], [], [], 0.02)\n    print('through the gate')\n",
    )
    return site


def restart_while_it_runs(site: Site, server: Postgres) -> None:
    until((site.folder / "began").exists)
    server.stop("fast")
    threading.Event().wait(1.5)
    (site.folder / "go").touch()
    threading.Event().wait(1.5)
    server.start()


def test_a_restart_ends_no_run_that_is_waited_for(site: Site, server: Postgres) -> None:
    run = site.popen("trigger", "gated", "--json", stderr=subprocess.PIPE)
    restart_while_it_runs(site, server)

    out, err = run.communicate(timeout=60)

    assert run.returncode == 0, err
    assert json.loads(out)["status"] == "completed"
    assert [one["status"] for one in site.runs("gated")] == ["completed"]


def test_a_run_begins_once_the_server_is_there(site: Site, server: Postgres) -> None:
    assert site.call("trigger", "quick").returncode == 0
    server.stop("fast")
    run = site.popen("trigger", "quick", stderr=subprocess.PIPE)
    assert run.stderr is not None
    assert "trying again for 30 s" in run.stderr.readline()
    server.start()

    run.communicate(timeout=60)

    assert run.returncode == 0
    assert told(site, "quick") == 2


def test_the_log_of_a_run_is_followed_over_a_restart(site: Site, server: Postgres) -> None:
    run = site.popen("trigger", "gated")
    until((site.folder / "began").exists)
    follow = site.popen("logs", "gated", "--follow", stderr=subprocess.PIPE)
    restart_while_it_runs(site, server)

    out, err = follow.communicate(timeout=60)

    assert follow.returncode == 0, err
    assert "through the gate" in out
    assert run.wait(60) == 0


def test_when_the_time_is_up_the_run_goes_on(site: Site, server: Postgres) -> None:
    site.write("sitecustomize.py", AWAY)
    site.environment["PYTHONPATH"] = str(site.folder)
    run = site.popen("trigger", "gated")
    until((site.folder / "began").exists)
    follow = site.popen("logs", "gated", "--follow", stderr=subprocess.PIPE)
    assert follow.stdout is not None
    assert "at the gate" in follow.stdout.readline()
    server.stop("fast")

    _, err = follow.communicate(timeout=60)

    assert follow.returncode == 5
    assert "continues, and is no longer followed" in err
    assert run.poll() is None
    server.start()
    (site.folder / "go").touch()
    assert run.wait(60) == 0


def test_a_call_of_an_endpoint_rides_out_a_restart(site: Site, server: Postgres) -> None:
    answers: list[Any] = []
    with serving(site, CRON_SECRET="s" * 32) as client:
        headers = {"Authorization": "Bearer " + "s" * 32}
        call = threading.Thread(
            target=lambda: answers.append(client.get("/api/cron/jobs/gated", headers=headers, timeout=60))
        )
        call.start()
        restart_while_it_runs(site, server)
        call.join(60)

    assert [answer.status_code for answer in answers] == [200]


def test_a_server_without_a_free_connection_is_waited_for(site: Site, server: Postgres) -> None:
    assert site.call("trigger", "quick").returncode == 0
    server.execute("ALTER SYSTEM SET max_connections = 8")
    server.stop("fast")
    server.start()
    taken = []
    with suppress(psycopg.OperationalError):
        while True:
            taken.append(psycopg.connect(server.url("postgres")))
    run = site.popen("trigger", "quick", stderr=subprocess.PIPE)
    assert run.stderr is not None
    assert "trying again for 30 s" in run.stderr.readline()
    for connection in taken:
        connection.close()

    run.communicate(timeout=60)

    assert run.returncode == 0


def test_a_scheduler_goes_on_after_a_restart(site: Site, server: Postgres) -> None:
    scheduler = site.run()
    until(lambda: told(site, "quick") >= 2)
    server.stop("fast")
    until(lambda: "cannot be reached" in site.log(scheduler))
    server.start()
    before = told(site, "quick")
    until(lambda: told(site, "quick") >= before + 2)
    (site.folder / "go").touch()
    scheduler.terminate()
    assert scheduler.wait(60) == 0
    assert "declared" not in site.log(scheduler)
