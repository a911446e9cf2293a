"""``JOBCTL_STATE`` to a run store."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.errors import ConfigurationError

if TYPE_CHECKING:
    from jobctl.runs.sqlite.store import SQLiteRunStore

BUSY_TIMEOUT = timedelta(seconds=30)


def open_store(
    place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT, verify: bool = False
) -> "SQLiteRunStore":
    """The run store in a folder, made where there is none; a damaged one is set aside (``warning`` says so).

    Raises:
        ConfigurationError: an address that this version cannot use.
        StoreError: it cannot be opened or made.
    """
    from jobctl.runs.sqlite.opening import open_file

    store = open_file(_folder(place), busy_timeout, create=True, verify=verify)
    if store is None:
        raise AssertionError("a store is made where there is none")
    return store


def look_at_store(place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> "SQLiteRunStore | None":
    """The run store in a folder, for looking: None where there is none; nothing is made or set aside."""
    from jobctl.runs.sqlite.opening import open_file

    return open_file(_folder(place), busy_timeout, create=False)


def _folder(place: Path | str) -> Path:
    """The folder; an address is refused without showing it, since it may hold a password."""
    folder = Path(place)
    for part in folder.parts:  # a caller may have joined the address to a folder already
        if part in {"postgresql:", "postgres:", "sqlite:", "mysql:", "http:", "https:"}:
            raise ConfigurationError(
                f"JOBCTL_STATE is a {part}// address, which this version cannot use",
                hint="name a folder on this machine",
            )
    return folder
