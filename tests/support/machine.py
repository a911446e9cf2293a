"""A machine of its own: a pid namespace whose PID 1 is the program. No other process sees its processes."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.project import Site, until

MACHINE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]


def has_machines() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*MACHINE, "true"], check=False, capture_output=True).returncode == 0


def boot(site: Site, *words: str, **more: Any) -> subprocess.Popen[str]:
    """Start ``jobctl`` as PID 1; what is killed is the whole machine."""
    process = subprocess.Popen(
        [*MACHINE, sys.executable, "-m", "jobctl", *words],
        cwd=site.folder,
        env={**site.environment, **more.pop("env", {})},
        stdin=subprocess.DEVNULL,
        stdout=more.pop("stdout", subprocess.DEVNULL),
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )
    site.started.append(process)
    return process


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def pid_one(machine: subprocess.Popen[str]) -> int:
    """The machine's first process, by its pid out here, once it has a child that does the work."""
    (first,) = until(lambda: [one for one in children(machine.pid) if children(one)])
    return first


def zombies(pid: int) -> list[str]:
    """Processes below ``pid`` that have ended and were not waited for."""
    found = []
    for child in children(pid):
        try:
            stat = Path(f"/proc/{child}/stat").read_text()
        except FileNotFoundError:
            continue
        if stat.rpartition(")")[2].split()[0] == "Z":
            found.append(stat)
        found += zombies(child)
    return found
