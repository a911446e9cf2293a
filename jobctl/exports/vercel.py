"""What a Python deployment on Vercel needs: an entry file, its packages, and the crons of every job."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from jobctl import __version__
from jobctl.catalogue.project import Project
from jobctl.errors import ScheduleError, UsageError, reason_of
from jobctl.exports.plans import Plan
from jobctl.exports.vercel_crons import MOST_CRONS, vercel_cron
from jobctl.exports.vercel_json import Cron, foreign, merged
from jobctl.model import Job
from jobctl.web.routes import path_of

CONFIG = "vercel.json"
_ENTRY = '''\
"""What Vercel serves: the endpoints of jobctl for this folder's project."""

from pathlib import Path

from jobctl.web.app import create_app

app = create_app(Path(__file__).parent)
'''


class Kept(StrEnum):
    """How much of a job's schedule Vercel keeps."""

    EXACT = "exact"
    CHANGED = "changed"
    LEFT_OUT = "left out"


class Placed(NamedTuple):
    """A job and its cron, or why it has none. ``told`` is what happens instead, or the reason."""

    job_id: str
    path: str
    kept: Kept
    cron: str = ""
    told: str = ""
    hint: str | None = None


def place(folder: Path, jobs: Iterable[Job], plan: Plan, now: datetime) -> list[Placed]:
    """What becomes of each job that has a schedule and is enabled, in order.

    Raises:
        UsageError: a ``vercel.json`` that is there cannot be read.
    """
    room = MOST_CRONS - len(foreign(_there(folder), str(folder / CONFIG)))
    found: list[Placed] = []
    for job in jobs:
        if job.schedule is None or not job.enabled:
            continue
        one = _placed(job, plan, now)
        if one.cron and room <= 0:
            reason = f"a project has {MOST_CRONS} crons at most"
            one = Placed(job.id, one.path, Kept.LEFT_OUT, told=reason, hint="a second Vercel project")
        room -= bool(one.cron)
        found.append(one)
    return found


def deployment_files(folder: Path, project: Project) -> dict[str, str]:
    """Every file but ``vercel.json``.

    Raises:
        UsageError: the project's own jobs would be missing in that folder.
    """
    if project.file is not None and project.folder.resolve() != folder.resolve():
        raise UsageError(
            f"the jobs of {project.file} would not be in {folder}: Vercel gets that folder alone",
            hint=f"jobctl export vercel {project.folder}",
        )
    return {
        "app.py": _ENTRY,
        "requirements.txt": f"jobctl[postgres,web]=={__version__}\n",
        ".python-version": "3.12\n",
        ".vercelignore": ".env*\n.jobctl\n.venv\n",
    }


def config(folder: Path, placed: Iterable[Placed]) -> dict[str, str]:
    """``vercel.json`` with these crons in it.

    Raises:
        UsageError: the one that is there cannot be read.
    """
    crons = [Cron(one.path, one.cron) for one in placed if one.cron]
    return {CONFIG: merged(_there(folder), crons, str(folder / CONFIG))}


def _placed(job: Job, plan: Plan, now: datetime) -> Placed:
    path = path_of(job.id)
    if job.schedule is None:
        raise TypeError("a job by hand only has no cron")
    try:
        timing = vercel_cron(job.schedule, plan, now)
    except ScheduleError as error:
        return Placed(job.id, path, Kept.LEFT_OUT, told=str(error), hint=error.hint)
    kept = Kept.CHANGED if timing.instead else Kept.EXACT
    return Placed(job.id, path, kept, timing.cron, timing.instead or "")


def _there(folder: Path) -> str | None:
    path = folder / CONFIG
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", hint="mend it, or remove it") from error
