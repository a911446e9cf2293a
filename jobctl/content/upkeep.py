"""The copy's own upkeep: what a killed sync left in it is made good, and its packs stay few."""

from pathlib import Path
from typing import NamedTuple

import pygit2

from jobctl.files import write_whole

_TOO_MANY_PACKS = 50
_HALF_DONE = (
    "*.lock",
    "refs/**/*.lock",
    "objects/**/tmp_object_*",
    "objects/pack/pack_git2_*",
    "jobctl-new",
)


class Way(NamedTuple):
    """From which commit to which, of which branch, the files go."""

    old: str
    new: str
    branch: str


class Mark:
    """A file in ``.git`` while a sync works on the copy, so that what a kill left can be told from
    what another git program is doing. Once the files begin to change it names where they are going.
    """

    def __init__(self, git: Path) -> None:
        self._git = git
        self._file = git / "jobctl-sync"
        self._aims = False

    def taken_over(self) -> Way | None:
        """Remove the half-done files of a sync that was killed; the way that it was on, if on any."""
        text = self._text()
        if text is None:
            return None
        for pattern in _HALF_DONE:
            for path in self._git.glob(pattern):
                path.unlink(missing_ok=True)
        self._aims = bool(text)
        return self.way()

    def way(self) -> Way | None:
        """The way of a sync that did not end, if it was on any."""
        text = self._text()
        return Way(*text.split(" ", 2)) if text else None

    def _text(self) -> str | None:
        try:
            return self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def begin(self) -> None:
        """A sync starts."""
        self._file.touch()

    def aim(self, way: Way) -> None:
        """From here on the folder's files change."""
        write_whole(self._file, " ".join(way).encode())
        self._aims = True

    def fail(self) -> None:
        """The sync ended by an error: where files may be half done, the mark stays for the next one."""
        if not self._aims:
            self._file.unlink(missing_ok=True)

    def end(self) -> None:
        """The files are where they were to be."""
        self._file.unlink(missing_ok=True)
        self._aims = False


def repack(repository: pygit2.Repository) -> None:
    """Many packs into one: each fetch brings one, and libgit2 keeps every one of them open."""
    folder = Path(repository.path) / "objects" / "pack"
    old = set(folder.glob("*.pack"))
    if len(old) <= _TOO_MANY_PACKS:
        return
    repository.pack()
    if set(folder.glob("*.pack")) > old:
        for pack in old:
            for suffix in (".idx", ".rev", ".pack"):  # without its index a pack is not looked at
                pack.with_suffix(suffix).unlink(missing_ok=True)
