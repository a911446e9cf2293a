"""Installed packages that bring jobs: each names modules in the entry point group ``jobctl.jobs``."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from jobctl.text import quote

GROUP = "jobctl.jobs"
_MARK = f"[{GROUP}]".encode()


class Package(NamedTuple):
    """A distribution that has the group.

    Attributes:
        key: its name as its folder has it, for file names.
        modules: those that it names.
        problem: why they cannot be told, as a clause; its jobs are then left out.
    """

    key: str
    name: str
    version: str
    modules: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def label(self) -> str:
        """``acme-jobs 1.2``."""
        return f"{self.name} {self.version}".rstrip()


def packages(folders: Iterable[str] | None = None) -> list[Package]:
    """Every one in the folders, by default those that Python imports from; in order of name.

    Of several with one name the first counts, as for ``importlib.metadata`` and for ``import``.
    The standard library's reader takes four times as long to import as Python to start: it is asked only
    about those that have the group at all.
    """
    places = [one for one in (sys.path if folders is None else folders) if one]
    found = [_read(key, folder) for key, folder in _with_group(places)]
    return sorted((one for one in found if one.modules or one.problem), key=lambda one: one.key)


def _read(key: str, folder: str) -> Package:
    """What a ``.dist-info`` says. It was made by others: whatever is wrong with it is told, not raised."""
    from importlib.metadata import Distribution

    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")  # noqa: PTH119
    try:
        about: Any = Distribution.at(folder)
        known = about.metadata
        name, version = known.get("Name", name), known.get("Version", version)
        entries = about.entry_points.select(group=GROUP)
    except Exception:
        return Package(key, name, version, problem="its metadata cannot be read")
    modules = []
    for entry in entries:
        try:
            modules.append(entry.module)
        except Exception:
            problem = f"its entry point {quote(entry.value)} names no module"
            return Package(key, name, version, problem=problem)
    return Package(key, name, version, tuple(dict.fromkeys(modules)))


def _with_group(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for place in places:
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if not entry.name.endswith((".dist-info", ".egg-info")):
                    continue
                key = entry.name.rpartition(".")[0].partition("-")[0].lower().replace(".", "_")
                if key not in seen:
                    seen.add(key)
                    if _names_it(entry.path):
                        yield key, entry.path


def _names_it(folder: str) -> bool:
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - hundreds, at each start
            return _MARK in file.read().replace(b" ", b"")
    except OSError:
        return False
