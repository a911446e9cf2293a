"""The worker project that Trigger.dev runs: one scheduled task a job, each a child process of jobctl's."""

import json
from collections.abc import Iterable
from importlib import resources
from os.path import relpath
from pathlib import Path, PurePosixPath

from jobctl import __version__
from jobctl.catalogue.project import Project
from jobctl.durations import milliseconds
from jobctl.managers.trigger_dev import max_duration
from jobctl.model import Job
from jobctl.text import printable

SDK = "4.8.3"
"""Of ``@trigger.dev/sdk``, its build package and its command: they must be equal."""
IMAGE_PYTHON = "/opt/jobctl/bin/python"
_IMAGE = "/app"
_COPIED = {
    "jobctl.ts": "src/jobctl.ts",
    "trigger.config.ts": "trigger.config.ts",
    "tsconfig.json": "tsconfig.json",
    "package.json": "package.json",
    "gitignore": ".gitignore",
    "README.md": "README.md",
}
_LONGEST_DELAY_MS = 24 * 3600 * 1000


def worker_files(folder: Path, project: Project, jobs: Iterable[Job]) -> dict[str, str]:
    """Every file of the worker, by its name in ``folder``.

    Args:
        folder: where the worker will be; the project's files are named as seen from there.
        project: whose file and modules go along into the image.
    """
    chosen = list(jobs)
    files = {name: _template(source) for source, name in _COPIED.items()}
    files["src/project.ts"] = _project(folder, project, chosen)
    files["requirements.txt"] = (
        f"# what the image gets; another index or a git address will do as well\njobctl[postgres]=={__version__}\n"
    )
    for job in chosen:
        files[f"src/trigger/{job.id}.ts"] = _task(job)
    return files


def _template(name: str) -> str:
    text = resources.files("jobctl.exports").joinpath("templates", "trigger_dev", name).read_text("utf-8")
    return text.replace("@SDK@", SDK)


def _task(job: Job) -> str:
    name = "job" + "".join(part.capitalize() for part in job.id.split("-"))
    delay = min(milliseconds(job.retry_delay) or 0, _LONGEST_DELAY_MS)
    retry = f"{{ maxAttempts: {job.retries + 1} }}"
    if job.retries:
        retry = (
            f"{{ maxAttempts: {job.retries + 1}, minTimeoutInMs: {delay}, maxTimeoutInMs: "
            f"{_LONGEST_DELAY_MS}, factor: 2, randomize: true }}"
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
  run: (payload, told) => runJob({json.dumps(job.id)}, payload, told),
}});
"""


def _project(folder: Path, project: Project, jobs: Iterable[Job]) -> str:
    """Where the project is, beside the worker and in the image, and what of it goes along.

    Trigger.dev copies a file that lies outside the worker to its path without the ``..`` parts.
    """
    beside = PurePosixPath(relpath(project.folder.resolve(), folder.resolve()))
    inside = PurePosixPath(_IMAGE, *(part for part in beside.parts if part not in {"..", "."}))
    patterns = [str(beside / one) for one in _shipped(project, jobs)]
    return f"""\
// Where the site's project is, and what of it goes into the image.

/** Seen from this folder, in development. */
export const PROJECT_BESIDE = {json.dumps(str(beside))};

export const PROJECT_IN_IMAGE = {json.dumps(str(inside))};

export const IMAGE_PYTHON = {json.dumps(IMAGE_PYTHON)};

/** Patterns of files; add what your jobs read. */
export const PROJECT_FILES: string[] = {json.dumps(patterns)};
"""


def _shipped(project: Project, jobs: Iterable[Job]) -> list[str]:
    """The project's file, and every package or module of its folder that a job is imported from."""
    found = [project.file.name] if project.file is not None else []
    targets = [job.target for job in jobs if isinstance(job.target, str)]
    names = {target.partition(":")[0].partition(".")[0] for target in targets} - {"jobctl"}
    for name in sorted(names):
        if (project.folder / name).is_dir():
            found.append(f"{name}/**")
        elif (project.folder / f"{name}.py").is_file():
            found.append(f"{name}.py")
    return found
