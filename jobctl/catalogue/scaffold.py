"""Writes a new job: its function, its table in the project file, and its test."""

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
from jobctl.errors import ConfigurationError, ConfigurationErrors, UsageError, reason_of
from jobctl.files import write_whole
from jobctl.model import Job
from jobctl.project_location import OWN_FILE, SHARED_FILE, ProjectLocation
from jobctl.text import quote
from jobctl.toml_file import parse_toml

_FUNCTION = '''\
"""{name}."""

from jobctl import JobResult


def {function}() -> JobResult:
    """Return a result; raise to fail. Printed lines go to the log of the run."""
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
    """A job and the files that define it. ``test``: the path of its test; None for a command."""

    job: Job
    files: list[NewFile]
    test: str | None


def new_job(
    location: ProjectLocation, job_id: str, settings: Mapping[str, Any], module: str | None
) -> NewJob:
    """Prepare a new job; nothing is written.

    Args:
        settings: as in the project file, without ``call``; with ``command`` the job gets no function and no test.
        module: the module of the function; None is ``jobs.NAME``.

    Raises:
        UsageError: a setting is invalid, a file exists already, or Python could not import the module.
    """
    files: list[NewFile] = []
    test = None
    settings_in_file = dict(settings)
    name = _python_name(job_id)
    place = f"jobs.{name}" if module is None else module
    if "command" not in settings:
        settings_in_file["call"] = f"{place}:{name}"
    try:
        job = build_job(job_id, settings_in_file, lambda key: f"--{key}" if key in settings else "jobctl new")
    except ConfigurationErrors as error:
        raise UsageError(str(error.problems[0]), hint=error.problems[0].hint) from None
    if "command" not in settings:
        _demand_importable(location, place)
        test = f"tests/test_{name}.py"
        words = {"name": job.name.replace("\\", "\\\\").replace('"', "'"), "function": name, "module": place}
        files.append(_fresh(location, f"{place.replace('.', '/')}.py", _FUNCTION.format(**words)))
        files.append(_fresh(location, test, _TEST.format(**words)))
    files.append(_entry(location, job_id, settings_in_file))
    return NewJob(job, files, test)


def write(location: ProjectLocation, new: NewJob) -> None:
    """Write the files of a new job, the project file last: all of them, or none.

    Raises:
        UsageError: a file cannot be written; those before it are removed again.
    """
    with ExitStack() as undo:
        for file in new.files:
            path = (location.folder / file.name).resolve()  # the target of a link, which stays a link
            try:
                for folder in [above for above in reversed(path.parents) if not above.exists()]:
                    folder.mkdir()
                    undo.callback(_try, folder.rmdir)
                write_whole(path, file.text.encode())
            except OSError as error:
                shown = quote(str(path), 200)[1:-1]
                raise UsageError(f"{shown} cannot be written: {reason_of(error)}") from error
            if file.change == "created":
                undo.callback(_try, path.unlink)
        undo.pop_all()


def _try(remove: Callable[[], None]) -> None:
    with suppress(OSError):
        remove()


def _python_name(job_id: str) -> str:
    """The id as a Python name that is neither a keyword nor a built-in, nor a test to pytest."""
    name = job_id.replace("-", "_")
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name.startswith("test")
    return f"job_{name}" if taken or not name.isidentifier() else name


def _fresh(location: ProjectLocation, name: str, text: str) -> NewFile:
    if os.path.exists(location.folder / name):  # noqa: PTH110 - False for an impossible path
        raise UsageError(f"{name} already exists", hint="another id, or --module for another place")
    return NewFile(name, text, "created")


def _demand_importable(location: ProjectLocation, module: str) -> None:
    """Check that Python would import the module from the project, and no other of its name."""
    hint = "name another place by --module"
    parts = module.split(".")
    reserved = next(filter(keyword.iskeyword, parts), None)
    if reserved:
        raise UsageError(f"{module} cannot be imported: {reserved} is a Python keyword", hint=hint)
    folder, top = location.folder, parts[0]
    found = PathFinder.find_spec(top, [str(folder), *sys.path])
    here = found is None or found.origin is None or Path(found.origin).parent in {folder, folder / top}
    if top in sys.stdlib_module_names or not here:
        raise UsageError(f"{module} cannot be imported: another {top} is installed", hint=hint)
    for end in range(1, len(parts)):
        path = Path(*parts[:end]).with_suffix(".py")
        if os.path.exists(folder / path):  # noqa: PTH110
            raise UsageError(f"{module} cannot be imported beside {path}", hint=hint)


def append_to_project_file(
    location: ProjectLocation, tables: Callable[[str], str], settings: Mapping[str, Mapping[str, Any]]
) -> str:
    """Append the tables of several jobs to the project file; returns its name.

    Args:
        tables: makes their text, given the prefix of a table's name.
        settings: what the file must then contain, by job.

    Raises:
        UsageError: the file cannot be read or written, or tables cannot be added to the way it writes its jobs.
    """
    new = _appended(location, tables, settings)
    if not new.is_read_back:
        raise UsageError(
            f"tables cannot be added to the way {new.file.name} writes its jobs",
            hint="see them with --dry-run",
        )
    try:
        write_whole(new.file.resolve(), new.text.encode())
    except OSError as error:
        raise UsageError(f"{new.file.name} cannot be written: {reason_of(error)}") from error
    return new.file.name


class _Appended(NamedTuple):
    """A project file with tables at its end.

    Attributes:
        is_new: whether there was none.
        is_read_back: whether the text contains exactly the settings that were to be added.
    """

    file: Path
    text: str
    added: str
    is_new: bool
    is_read_back: bool


def _appended(
    location: ProjectLocation, tables: Callable[[str], str], settings: Mapping[str, Mapping[str, Any]]
) -> _Appended:
    """The project file with tables at its end, whose lines end as the others do; see ``append_to_project_file``."""
    file = location.file or location.folder / OWN_FILE
    before = ""
    try:
        if location.file is not None:
            with file.open(encoding="utf-8", newline="") as opened:
                before = opened.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{file} cannot be read: {reason}") from error
    path = ["tool", "jobctl"] if file.name == SHARED_FILE else []
    end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else end if before.endswith("\n") else end * 2
    added = tables("".join(f"{key}." for key in path))
    text = before + gap + added.replace("\n", end)
    is_read_back = all(_defines(text, [*path, "jobs", job_id], wanted) for job_id, wanted in settings.items())
    return _Appended(file, text, added, not before, is_read_back)


def _entry(location: ProjectLocation, job_id: str, settings: Mapping[str, Any]) -> NewFile:
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]

    def table(prefix: str) -> str:
        return "\n".join([f"[{prefix}jobs.{job_id}]", *lines, ""])

    new = _appended(location, table, {job_id: settings})
    if not new.is_read_back:
        entry = new.added.removesuffix("\n").replace("\n", "; ")
        raise UsageError(
            f"a table cannot be added to the way {new.file.name} writes its jobs",
            hint=f"add it yourself: {quote(entry, 200)[1:-1]}",
        )
    return NewFile(new.file.name, new.text, "created" if new.is_new else "changed")


def _defines(text: str, path: list[str], settings: Mapping[str, Any]) -> bool:
    """Whether a project file contains exactly these settings at a path."""
    try:
        found: Any = parse_toml("", text.removeprefix("\ufeff"))
        for key in path:
            found = found[key]
        return bool(found == dict(settings))
    except (ConfigurationError, KeyError, TypeError):
        return False


def demand_unknown(job_id: str, known: Mapping[str, Job]) -> None:
    """Check that no job has this id.

    Raises:
        UsageError: a job has it.
    """
    if job_id in known:
        raise UsageError(
            f"job {quote(job_id)} already exists: {known[job_id].origin}", hint="choose another id"
        )
