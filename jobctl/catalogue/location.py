"""Where the project is: the nearest folder upward with a project file, or else with a sign of a project."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.errors import ConfigurationError
from jobctl.files import with_home
from jobctl.trust import demand_trusted, distrust, platform_owns_files
from jobctl.urls import is_postgres_address
from jobctl.values import value

if TYPE_CHECKING:
    from jobctl.settings.environment import Environment

OWN_FILE = "jobctl.toml"
SHARED_FILE = "pyproject.toml"
# Each way to write the table: [tool.jobctl], tool.jobctl.x =, jobctl.x = under [tool], tool = {…}.
_LOOKS_OURS = re.compile(
    r"""^[ \t]*+\[*+[ \t]*+(?:["']?tool["']?[ \t]*(?:\.|=.*[{,])[ \t]*)?["']?jobctl["']?[ \t]*[].=]""",
    re.MULTILINE,
)
_SIGNS = (".jobctl", ".env", ".env.local", ".works", "package.json", "pyproject.toml", ".git")
"""What only the folder of a project has: state of jobctl's, settings, what an Ever Works site or its repository has."""
_LIKE_AN_ADDRESS = r"(?is)postgres(?:ql)?(?::|;|//)|.*://|.*//.*@|[^/]*:[^/]*@"
"""What is meant as an address, though it cannot be read as one."""


@value
class ProjectLocation:
    """A folder, and the file in it that defines jobs, if there is one.

    Attributes:
        warning: that another user's project file further up is passed over; None where there is none.
    """

    folder: Path
    file: Path | None = None
    warning: str | None = None


def find_project(start: Path) -> ProjectLocation:
    """Look from ``start`` upward for ``jobctl.toml`` or a ``pyproject.toml`` with ``[tool.jobctl]``.

    Where there is none, the nearest trusted folder with a sign of a project is the project's, so that each
    subfolder of a site means the same site; or else ``start`` itself. The search ends at a project file that is not
    trusted.

    Raises:
        ConfigurationError: one folder has both, a ``pyproject.toml`` on the way cannot be read, or the project file
            of ``start`` itself is not trusted.
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
    return ProjectLocation(next(filter(_has_sign, _possible(begin)), begin))


def _possible(begin: Path) -> Iterator[Path]:
    """The folders that may be a project's without a project file.

    Not the user's home, nor a hidden folder, unless it is ``begin``: in a home any sign may be for something else,
    and ``.content`` is a repository inside the project.
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
            for one in (folder, file):
                with suppress(OSError):  # which reading it reports
                    demand_trusted(one, one.stat())
        except ConfigurationError as error:
            if folder == begin:
                raise
            return ProjectLocation(begin, warning=f"{error.problem}; the search for a project ended there")
    return ProjectLocation(folder, file)


def _has_table(file: Path) -> bool:
    """Whether a ``pyproject.toml`` is ours too. Parsed only where a line looks as if it were."""
    if not os.path.isfile(file):  # noqa: PTH113 - False where the folder may not be searched
        return False
    from jobctl.catalogue.project_file import parse_toml, read_text

    try:
        text = read_text(file)
    except ConfigurationError:
        if distrust(file, file.stat()):  # another user's, which must not stop this one
            return False
        raise
    if not _LOOKS_OURS.search(text):
        return False
    try:
        tool = parse_toml(file.name, text).get("tool")
    except ConfigurationError:  # whoever reads it for its jobs reports that
        return True
    return isinstance(tool, dict) and "jobctl" in tool


def state_folder(project: ProjectLocation, environment: "Environment | None") -> Path:
    """Where the logs are, and the run store if it is a file: ``JOBCTL_STATE``, else ``.jobctl``. It is trusted.

    ``.jobctl`` is in the project's folder. On Vercel, where nothing else can be written, it is in the temporary folder,
    under a name of its own for each user and project.

    Raises:
        ConfigurationError: it is an address, and none of Postgres; it begins with the home of an unknown user; or
            it belongs to another user, or others may write it.
    """
    found = _state_folder(project, environment)
    with suppress(OSError):  # which its use reports
        demand_trusted(found, found.stat())
    return found


def _state_folder(project: ProjectLocation, environment: "Environment | None") -> Path:
    named = environment.set_text("JOBCTL_STATE") if environment else None
    if environment is not None and named and is_postgres_address(named):
        named = None
    elif environment is not None and named and re.match(_LIKE_AN_ADDRESS, named):
        # the text may hold a password: it is neither shown, nor made a folder's name
        raise ConfigurationError(
            "JOBCTL_STATE is neither a folder nor a Postgres address",
            where=str(environment.value("JOBCTL_STATE").source),
            hint="name a folder, or write postgresql://user:password@host/name",
        )
    if named is None and environment is not None and environment.text("VERCEL") == "1":
        import tempfile
        from zlib import crc32

        number = crc32(os.fsencode(project.folder))
        return Path(tempfile.gettempdir()) / f".jobctl-{os.geteuid()}-{number:08x}"
    return project.folder / with_home(named or ".jobctl", "JOBCTL_STATE")


def store_place(environment: "Environment", state: Path) -> Path | str:
    """Where the run store is: the address in ``JOBCTL_STATE``, else the state folder."""
    named = environment.text("JOBCTL_STATE") or ""
    return named if is_postgres_address(named) else state
