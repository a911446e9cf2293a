"""The files of a Python deployment on Vercel: an entry file, its requirements, and ``vercel.json`` with a call per job."""

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from jobctl.durations import format_duration
from jobctl.errors import DISTRIBUTION, ScheduleError, UsageError, reason_of
from jobctl.export_bundle import Bundle, Wheel, requirement
from jobctl.managers.status import AFTER_HINT, AFTER_IS_LOCAL
from jobctl.model import Job, Schedule
from jobctl.project_location import ProjectLocation
from jobctl.text import counted
from jobctl.vercel.crons import MAX_CRONS, Plan, Target, vercel_cron
from jobctl.vercel.vercel_json import ENTRY_FILE, foreign_entries, merge
from jobctl.web.endpoints import path_of

CONFIG = "vercel.json"
EXTRAS = ("postgres", "web")
_INSIDE = "project"
"""The subfolder of the project's files, where the deployment has a folder of its own."""
_OTHER_CONFIGS = ("ts", "mts", "js", "mjs", "cjs", "toml")
_MARGIN_S = 30
_RESPONSE_S = 10
"""Part of a call's time: for the end of a run and the response."""
_MAX_JITTER_MIN = 15


class ScheduleFit(StrEnum):
    """How exactly Vercel keeps a job's schedule."""

    EXACT = "exact"
    CHANGED = "changed"
    LEFT_OUT = "left out"


class PlannedCall(NamedTuple):
    """The call of a job's endpoint.

    Attributes:
        cron: the expression; empty where the job is left out.
        detail: what happens instead of the job's schedule, or why it is left out.
        timezone: of an entry of ``schedules``; one of ``crons`` is always in UTC.
        jitter: in minutes, 0 to 15; only for ``schedules``.
        number: among the calls of its job, from 1.
    """

    job_id: str
    path: str
    fit: ScheduleFit
    cron: str = ""
    detail: str = ""
    hint: str | None = None
    timezone: str = "UTC"
    jitter: int = 0
    number: int = 1

    def entry(self, target: Target) -> dict[str, Any]:
        """The entry of ``crons`` or ``schedules``."""
        if target is Target.CRONS:
            return {"path": self.path, "schedule": self.cron}
        expression: dict[str, Any] = {"cron": self.cron}
        if self.jitter:
            expression["jitter"] = self.jitter
        name = f"{self.job_id}.{self.number}" if self.number > 1 else self.job_id  # no id has a dot
        found = {"name": name, "expression": expression, "target": {"path": self.path}}
        return found if self.timezone == "UTC" else {**found, "timezone": self.timezone}


def plan_calls(
    folder: Path, jobs: Iterable[Job], plan: Plan, now: datetime, target: Target = Target.CRONS
) -> list[PlannedCall]:
    """The calls of each enabled job with a schedule, one for each cron expression, in order.

    Raises:
        UsageError: the existing ``vercel.json`` cannot be read.
    """
    room = MAX_CRONS - len(foreign_entries(read_config(folder), target.value, str(folder / CONFIG)))
    calls: list[PlannedCall] = []
    for job in jobs:
        if not job.enabled:
            continue
        if job.after:
            left_out = ScheduleFit.LEFT_OUT
            calls.append(
                PlannedCall(job.id, path_of(job.id), left_out, detail=AFTER_IS_LOCAL, hint=AFTER_HINT)
            )
        if job.schedule is None:
            continue
        for number, member in enumerate(job.schedule.members, 1):
            call = _planned_call(job, member, plan, now, target)._replace(number=number)
            if call.cron and any((other.job_id, other.cron) == (job.id, call.cron) for other in calls):
                continue
            if call.cron and room <= 0:
                reason = f"a project has at most {MAX_CRONS} {target.value}"
                call = PlannedCall(
                    job.id, call.path, ScheduleFit.LEFT_OUT, detail=reason, hint="use a second Vercel project"
                )
            room -= bool(call.cron)
            calls.append(call)
    return calls


def _planned_call(job: Job, schedule: Schedule, plan: Plan, now: datetime, target: Target) -> PlannedCall:
    path = path_of(job.id)
    try:
        timing = vercel_cron(schedule, plan, now, target)
    except ScheduleError as error:
        return PlannedCall(job.id, path, ScheduleFit.LEFT_OUT, detail=str(error), hint=error.hint)
    return PlannedCall(
        job.id,
        path,
        ScheduleFit.CHANGED if timing.instead else ScheduleFit.EXACT,
        timing.cron,
        timing.instead or "",
        timezone=schedule.timezone if target is Target.SCHEDULES else "UTC",
        jitter=min(_MAX_JITTER_MIN, ceil(job.jitter.total_seconds() / 60)),
    )


def deployment_files(
    folder: Path, project: ProjectLocation, bundle: Bundle, wheel: Wheel | None, max_duration: int
) -> dict[str, str | bytes]:
    """Every file but ``vercel.json``, including the project's files unless the folder is the project's.

    Args:
        wheel: of jobctl; None: install the released version.
        max_duration: of the function, in seconds.

    Raises:
        UsageError: Vercel would not build these files in that folder.
    """
    _require_buildable(folder)
    is_project = project.folder.resolve() == folder.resolve()
    inside = {} if is_project else {f"{_INSIDE}/{name}": data for name, data in bundle.files.items()}
    folder_code = f'Path(__file__).parent / "{_INSIDE}"' if inside else "Path(__file__).parent"
    lines = [requirement(",".join(EXTRAS), wheel), *bundle.requirements]
    return {
        ENTRY_FILE: _entry(folder_code, max_duration),
        "requirements.txt": "".join(f"{line}\n" for line in lines),
        ".python-version": "3.12\n",
        ".vercelignore": ".env*\n.jobctl\n.venv\n",
        **({wheel.name: wheel.data} if wheel else {}),
        **inside,
    }


def config(
    folder: Path, calls: Iterable[PlannedCall], max_duration: int, target: Target = Target.CRONS
) -> dict[str, str]:
    """``vercel.json`` with these calls, either in ``crons`` or in ``schedules``: both would call twice.

    Raises:
        UsageError: the existing file cannot be read.
    """
    entries = {target.value: [call.entry(target) for call in calls if call.cron]}
    return {CONFIG: merge(read_config(folder), entries, str(folder / CONFIG), max_duration)}


def longest_call(jobs: Iterable[Job], plan: Plan) -> int:
    """``maxDuration`` of the function in seconds: the longest timeout of a job, within the plan's limit."""
    longest = max((ceil(job.timeout.total_seconds()) for job in jobs), default=0)
    return min(longest + _MARGIN_S, plan.longest_call)


def timeout_warning(jobs: Sequence[Job], plan: Plan) -> str | None:
    """A sentence where jobs have longer timeouts than a call may take; or None."""
    most = plan.longest_call
    found = [job for job in jobs if job.schedule and job.enabled and job.timeout.total_seconds() > most]
    if not found:
        return None
    found.sort(key=lambda job: job.timeout, reverse=True)
    names = ", ".join(f"{job.id} ({format_duration(job.timeout)})" for job in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    have = "has a longer timeout" if len(found) == 1 else "have longer timeouts"
    return f"Vercel ends a call after {most} s on the plan {plan.value}; {counted(len(found), 'job')} {have}: {names}{more}"


def _entry(folder_code: str, max_duration: int) -> str:
    return f'''\
"""Serves the cron endpoints of jobctl."""

from datetime import timedelta
from pathlib import Path

from jobctl.web.app import create_app

app = create_app({folder_code}, timeout=timedelta(seconds={max_duration - _RESPONSE_S}))
'''


def _require_buildable(folder: Path) -> None:
    """Refuse a folder where Vercel would build, or install, something else."""
    own = "give it a folder of its own, deployed as a second Vercel project: jobctl export vercel vercel-jobs"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - only the names are needed
    except OSError:  # it does not exist, or the write will report the reason
        return
    for kind in _OTHER_CONFIGS:
        if f"vercel.{kind}" in names:
            raise UsageError(
                f"{folder} has vercel.{kind}, and Vercel does not accept {CONFIG} in addition", hint=own
            )
    if is_next_project(folder):
        raise UsageError(
            f"{folder} is a Next.js project: Vercel would build that instead of {ENTRY_FILE}", hint=own
        )
    toml = folder / "pyproject.toml"
    if toml.is_file() and DISTRIBUTION not in toml.read_text("utf-8", "replace"):
        raise UsageError(
            f"{toml} does not name {DISTRIBUTION}, and Vercel installs what it names and ignores requirements.txt",
            hint=f'add "{DISTRIBUTION}[{",".join(EXTRAS)}]" to its dependencies, or {own}',
        )


def is_next_project(folder: Path) -> bool:
    """Whether Vercel would build a folder as a Next.js project."""
    return "next" in _npm_packages(folder) or any(folder.glob("next.config.*"))


def _npm_packages(folder: Path) -> set[str]:
    try:
        found = json.loads((folder / "package.json").read_text("utf-8-sig"))
        return {name for key in ("dependencies", "devDependencies") for name in found.get(key) or ()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return set()


def read_config(folder: Path) -> str | None:
    """The text of ``vercel.json`` in a folder; None where there is none.

    Raises:
        UsageError: it cannot be read.
    """
    path = folder / CONFIG
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", hint="convert it, or remove it") from error
