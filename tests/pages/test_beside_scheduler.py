"""``run --web``: the page in a process of its own, beside a real scheduler."""

import re
import signal

import httpx2
import pytest

from tests.pages.conftest import CODE, JOBS, OWN
from tests.support.project import Site, until

pytestmark = pytest.mark.slow


@pytest.fixture
def project(site_on_either_store: Site) -> Site:
    site_on_either_store.jobs(JOBS, CODE)
    return site_on_either_store


def serve(site: Site, *options: str) -> httpx2.Client:
    process = site.run("--web", "--port", "0", *options)
    found = re.search(r"page: (http://127.0.0.1:\d+)/", site.log(process))
    assert found
    return httpx2.Client(base_url=found[1], trust_env=False, timeout=30)


def post(client: httpx2.Client, path: str, **fields: str) -> httpx2.Response:
    token = re.search(r'name="token" value="([^"]+)"', client.get("/jobs/quick").text)
    assert token
    headers = {**OWN, "Origin": str(client.base_url).rstrip("/")}
    return client.post(path, data={"token": token[1], **fields}, headers=headers)


def test_it_asks_the_scheduler_which_runs_the_job(project: Site) -> None:
    with serve(project) as client:
        assert "Local scheduler: running" in client.get("/").text
        answer = post(client, "/jobs/greet/run", **{"argument.name": "Ada", "reason": "to greet her"})
        path = answer.headers["location"].partition("?")[0]
        assert re.search(r"A run of greet was started|completed", client.get(answer.headers["location"]).text)
        until(lambda: "greeted Ada" in client.get(path).text)
        text = client.get(path).text

    assert "hello Ada" in text
    assert "page from 127.0.0.1" in text
    assert "to greet her" in text
    (run,) = project.runs("greet")
    assert run["arguments"] == {"name": "Ada"}


def test_it_shows_the_jobs_of_an_edited_project_file(project: Site) -> None:
    with serve(project) as client:
        assert client.get("/jobs/added").status_code == 404
        project.jobs(JOBS + '[jobs.added]\nevery = "1h"\ncall = "work:quick"\n')
        until(lambda: "work:quick" in client.get("/jobs/added").text)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_scheduler_however_that_ends(number: int, site: Site) -> None:
    site.jobs(JOBS, CODE)
    with serve(site) as client, client.stream("GET", "/events") as stream:
        assert stream.status_code == 200
        site.started[-1].send_signal(number)
        site.started[-1].wait()
    site.nothing_left()


def test_its_end_does_not_end_the_scheduler_and_it_starts_again(site: Site) -> None:
    import os

    from tests.support.project import marked

    site.jobs(JOBS, CODE)
    with serve(site) as client:
        pages = [pid for pid in marked(site.mark) if b"beside_scheduler" in _words(pid)]
        os.kill(pages[0], signal.SIGKILL)
        until(lambda: _is_up(client))
        assert site.started[-1].poll() is None


def test_a_port_that_is_taken_is_refused_before_anything_starts(site: Site) -> None:
    import socket

    site.jobs(JOBS, CODE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = site.call("run", "--web", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert not (site.folder / ".jobctl" / "jobctl.db").exists()


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (["--port", "1234"], {}, "--port and --open go with --web"),
        (["--web"], {"VERCEL": "1"}, "--web goes with the local scheduler, and the mode is vercel"),
    ],
)
def test_the_page_goes_with_the_local_scheduler(
    words: list[str], environment: dict[str, str], message: str, site: Site
) -> None:
    site.jobs(JOBS, CODE)
    done = site.call("run", *words, env=environment)

    assert done.returncode == 2
    assert message in done.stderr


def test_settings_from_a_pipe_reach_the_page(site: Site) -> None:
    import os
    import threading

    site.jobs(JOBS, CODE)
    pipe = site.folder / ".env"
    os.mkfifo(pipe)
    writer = threading.Thread(
        target=lambda: pipe.write_text("NODE_ENV=production\nCRON_SECRET=a-secret-of-the-site\n")
    )
    writer.start()
    with serve(site, "--local") as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")
    writer.join()


def _words(pid: int) -> bytes:
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/").status_code == 200
    except httpx2.HTTPError:
        return False
