import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from tests.support.project import Site

SECRET = "a-secret-of-the-site"
CODE = """
import threading
from pathlib import Path

def quick():
    print("quick ran")
    return {"n": 1}

def greet(name: str, times: int = 1):
    return {"said": " ".join([f"hello {name}"] * times)}

def broken():
    raise ValueError("the password is hunter2")

def gated():
    Path("began").touch()
    while not Path("go").exists():
        threading.Event().wait(0.02)
"""
JOBS = '[jobs.greet]\ncall = "work:greet"\n' + "".join(
    f'[jobs.{name}]\nevery = "1h"\ncall = "work:{name}"\n' for name in ("quick", "broken", "gated")
)

Serve = Callable[..., httpx2.Client]


@contextmanager
def serving(site: Site, *options: str, **environment: str) -> Iterator[httpx2.Client]:
    """The real server, and a client of it."""
    process = site.popen("serve", "--port", "0", *options, env=environment)
    assert process.stdout is not None
    try:
        found = re.search(r"http://[^,]+", process.stdout.readline())
        assert found
        with httpx2.Client(base_url=found[0], trust_env=False, timeout=30) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    return site


@pytest.fixture
def serve(site: Site) -> Iterator[Serve]:
    """Serves with a secret in production, unless other settings are given."""
    with ExitStack() as stack:

        def start(*options: str, **environment: str) -> httpx2.Client:
            settings = {"NODE_ENV": "production", "CRON_SECRET": SECRET, **environment}
            client = stack.enter_context(serving(site, *options, **settings))
            if settings["CRON_SECRET"]:
                client.headers["Authorization"] = f"Bearer {settings['CRON_SECRET']}"
            return client

        yield start
