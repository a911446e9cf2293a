"""The files that keep which jobs were found by importing, in a folder of their own in the state folder.

Whatever else is in the state folder, which may be any folder of the user's, is not touched.
"""

import re
from pathlib import Path

FOLDER = "found"
IN_MODULES = "discovered.json"
_OF_PACKAGE = re.compile(r"package-[a-z0-9_]+\.json", re.ASCII)


def cache_folder(state: Path) -> Path:
    """Where they are."""
    return state / FOLDER


def in_package(key: str) -> str:
    """The file of one package: what becomes of another one's does not touch it."""
    return f"package-{key}.json"


def kept_packages(state: Path) -> list[Path]:
    """The files of packages, also of such as are no longer installed.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(one for one in cache_folder(state).iterdir() if _OF_PACKAGE.fullmatch(one.name))
