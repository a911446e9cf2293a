"""Another version of the project file: a file, or that of a commit in the project's Git repository."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jobctl.errors import UsageError
from jobctl.files import with_home
from jobctl.project_location import ProjectLocation
from jobctl.text import quote

_LIMIT_S = 30


@contextmanager
def other_version(location: ProjectLocation, name: str) -> Iterator[ProjectLocation]:
    """The project with another project file, while the block runs.

    Args:
        name: a path, or a revision of Git such as ``HEAD`` or ``main~2``.

    Raises:
        UsageError: there is neither.
    """
    path = with_home(name, "--diff")
    if path.is_file():
        yield location._replace(file=path.absolute())
        return
    if location.file is None:
        raise UsageError(f"there is no file {quote(name)}, and this project has no project file in Git")
    with TemporaryDirectory(prefix="jobctl-diff-") as folder:
        copy = Path(folder, location.file.name)
        copy.write_bytes(_file_of_commit(location.folder, name, location.file.name))
        yield location._replace(file=copy)


def _file_of_commit(folder: Path, revision: str, name: str) -> bytes:
    """The content of a file of the folder in a commit."""
    # --end-of-options: a revision never becomes an option; cat-file runs no filter of the repository
    command = ["git", "-C", str(folder), "cat-file", "blob", "--end-of-options", f"{revision}:./{name}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_LIMIT_S)
    except FileNotFoundError:
        raise UsageError(f"there is no file {quote(revision)}, and git is not installed") from None
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise UsageError(f"{quote(revision)} is no file, and git cannot read it as a revision") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"{quote(revision)} is neither a file nor a revision of Git with {name}",
            hint=lines[-1].removeprefix("fatal: ") if lines else None,
        )
    return done.stdout
