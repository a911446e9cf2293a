"""``JOBCTL_STATE`` to a run store: a folder is SQLite's, a Postgres address is Postgres'."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.urls import is_postgres_address

if TYPE_CHECKING:
    from jobctl.store.base import RunStore

BUSY_TIMEOUT = timedelta(seconds=30)


def open_store(
    place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT, verify: bool = False
) -> "RunStore":
    """The run store in a folder or at an address, made where there is none.

    A damaged file is set aside (``warning`` says so).

    Args:
        busy_timeout: how long to wait for other processes.
        verify: look through the whole file; a server sees to that itself.

    Raises:
        ConfigurationError: an address that cannot be read.
        NotRunError: it is on Postgres, and psycopg is not installed.
        StoreError: it cannot be opened or made.
    """
    store = _open(place, busy_timeout, create=True, verify=verify)
    if store is None:
        raise AssertionError("a store is made where there is none")
    return store


def open_existing_store(place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> "RunStore | None":
    """The same for looking: None where there is none; nothing is made or set aside."""
    return _open(place, busy_timeout, create=False)


def _open(
    place: Path | str, busy_timeout: timedelta, *, create: bool, verify: bool = False
) -> "RunStore | None":
    if isinstance(place, str) and ("://" in place or is_postgres_address(place)):
        from jobctl.store.postgres_address import read_address

        read_address(place)  # first: what follows cannot be imported without the driver
        from jobctl.store.postgres import open_address

        return open_address(place, busy_timeout, create=create)
    from jobctl.store.sqlite_open import open_file

    return open_file(Path(place), busy_timeout, create=create, verify=verify)
