"""Where the project and its state are: the nearest folder upward with a project file, or else a sign of a project."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobctl.errors import ConfigurationError
from jobctl.files import demand_trusted, distrust, platform_owns_files, with_home
from jobctl.urls import is_postgres_address

if TYPE_CHECKING:
    from jobctl.settings.environment import Environment

OWN_FILE = "jobctl.toml"
SHARED_FILE = "pyproject.toml"
# Any way to write the table: [tool.jobctl], tool.jobctl.x =, jobctl.x = under [tool], tool = {…}.
_MAY_HAVE_TABLE = (
    r"""(?m)^[ \t]*+\[*+[ \t]*+(?:["']?tool["']?[ \t]*(?:\.|=.*[{,])[ \t]*)?["']?jobctl["']?[ \t]*[].=]"""
)
_SIGNS = (".jobctl", ".env", ".env.local", ".works", "package.json", "pyproject.toml", ".git")
"""Names that only the folder of a project contains: jobctl's state, settings, parts of an Ever Works site, a repository."""
_LIKE_AN_ADDRESS = r"(?is)postgres(?:ql)?(?::|;|//)|.*://|.*//.*@|[^/]*:[^/]*@"
"""A malformed address."""


class ProjectLocation(NamedTuple):
    """The folder of a project.

    Attributes:
        file: the project file, if it has one.
        warning: set if the search ignored another user's project file further up.
    """

    folder: Path
    file: Path | None = None
    warning: str | None = None


def find_project(start: Path) -> ProjectLocation:
    """Search from ``start`` upward for ``jobctl.toml`` or a ``pyproject.toml`` with ``[tool.jobctl]``.

    Without such a file, the project is the nearest trusted folder with a sign of a project, so that every subfolder
    of a site belongs to that site, or else ``start`` itself. The search ends at a project file that is not trusted.

    Raises:
        ConfigurationError: a folder has both files, a ``pyproject.toml`` on the way cannot be read, or the project
            file of ``start`` itself is not trusted.
    """
    begin = start.absolute()
    for folder in (begin, *begin.parents):
        own, shared = folder / OWN_FILE, folder / SHARED_FILE
        has_own, has_shared = os.path.lexists(own), _has_table(shared)
        if has_own and has_shared:
            raise ConfigurationError(
                f"{folder} has both {OWN_FILE} and [tool.jobctl] in {SHARED_FILE}", hint="keep one of them"
            )
        if has_own or has_shared:
            return _if_trusted(folder, own if has_own else shared, begin)
    return ProjectLocation(next(filter(_has_sign, _candidates(begin)), begin))


def _candidates(begin: Path) -> Iterator[Path]:
    """The folders that may be a project without a project file: ``begin`` and its parents, up to one not trusted.

    Parents that are hidden, such as the repository ``.content``, or the user's home, are not candidates.
    """
    if not begin.name.startswith("."):
        yield begin
    home = os.environ.get("HOME")
    for folder in begin.parents:
        try:
            if not platform_owns_files() and distrust(folder, folder.stat()):
                return
        except OSError:
            return
        if str(folder) != home and not folder.name.startswith("."):
            yield folder


def _has_sign(folder: Path) -> bool:
    return any(os.path.lexists(folder / sign) for sign in _SIGNS)


def _if_trusted(folder: Path, file: Path, begin: Path) -> ProjectLocation:
    if not platform_owns_files():
        try:
            for path in (folder, file):
                with suppress(OSError):  # reading the file will report it
                    demand_trusted(path, path.stat())
        except ConfigurationError as error:
            if folder == begin:
                raise
            return ProjectLocation(begin, warning=f"{error.problem}; the search for a project ended there")
    return ProjectLocation(folder, file)


def _has_table(file: Path) -> bool:
    """Whether a ``pyproject.toml`` has ``[tool.jobctl]``. It is parsed only if a line looks like it."""
    if not os.path.isfile(file):  # noqa: PTH113 - False if the folder may not be searched
        return False
    from jobctl.toml_file import parse_toml, read_text

    try:
        text = read_text(file)
    except ConfigurationError:
        if distrust(file, file.stat()):  # another user's file must not stop this user
            return False
        raise
    if not re.search(_MAY_HAVE_TABLE, text):
        return False
    try:
        tool = parse_toml(file.name, text).get("tool")
    except ConfigurationError:  # reading the jobs will report it
        return True
    return isinstance(tool, dict) and "jobctl" in tool


def state_folder(location: ProjectLocation, environment: "Environment | None") -> Path:
    """The folder of the logs, and of the run store if it is a file: ``JOBCTL_STATE``, else ``.jobctl``.

    ``.jobctl`` is in the project's folder. On Vercel only the temporary folder can be written, so it is there, with a
    name for each user and project.

    Raises:
        ConfigurationError: ``JOBCTL_STATE`` is an address but not of Postgres, or begins with the home of an unknown
            user; or the folder is not trusted.
    """
    folder = _state_folder(location, environment)
    with suppress(OSError):  # its use will report it
        demand_trusted(folder, folder.stat())
    return folder


def _state_folder(location: ProjectLocation, environment: "Environment | None") -> Path:
    named = environment.set_text("JOBCTL_STATE") if environment else None
    if environment is not None and named and is_postgres_address(named):
        named = None
    elif environment is not None and named and re.match(_LIKE_AN_ADDRESS, named):
        # the text may contain a password: it is neither shown nor used as a folder's name
        raise ConfigurationError(
            "JOBCTL_STATE is neither a folder nor a Postgres address",
            where=str(environment.value("JOBCTL_STATE").source),
            hint="name a folder, or write postgresql://user:password@host/name",
        )
    if named is None and environment is not None and environment.on_vercel:
        import tempfile
        from zlib import crc32

        number = crc32(os.fsencode(location.folder))
        return Path(tempfile.gettempdir()) / f".jobctl-{os.geteuid()}-{number:08x}"
    return location.folder / with_home(named or ".jobctl", "JOBCTL_STATE")


def store_place(environment: "Environment", state: Path) -> Path | str:
    """The place of the run store: the address in ``JOBCTL_STATE``, else the state folder."""
    named = environment.text("JOBCTL_STATE") or ""
    return named if is_postgres_address(named) else state
