"""Packages from npm, fetched once for all test processes; a test that needs them is skipped where that cannot be."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from jobctl.trigger_dev.export import SDK

TRIGGER_DEV = {
    "@trigger.dev/sdk": SDK,
    "@trigger.dev/build": SDK,
    "@trigger.dev/core": SDK,
    "cron-parser": "4.9.0",  # the webapp's
    "typescript": "5.9.3",
    "@types/node": "22.19.1",
}


def do_without(reason: str) -> NoReturn:
    """Skip the test, but fail it in CI, where everything is to be had."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """One process at a time."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(folder: Path, packages: Mapping[str, str]) -> Path:
    """``folder`` with these packages in its ``node_modules``, by name and version."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock"):
        if not (folder / "done").exists():
            if shutil.which("npm") is None:
                do_without("there is no npm")
            manifest = {"private": True, "type": "module", "dependencies": dict(packages)}
            (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder,
                check=False,
                timeout=110,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                do_without(f"npm cannot fetch {', '.join(packages)}: {done.stderr[-300:]}")
            (folder / "done").touch()
    return folder


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all processes of this test run see."""
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
