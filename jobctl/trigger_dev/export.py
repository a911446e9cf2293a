"""The worker project for Trigger.dev: one scheduled task per job, each runs jobctl as a child process."""

import json
from collections.abc import Iterable
from importlib import resources
from os.path import relpath
from pathlib import Path, PurePosixPath

from jobctl.durations import milliseconds
from jobctl.export_bundle import PACKAGES, Bundle, Wheel, requirement
from jobctl.model import Job
from jobctl.project_location import ProjectLocation
from jobctl.text import printable
from jobctl.trigger_dev.manager import max_duration

SDK = "4.8.3"
"""The version of ``@trigger.dev/sdk``, its build package and its command: they must be equal."""
IMAGE_PYTHON = "/opt/jobctl/bin/python"
EXTRAS = ("postgres",)
_IMAGE = PurePosixPath("/app")
_INSIDE = "project"
_TEMPLATES = {
    "jobctl.ts": "src/jobctl.ts",
    "trigger.config.ts": "trigger.config.ts",
    "tsconfig.json": "tsconfig.json",
    "package.json": "package.json",
    "packages.txt": PACKAGES,
    "gitignore": ".gitignore",
    "README.md": "README.md",
}
_MAX_DELAY_MS = 24 * 3600 * 1000


def worker_files(
    folder: Path, project: ProjectLocation, jobs: Iterable[Job], bundle: Bundle, wheel: Wheel | None
) -> dict[str, str | bytes]:
    """Every file of the worker, by its name in ``folder``; builds on Trigger.dev's servers get only that folder.

    Args:
        folder: where the worker will be.
        project: the working folder of runs in development.
        bundle: for the image.
        wheel: of jobctl; None: install the released version.
    """
    files: dict[str, str | bytes] = {name: _template(source) for source, name in _TEMPLATES.items()}
    files["src/project.ts"] = _project(folder, project, bundle)
    lines = [requirement(",".join(EXTRAS), wheel), *bundle.requirements]
    files["requirements.txt"] = "".join(f"{line}\n" for line in lines)
    files |= {f"{_INSIDE}/{name}": data for name, data in bundle.files.items()}
    if wheel is not None:
        files[wheel.name] = wheel.data
    for job in jobs:
        files[f"src/trigger/{job.id}.ts"] = _task(job)
    return files


def _template(name: str) -> str:
    text = resources.files("jobctl.trigger_dev").joinpath("templates", name).read_text("utf-8")
    return text.replace("@SDK@", SDK)


def _task(job: Job) -> str:
    name = "job" + "".join(part.capitalize() for part in job.id.split("-"))
    delay = min(milliseconds(job.retry_delay) or 0, _MAX_DELAY_MS)
    retry = f"{{ maxAttempts: {job.retries + 1} }}"
    if job.retries:
        retry = (
            f"{{ maxAttempts: {job.retries + 1}, minTimeoutInMs: {delay}, maxTimeoutInMs: "
            f"{_MAX_DELAY_MS}, factor: 2, randomize: true }}"
        )
    return f"""\
// {printable(job.name)}. Its schedule is made by `jobctl run`.
import {{ schedules }} from "@trigger.dev/sdk";
import {{ runJob }} from "../jobctl.js";

export const {name} = schedules.task({{
  id: {json.dumps(job.id)},
  maxDuration: {max_duration(job.timeout)},
  queue: {{ concurrencyLimit: 1 }},
  retry: {retry},
  run: (payload, params) => runJob({json.dumps(job.id)}, payload, params),
}});
"""


def _project(folder: Path, project: ProjectLocation, bundle: Bundle) -> str:
    beside = PurePosixPath(relpath(project.folder.resolve(), folder.resolve()))
    inside = PurePosixPath(_IMAGE, _INSIDE) if bundle.files else _IMAGE
    return f"""\
// Where the site's project is, and which files the image gets.

/** Relative to this folder, in development. */
export const PROJECT_BESIDE = {json.dumps(str(beside))};

export const PROJECT_IN_IMAGE = {json.dumps(str(inside))};

export const IMAGE_PYTHON = {json.dumps(IMAGE_PYTHON)};

/** Patterns of files in this folder; add those that your jobs read. */
export const IMAGE_FILES: string[] = ["requirements.txt", "*.whl", "{_INSIDE}/**"];
"""
