"""Which files of the last synced commit are not in the folder, kept in the copy's ``.git``."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pygit2

from jobctl.content.snapshot import Delta, Snapshots
from jobctl.content.tree import Changes
from jobctl.files import write_whole

_NAME = "jobctl-passed-over"


@dataclass(frozen=True, slots=True)
class Record:
    """The paths that were passed over, and by which rules; None where that is not known."""

    rules: str | None
    paths: frozenset[str]

    def write(self, repository: pygit2.Repository) -> None:
        """Keep it."""
        text = json.dumps({"rules": self.rules, "paths": sorted(self.paths)})
        write_whole(Path(repository.path) / _NAME, text.encode())

    def after(self, deltas: Iterable[Delta], changes: Changes) -> frozenset[str]:
        """The paths that are passed over once some deltas were applied."""
        return (self.paths - {one.path for one in deltas}) | changes.passed_over

    def again(self, snapshots: Snapshots, tree: pygit2.Tree, deltas: Iterable[Delta]) -> list[Delta]:
        """What was passed over and may be had by now: a link has its target, a limit was raised."""
        same = self.rules in {None, snapshots.limits.rules}
        if same and not self.paths:
            return []
        known = {one.path for one in deltas}
        named = snapshots.passed_over
        files = snapshots.files(tree)
        snapshots.passed_over = named
        paths = self.paths if same else files
        return [
            Delta(path, None, files[path])
            for path in paths
            if path in files and path not in known and not os.path.lexists(snapshots.folder / path)
        ]


def read_record(repository: pygit2.Repository) -> Record:
    """What the last sync kept; of a copy that an older version made nothing is known."""
    try:
        found = json.loads((Path(repository.path) / _NAME).read_bytes())
        return Record(found["rules"], frozenset(found["paths"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Record(None, frozenset())
