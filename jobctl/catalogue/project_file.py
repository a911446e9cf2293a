"""The project file, ``jobctl.toml`` or ``[tool.jobctl]``: read and checked, every error with its line."""

import re
from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any

from jobctl.catalogue.notify_settings import Notify, read_notify
from jobctl.catalogue.warning_codes import read_codes
from jobctl.errors import ConfigurationError, ConfigurationErrors
from jobctl.project_location import SHARED_FILE, ProjectLocation
from jobctl.text import DOTTED_NAME, quote, suggestion
from jobctl.toml_file import KeyPath, lines_of_keys, parse_toml, read_text
from jobctl.value_class import value

TOP_KEYS = ("builtin", "calendars", "ignore_warnings", "jobs", "modules", "notify")
_MAX_MODULE_NAME = 255


@value
class ProjectFile:
    """The content of a project file.

    Attributes:
        builtin: whether the built-in jobs are in the catalogue; None if the file does not say.
        modules: the modules with ``@job`` functions.
        ignored_warnings: codes of ``jobctl plan`` that are not reported.
        jobs: the settings of each job, not checked yet.
        calendars: the settings of each calendar, not checked yet.
        lines: the line of each key, by its whole path.
        root: the path of the table with all of this.
    """

    name: str = ""
    builtin: bool | None = None
    modules: tuple[str, ...] = ()
    notify: Notify = Notify()
    ignored_warnings: tuple[str, ...] = ()
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    calendars: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    root: KeyPath = ()

    def place(self, *path: str) -> str:
        """``jobctl.toml:14`` for a key, or for the nearest table around it."""
        whole = (*self.root, *path)
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return f"{self.name}:{self.lines.get(whole, 1)}"


def read_project_file(location: ProjectLocation) -> ProjectFile:
    """Read the project's file; empty if it has none.

    Raises:
        ConfigurationErrors: all errors except those in jobs, which ``build_job`` reports.
    """
    if location.file is None:
        return ProjectFile()
    text = read_text(location.file)
    name = location.file.name
    root: KeyPath = ("tool", "jobctl") if name == SHARED_FILE else ()
    table: Any = parse_toml(name, text)
    for key in root:
        table = table.get(key, {})
    empty = ProjectFile(name, lines=lines_of_keys(text), root=root)
    if not isinstance(table, dict):
        raise ConfigurationError("[tool.jobctl] is not a table", where=empty.place())
    faults = list(_faults(empty, table))
    notify, notify_faults = read_notify(table.get("notify", {}), empty.place("notify"))
    faults += [
        ConfigurationError(message, where=empty.place("notify", key), hint=hint)
        for key, message, hint in notify_faults
    ]
    if faults:
        raise ConfigurationErrors(faults)
    modules = tuple(dict.fromkeys(table.get("modules", [])))
    return replace(
        empty,
        builtin=table.get("builtin"),
        modules=modules,
        notify=notify,
        ignored_warnings=read_codes(table.get("ignore_warnings", [])),
        jobs=table.get("jobs", {}),
        calendars=table.get("calendars", {}),
    )


def _faults(file: ProjectFile, table: dict[str, Any]) -> Iterator[ConfigurationError]:
    """All errors of the table outside ``notify``."""

    def fault(message: str, *path: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(message, where=file.place(*path), hint=hint)

    for key in table:
        if key not in TOP_KEYS:
            hint = suggestion(key, TOP_KEYS, f"Keys: {', '.join(TOP_KEYS)}")
            yield fault(f"there is no key {quote(key)}", key, hint=hint)
    builtin, modules, jobs = table.get("builtin"), table.get("modules", []), table.get("jobs", {})
    if builtin is not None and not isinstance(builtin, bool):
        yield fault(f"builtin: expected true or false, not {quote(str(builtin))}", "builtin")
    if not isinstance(modules, list) or not all(map(_is_module_name, modules)):
        yield fault("modules: expected a list of module names", "modules", hint='write ["myapp.jobs"]')
    try:
        read_codes(table.get("ignore_warnings", []))
    except ConfigurationError as error:
        yield fault(f"ignore_warnings: {error.problem}", "ignore_warnings", hint=error.hint)
    if not isinstance(table.get("calendars", {}), dict):
        yield fault("calendars: expected tables", "calendars", hint="write [calendars.holidays]")
    if not isinstance(jobs, dict):
        yield fault("jobs: expected tables", "jobs", hint="write [jobs.my-job]")
        return
    for job_id in (job_id for job_id, settings in jobs.items() if not isinstance(settings, dict)):
        yield fault(f"jobs.{quote(job_id)[1:-1]}: expected a table", "jobs", job_id)


def _is_module_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= _MAX_MODULE_NAME
        and re.fullmatch(DOTTED_NAME, name) is not None
    )
