"""A new job in a project: its function, its entry in the project's file, and its test."""

import builtins
import json
import keyword
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from jobctl.catalogue.job_keys import build_job
from jobctl.catalogue.location import OWN_FILE, SHARED_FILE, ProjectLocation
from jobctl.catalogue.project_file import parse_toml
from jobctl.errors import ConfigurationError, ConfigurationErrors, UsageError, reason_of
from jobctl.files import write_whole
from jobctl.model import Job
from jobctl.text import quote

_FUNCTION = '''\
"""{name}."""

from jobctl import JobResult


def {function}() -> JobResult:
    """Say what came of it; raise to fail. What is printed is in the run's log."""
    done = 0
    print(f"{{done}} things done")
    return JobResult(processed=done, successful=done)
'''
_TEST = """\
from {module} import {function}


def test_{function}_does_its_work() -> None:
    assert {function}().success
"""


class NewFile(NamedTuple):
    """A file to write: its path in the project, and its whole text."""

    name: str
    text: str
    change: str


class NewJob(NamedTuple):
    """What will be there."""

    job: Job
    files: list[NewFile]
    test: str | None


def new_job(project: ProjectLocation, job_id: str, settings: Mapping[str, Any], module: str | None) -> NewJob:
    """Prepare it; nothing is written.

    Args:
        settings: as in the project's file, without ``call``; with ``command`` there is no function and no test.
        module: where the function goes; ``jobs.NAME`` where it is None.

    Raises:
        UsageError: a setting cannot be used, a file is there already, or Python would not import it.
    """
    files: list[NewFile] = []
    test = None
    whole = dict(settings)
    name = _python_name(job_id)
    place = f"jobs.{name}" if module is None else module
    if "command" not in settings:
        whole["call"] = f"{place}:{name}"
    try:
        job = build_job(job_id, whole, lambda key: f"--{key}" if key in settings else "jobctl new")
    except ConfigurationErrors as error:
        raise UsageError(str(error.problems[0]), hint=error.problems[0].hint) from None
    if "command" not in settings:
        _demand_importable(project, place)
        test = f"tests/test_{name}.py"
        words = {"name": job.name.replace("\\", "\\\\").replace('"', "'"), "function": name, "module": place}
        files.append(_fresh(project, f"{place.replace('.', '/')}.py", _FUNCTION.format(**words)))
        files.append(_fresh(project, test, _TEST.format(**words)))
    files.append(_entry(project, job_id, whole))
    return NewJob(job, files, test)


def write(project: ProjectLocation, new: NewJob) -> None:
    """Write its files, the project's own file last. All of them, or none.

    Raises:
        UsageError: one cannot be written; those before it are removed again.
    """
    with ExitStack() as undo:
        for one in new.files:
            path = (project.folder / one.name).resolve()  # what a link leads to, so that it stays a link
            try:
                for folder in [above for above in reversed(path.parents) if not above.exists()]:
                    folder.mkdir()
                    undo.callback(_if_possible, folder.rmdir)
                write_whole(path, one.text.encode())
            except OSError as error:
                shown = quote(str(path), 200)[1:-1]
                raise UsageError(f"{shown} cannot be written: {reason_of(error)}") from error
            if one.change == "created":
                undo.callback(_if_possible, path.unlink)
        undo.pop_all()


def _if_possible(remove: Callable[[], None]) -> None:
    with suppress(OSError):
        remove()


def _python_name(job_id: str) -> str:
    """The id as a name that hides none of Python's, and that pytest takes for no test."""
    name = job_id.replace("-", "_")
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name.startswith("test")
    return f"job_{name}" if taken or not name.isidentifier() else name


def _fresh(project: ProjectLocation, name: str, text: str) -> NewFile:
    if os.path.exists(project.folder / name):  # noqa: PTH110 - False for what no path can be
        raise UsageError(f"{name} is there already", hint="another id, or --module for another place")
    return NewFile(name, text, "created")


def _demand_importable(project: ProjectLocation, module: str) -> None:
    """That Python finds the module there: no other of its name is imported in its place."""
    hint = "name another place by --module"
    parts = module.split(".")
    reserved = next(filter(keyword.iskeyword, parts), None)
    if reserved:
        raise UsageError(f"{module} cannot be imported: {reserved} is a word of Python's own", hint=hint)
    folder, top = project.folder, parts[0]
    found = PathFinder.find_spec(top, [str(folder), *sys.path])
    here = found is None or found.origin is None or Path(found.origin).parent in {folder, folder / top}
    if top in sys.stdlib_module_names or not here:
        raise UsageError(f"{module} cannot be imported: another {top} is installed", hint=hint)
    for end in range(1, len(parts)):
        path = Path(*parts[:end]).with_suffix(".py")
        if os.path.exists(folder / path):  # noqa: PTH110
            raise UsageError(f"{module} cannot be imported beside {path}", hint=hint)


def _entry(project: ProjectLocation, job_id: str, settings: Mapping[str, Any]) -> NewFile:
    file = project.file or project.folder / OWN_FILE
    before = ""
    try:
        if project.file is not None:
            with file.open(encoding="utf-8", newline="") as opened:
                before = opened.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{file} cannot be read: {reason}") from error
    shared = file.name == SHARED_FILE
    lines = [f"[{'tool.jobctl.' if shared else ''}jobs.{job_id}]"]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else end if before.endswith("\n") else end * 2
    text = before + gap + end.join([*lines, ""])
    if not _says(text, [*(["tool", "jobctl"] if shared else []), "jobs", job_id], settings):
        raise UsageError(
            f"{file.name} writes its jobs in a way that nothing can be added to",
            hint=f"add by hand: {quote('; '.join(lines), 200)[1:-1]}",
        )
    return NewFile(file.name, text, "changed" if before else "created")


def _says(text: str, path: list[str], settings: Mapping[str, Any]) -> bool:
    try:
        found: Any = parse_toml("", text.removeprefix("\ufeff"))
        for key in path:
            found = found[key]
        return bool(found == dict(settings))
    except (ConfigurationError, KeyError, TypeError):
        return False


def demand_unknown(job_id: str, known: Mapping[str, Job]) -> None:
    """That no job has this id.

    Raises:
        UsageError: one has.
    """
    if job_id in known:
        raise UsageError(
            f"there is a job {quote(job_id)} already: {known[job_id].origin}", hint="choose another id"
        )
