"""Ids and names alone, for TAB: no schedule is built, no module imported, nothing is told."""

import os
from contextlib import suppress
from pathlib import Path

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.text import is_job_id


def job_names(folder: str) -> list[tuple[str, str]]:
    """Each job's id and name, as far as they can be had at once; what is wrong is passed over.

    Only valid ids are among them: the files may be anybody's, and a shell puts an id on the line.
    """
    from jobctl.catalogue.caches import IN_MODULES, cache_folder, kept_packages
    from jobctl.catalogue.project import find_project
    from jobctl.errors import JobctlError
    from jobctl.settings.paths import with_home

    found = {one.id: one.name for one in BUILT_IN}
    passed_over = (JobctlError, OSError, ValueError, KeyError, TypeError)
    with suppress(*passed_over):
        project = find_project(with_home(folder, "--project"))
        kept = project.folder / ".jobctl"
        with suppress(OSError):
            for one in kept_packages(kept):
                with suppress(*passed_over):
                    found.update(_kept(one))
        if project.file is not None:
            from jobctl.catalogue.projectfile import read_project_file

            file = read_project_file(project)
            if file.builtin is False:
                for builtin in BUILT_IN:
                    del found[builtin.id]
            found.update((job_id, str(one.get("name", job_id))) for job_id, one in file.jobs.items())
            if file.modules:
                found.update(_kept(cache_folder(kept) / IN_MODULES))
    return [(job_id, name) for job_id, name in found.items() if is_job_id(job_id)]


def _kept(file: Path) -> list[tuple[str, str]]:
    """What ``discover`` found last time; nothing where a file that it read, as of a removed package, is gone."""
    text = file.read_bytes()  # before anything is imported for it
    import json

    data = json.loads(text)
    if not all(os.path.exists(path) for path, *_ in data["files"]):  # noqa: PTH110
        return []
    return [(one["id"], one["settings"]["name"]) for one in data["jobs"]]
