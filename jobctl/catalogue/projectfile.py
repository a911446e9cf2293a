"""``jobctl.toml``, or ``[tool.jobctl]``: read and checked, every fault with its line."""

import re
from dataclasses import field
from typing import Any

from jobctl.catalogue.notify_settings import NOBODY, Notify, read_notify
from jobctl.catalogue.project import OWN_FILE, Project
from jobctl.catalogue.reading import parse, read_text
from jobctl.errors import ConfigurationError, ConfigurationErrors
from jobctl.text import quote, suggestion
from jobctl.values import value

TOP_KEYS = ("builtin", "jobs", "modules", "notify")
MAX_MODULE = 255
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@value
class ProjectFile:
    """What a project file says: modules with jobs, who is notified, and each job's settings.

    Attributes:
        builtin: whether the site's built-in jobs are wanted; None where the file does not say.
    """

    name: str = ""
    builtin: bool | None = None
    modules: tuple[str, ...] = ()
    notify: Notify = NOBODY
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    root: tuple[str, ...] = ()

    def place(self, *path: str) -> str:
        """``jobctl.toml:14`` for a key, or for the nearest table around it."""
        whole = (*self.root, *path)
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return f"{self.name}:{self.lines.get(whole, 1)}"


def read_project_file(project: Project) -> ProjectFile:
    """Read the project's file; an empty answer where there is none.

    Raises:
        ConfigurationErrors: all that is wrong with its shape; its jobs are checked by ``build_job``.
    """
    if project.file is None:
        return ProjectFile()
    from jobctl.catalogue.locate import lines_of_keys

    text = read_text(project.file)
    whole = parse(project.file.name, text)
    own = project.file.name == OWN_FILE
    root: tuple[str, ...] = () if own else ("tool", "jobctl")
    table: Any = whole if own else whole.get("tool", {}).get("jobctl", {})
    lines = lines_of_keys(text)
    shape = ProjectFile(project.file.name, lines=lines, root=root)
    faults: list[ConfigurationError] = []
    if not isinstance(table, dict):
        raise ConfigurationError("[tool.jobctl] is not a table", where=shape.place())
    faults.extend(_unknown(shape, key) for key in table if key not in TOP_KEYS)
    builtin = table.get("builtin")
    if builtin is not None and not isinstance(builtin, bool):
        faults.append(
            ConfigurationError(
                f"builtin: expected true or false, not {quote(str(builtin))}", where=shape.place("builtin")
            )
        )
    modules = _modules(shape, table.get("modules", []), faults)
    jobs = _jobs(shape, table.get("jobs", {}), faults)
    notify, wrong = read_notify(table.get("notify", {}), shape.place("notify"))
    faults.extend(
        ConfigurationError(text, where=shape.place("notify", key), hint=hint) for key, text, hint in wrong
    )
    if faults:
        raise ConfigurationErrors(faults)
    return ProjectFile(project.file.name, builtin, modules, notify, jobs, lines, root)


def _unknown(shape: ProjectFile, key: str) -> ConfigurationError:
    hint = suggestion(key, TOP_KEYS, f"Keys: {', '.join(TOP_KEYS)}")
    return ConfigurationError(f"there is no key {quote(key)}", where=shape.place(key), hint=hint)


def _modules(shape: ProjectFile, value: Any, faults: list[ConfigurationError]) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(one, str) and _is_module(one) for one in value):
        return tuple(dict.fromkeys(value))
    faults.append(
        ConfigurationError(
            "modules: expected a list of module names",
            where=shape.place("modules"),
            hint='write ["myapp.jobs"]',
        )
    )
    return ()


def _is_module(name: str) -> bool:
    return len(name) <= MAX_MODULE and _MODULE.fullmatch(name) is not None


def _jobs(shape: ProjectFile, value: Any, faults: list[ConfigurationError]) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        faults.append(
            ConfigurationError("jobs: expected tables", where=shape.place("jobs"), hint="write [jobs.my-job]")
        )
        return {}
    for job_id, settings in value.items():
        if not isinstance(settings, dict):
            faults.append(
                ConfigurationError(
                    f"jobs.{quote(job_id)[1:-1]}: expected a table", where=shape.place("jobs", job_id)
                )
            )
    return {job_id: settings for job_id, settings in value.items() if isinstance(settings, dict)}
