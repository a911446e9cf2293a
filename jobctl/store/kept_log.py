"""What a run printed, wherever it is kept: in its file on this machine, or else in the run store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jobctl.model import Run
from jobctl.store.logs import FOLDER, read

if TYPE_CHECKING:
    from jobctl.store.base import RunStore

ARRIVES_WITHIN_S = 3.0
"""How long after the end of a run elsewhere to wait for the rest of its output: one that prints nothing sends nothing."""


def is_elsewhere(run: Run) -> bool:
    """Whether a run is, or was, on another machine."""
    return run.host not in {None, os.uname().nodename}


class KeptLog:
    """The log of a run, which may not exist yet.

    Args:
        state: the state folder of this machine.
        store: the run store; None: there is none.
    """

    def __init__(self, state: Path, store: "RunStore | None", run: Run) -> None:
        self._folder = state / FOLDER
        self._stored = store.stored_logs if store is not None else None
        self._run = run

    def open(self) -> BinaryIO | None:
        """Open it to read; None where nothing of it is kept here or in the store.

        Raises:
            OSError: the file cannot be read.
            StoreError: the store cannot be read.
        """
        file = read(self._folder, self._run.job_id, self._run.id)
        return self._stored.open(self._run.id) if file is None and self._stored is not None else file

    def is_whole(self, attempt: int) -> bool:
        """Whether all output of an attempt that has ended is there to read.

        Raises:
            OSError: the file cannot be read.
            StoreError: the store cannot be read.
        """
        file = read(self._folder, self._run.job_id, self._run.id)
        if file is not None:
            file.close()
        if file is not None or self._stored is None:
            return True
        end = self._stored.ends([self._run.id]).get(self._run.id)
        if end is None or (not end.position and not is_elsewhere(self._run)):
            return True  # it printed nothing
        return end.attempt == attempt
