"""The files, beside the run store, that keep which jobs were found by importing."""

from pathlib import Path

IN_MODULES = "discovered.json"
_START, _END = "package-", ".json"


def in_package(key: str) -> str:
    """The file of one package: what becomes of another one's does not touch it."""
    return f"{_START}{key}{_END}"


def kept_packages(state: Path) -> list[Path]:
    """The files of packages, also of such as are no longer installed.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(one for one in state.iterdir() if one.name.startswith(_START) and one.suffix == _END)
