"""Finds ``@job`` functions in the project's modules, in a child process: ours never imports job code."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobctl.errors import ConfigurationError
from jobctl.text import printable

TIMEOUT_S = 60
_CACHE = "discovered.json"


def discover(
    folder: Path, modules: Sequence[str], environment: Mapping[str, str], state: Path, where: str
) -> list[dict[str, Any]]:
    """Each decorated job as ``{"id", "settings", "origin"}``, in the order of the modules.

    What was found is kept beside the run store until a file of the project that was loaded changes.

    Raises:
        ConfigurationError: a module cannot be imported, or not in 60 seconds.
    """
    if not modules:
        return []
    key = [sys.version, str(folder), list(modules)]
    kept = _kept(state / _CACHE, key)
    if kept is None:
        answer = _ask(folder, modules, environment, where)
        if "error" in answer:
            fault = answer["error"]
            raise ConfigurationError(
                f"module {fault['module']} cannot be imported: {printable(fault['error'])}",
                where=fault["where"],
                hint=f"it is listed in {where}",
            )
        kept = answer["jobs"]
        _keep(state / _CACHE, {"key": key, **answer})
    return kept


def _ask(folder: Path, modules: Sequence[str], environment: Mapping[str, str], where: str) -> dict[str, Any]:
    import json

    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "jobctl.catalogue.discover_child", *modules],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"importing {', '.join(modules)} took longer than {TIMEOUT_S} s", where=where
        ) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = printable(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300])
        raise ConfigurationError(
            f"importing {', '.join(modules)} ended with code {done.returncode}: {last}", where=where
        ) from None
    return answer


def _kept(file: Path, key: list[Any]) -> list[dict[str, Any]] | None:
    import json

    try:
        data = json.loads(file.read_bytes())
        if data["key"] != key:
            return None
        for path, changed, size in data["files"]:
            state = os.stat(path)  # noqa: PTH116 - a listing may name thousands
            if (state.st_mtime_ns, state.st_size) != (changed, size):
                return None
        jobs: list[dict[str, Any]] = data["jobs"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return jobs


def _keep(file: Path, data: Mapping[str, Any]) -> None:
    """Only where the state folder is there already: looking makes none."""
    import json

    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(data, opened)
        new.replace(file)
    except OSError:
        return
