import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import alone, do_without
from tests.support.project import Site

SUPPORT = Path(__file__).parents[1] / "support" / "worker"

JOBS = """
[jobs.hello]
every = "1h"
call = "myapp.work:hello"
timeout = "2m"
retries = 3
retry_delay = "20s"
[jobs.failing]
cron = "0 9 * * *"
call = "myapp.work:failing"
retries = 1
[jobs.permanent]
cron = "0 9 * * *"
call = "myapp.work:permanent"
retries = 3
[jobs.slow]
cron = "0 9 * * *"
call = "myapp.work:slow"
[jobs.told]
cron = "0 9 * * *"
call = "myapp.work:told"
"""
CODE = """
import os, threading
from pathlib import Path
import jobctl

def hello(dry_run=False):
    print("hello there")
    Path("greeted").write_text("yes")
    return jobctl.JobResult(processed=2, successful=2, message="dry" if dry_run else "said")

def failing():
    raise ValueError("broken")

def permanent():
    raise jobctl.PermanentJobError("the token is wrong")

def slow():
    print("slow has begun", flush=True)
    threading.Event().wait(60)

def told():
    run = jobctl.current_run()
    slot = None if run.slot is None else run.slot.isoformat()
    return {"slot": slot} | {name: os.environ.get(name) for name in ("TRIGGER_RUN_ID", "TRIGGER_ATTEMPT", "TRIGGER_SCHEDULED_FOR")}
"""


@pytest.fixture
def site(site: Site) -> Site:
    """A project with jobs of its own."""
    site.jobs(JOBS)
    (site.folder / "myapp").mkdir()
    site.write("myapp/work.py", CODE)
    return site


@pytest.fixture
def worker(site: Site, trigger_dev_packages: Path) -> Path:
    """The exported worker, compiled: once for all tests that export the same, since that takes seconds."""
    if shutil.which("node") is None:
        do_without("there is no node")
    assert site.call("export", "trigger-dev", "worker").returncode == 0
    folder = site.folder / "worker"
    (folder / "node_modules").symlink_to(trigger_dev_packages / "node_modules")
    shutil.copy(SUPPORT / "run_task.mjs", folder)
    sources = b"".join(file.read_bytes() for file in sorted(folder.glob("src/**/*.ts")))
    compiled = trigger_dev_packages / hashlib.sha256(sources).hexdigest()
    with alone(trigger_dev_packages / "lock"):
        if not compiled.exists():
            _compile(folder, trigger_dev_packages)
            (folder / "dist").rename(compiled)
    shutil.copytree(compiled, folder / "dist")
    return folder


def _compile(folder: Path, packages: Path) -> None:
    done = subprocess.run(
        ["node", packages / "node_modules" / "typescript" / "bin" / "tsc"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


RunTask = Callable[..., Any]


@pytest.fixture
def run_task(worker: Path, site: Site) -> RunTask:
    """What an exported task answers, and what was logged meanwhile."""

    def run(level: str, task: str = "", payload: object = None, **more: Any) -> tuple[Any, str]:
        asked = {"level": level, "task": task, "payload": payload or {}, **more}
        environment = {**site.environment, "JOBCTL_PYTHON": sys.executable, **more.pop("env", {})}
        done = subprocess.run(
            ["node", "--preserve-symlinks", "run_task.mjs", "dist", json.dumps(asked)],
            cwd=worker,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        log, _, last = done.stdout.rstrip("\n").rpartition("\n")
        return json.loads(last), log

    return run
