"""Where the project is: the nearest folder upward with a project file."""

from dataclasses import dataclass
from pathlib import Path

from jobctl.errors import ConfigurationError

OWN_FILE = "jobctl.toml"
SHARED_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder, and the file in it that defines jobs, if there is one."""

    folder: Path
    file: Path | None = None


def find_project(start: Path) -> Project:
    """Look from ``start`` upward for ``jobctl.toml`` or a ``pyproject.toml`` with ``[tool.jobctl]``.

    Where there is none, ``start`` is the project's folder.

    Raises:
        ConfigurationError: one folder has both.
    """
    begin = start.absolute()
    for folder in (begin, *begin.parents):
        own, shared = folder / OWN_FILE, folder / SHARED_FILE
        has_own, has_shared = own.is_file() or own.is_symlink(), _has_table(shared)
        if has_own and has_shared:
            raise ConfigurationError(
                f"{folder} has both {OWN_FILE} and [tool.jobctl] in {SHARED_FILE}", hint="keep one of them"
            )
        if has_own or has_shared:
            return Project(folder, own if has_own else shared)
    return Project(begin)


def _has_table(file: Path) -> bool:
    """Whether a ``pyproject.toml`` is ours too: a look at its lines; reading it comes later."""
    try:
        return any(
            line.lstrip().startswith(b"[tool.jobctl")
            for line in file.read_bytes()[: 1024 * 1024].splitlines()
        )
    except OSError:
        return False
