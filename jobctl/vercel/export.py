"""What a Python deployment on Vercel needs: an entry file, its packages, and the calls of every job.

It has the folder to itself, or shares it with nothing that Vercel would build instead.
"""

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import NamedTuple

from jobctl.bundle import Carried, Wheel, requirement
from jobctl.catalogue.location import ProjectLocation
from jobctl.durations import format_duration
from jobctl.errors import DISTRIBUTION, ScheduleError, UsageError, reason_of
from jobctl.model import Job
from jobctl.text import counted
from jobctl.vercel.crons import MOST_CRONS, Plan, Target, vercel_cron
from jobctl.vercel.vercel_json import ENTRY, Cron, Ours, foreign, merged
from jobctl.web.responses import path_of

CONFIG = "vercel.json"
EXTRAS = ("postgres", "web")
_INSIDE = "project"
"""Where the project's files are, in a folder that is not the project's own."""
_OTHER_CONFIGS = ("ts", "mts", "js", "mjs", "cjs", "toml")
_MARGIN_S = 30
_TO_ANSWER_S = 10
"""Of a call's time, for ending a run and writing the answer."""
_LONGEST_JITTER_MIN = 15


class Kept(StrEnum):
    """How much of a job's schedule Vercel keeps."""

    EXACT = "exact"
    CHANGED = "changed"
    LEFT_OUT = "left out"


class Placed(NamedTuple):
    """A job and its call, or why it has none. ``told`` is what happens instead, or the reason."""

    job_id: str
    kept: Kept
    call: Cron
    told: str = ""
    hint: str | None = None

    @property
    def path(self) -> str:
        """What is called."""
        return self.call.path

    @property
    def cron(self) -> str:
        """The expression; empty where it is left out."""
        return self.call.schedule


def place(
    folder: Path, jobs: Iterable[Job], plan: Plan, now: datetime, target: Target = Target.CRONS
) -> list[Placed]:
    """What becomes of each job that has a schedule and is enabled, in order.

    Raises:
        UsageError: a ``vercel.json`` that is there cannot be read.
    """
    room = MOST_CRONS - len(foreign(_there(folder), target.value, str(folder / CONFIG)))
    found: list[Placed] = []
    for job in jobs:
        if job.schedule is None or not job.enabled:
            continue
        one = _placed(job, plan, now, target)
        if one.cron and room <= 0:
            reason = f"a project has {MOST_CRONS} {target.value} at most"
            one = Placed(job.id, Kept.LEFT_OUT, Cron(one.path, ""), reason, "a second Vercel project")
        room -= bool(one.cron)
        found.append(one)
    return found


def deployment_files(
    folder: Path, project: ProjectLocation, carried: Carried, wheel: Wheel | None, max_duration: int
) -> dict[str, str | bytes]:
    """Every file but ``vercel.json``; those of the project too, where the folder is another one.

    Args:
        wheel: of jobctl; None names the released version.
        max_duration: of the function, in seconds: calls are answered before that.

    Raises:
        UsageError: Vercel would not build what is written into that folder.
    """
    _demand_buildable(folder)
    shares = project.folder.resolve() == folder.resolve()
    inside = {} if shares else {f"{_INSIDE}/{name}": data for name, data in carried.files.items()}
    place_ = f'Path(__file__).parent / "{_INSIDE}"' if inside else "Path(__file__).parent"
    lines = [requirement(",".join(EXTRAS), wheel), *carried.requirements]
    return {
        ENTRY: _entry(place_, max_duration),
        "requirements.txt": "".join(f"{line}\n" for line in lines),
        ".python-version": "3.12\n",
        ".vercelignore": ".env*\n.jobctl\n.venv\n",
        **({wheel.name: wheel.data} if wheel else {}),
        **inside,
    }


def config(
    folder: Path, placed: Iterable[Placed], max_duration: int, target: Target = Target.CRONS
) -> dict[str, str]:
    """``vercel.json`` with these calls in it: in ``crons`` or in ``schedules``, since both would call twice.

    Raises:
        UsageError: the one that is there cannot be read.
    """
    calls = [one.call for one in placed if one.cron]
    ours = Ours(calls, [], max_duration) if target is Target.CRONS else Ours([], calls, max_duration)
    return {CONFIG: merged(_there(folder), ours, str(folder / CONFIG))}


def longest_call(jobs: Iterable[Job], plan: Plan) -> int:
    """``maxDuration`` of the function in seconds: what the slowest job may take, as far as the plan allows it."""
    longest = max((ceil(job.timeout.total_seconds()) for job in jobs), default=0)
    return min(longest + _MARGIN_S, plan.longest_call)


def too_long(jobs: Sequence[Job], plan: Plan) -> str | None:
    """A sentence where jobs may take longer than a call there; None where none may."""
    most = plan.longest_call
    found = [job for job in jobs if job.schedule and job.enabled and job.timeout.total_seconds() > most]
    if not found:
        return None
    found.sort(key=lambda job: job.timeout, reverse=True)
    names = ", ".join(f"{job.id} ({format_duration(job.timeout)})" for job in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    have = "has a longer timeout" if len(found) == 1 else "have longer timeouts"
    return f"Vercel ends a call after {most} s on the plan {plan.value}; {counted(len(found), 'job')} {have}: {names}{more}"


def _entry(place_: str, max_duration: int) -> str:
    return f'''\
"""What Vercel serves: the endpoints of jobctl for this folder's project."""

from datetime import timedelta
from pathlib import Path

from jobctl.web.app import create_app

app = create_app({place_}, timeout=timedelta(seconds={max_duration - _TO_ANSWER_S}))
'''


def _demand_buildable(folder: Path) -> None:
    """Refuse a folder of which Vercel would build something else, or install something else."""
    own = "give it a folder of its own, deployed as a second Vercel project: jobctl export vercel vercel-jobs"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only the names are needed
    except OSError:  # it is not there yet, or writing into it reports why it cannot be used
        return
    for kind in _OTHER_CONFIGS:
        if f"vercel.{kind}" in names:
            raise UsageError(f"{folder} has vercel.{kind}, beside which Vercel takes no {CONFIG}", hint=own)
    if "next" in _npm_packages(folder) or any(one.startswith("next.config.") for one in names):
        raise UsageError(f"{folder} is a Next.js project: Vercel would build that, and not {ENTRY}", hint=own)
    toml = folder / "pyproject.toml"
    if toml.is_file() and DISTRIBUTION not in toml.read_text("utf-8", "replace"):
        raise UsageError(
            f"{toml} does not name {DISTRIBUTION}, and Vercel installs what it names and ignores requirements.txt",
            hint=f'add "{DISTRIBUTION}[{",".join(EXTRAS)}]" to its dependencies, or {own}',
        )


def _npm_packages(folder: Path) -> set[str]:
    try:
        found = json.loads((folder / "package.json").read_text("utf-8-sig"))
        return {name for key in ("dependencies", "devDependencies") for name in found.get(key) or ()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return set()


def _placed(job: Job, plan: Plan, now: datetime, target: Target) -> Placed:
    path = path_of(job.id)
    if job.schedule is None:
        raise TypeError("a job by hand only has no cron")
    try:
        timing = vercel_cron(job.schedule, plan, now, target)
    except ScheduleError as error:
        return Placed(job.id, Kept.LEFT_OUT, Cron(path, ""), str(error), error.hint)
    call = Cron(path, timing.cron)
    if target is Target.SCHEDULES:
        minutes = min(_LONGEST_JITTER_MIN, ceil(job.jitter.total_seconds() / 60))
        call = Cron(path, timing.cron, job.id, job.schedule.timezone, minutes)
    return Placed(job.id, Kept.CHANGED if timing.instead else Kept.EXACT, call, timing.instead or "")


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
