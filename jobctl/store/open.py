"""Opens the run store that ``JOBCTL_STATE`` names: SQLite in a folder, or Postgres at an address."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.urls import is_postgres_address, read_store_address

if TYPE_CHECKING:
    from jobctl.store.base import RunStore

BUSY_TIMEOUT = timedelta(seconds=30)


def open_store(
    place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT, verify: bool = False
) -> "RunStore":
    """Open the run store in a folder or at an address; make it where there is none.

    A damaged file is set aside (see ``warning``).

    Args:
        busy_timeout: how long to wait for other processes.
        verify: check the whole file of SQLite.

    Raises:
        ConfigurationError: the address cannot be parsed.
        NotRunError: it is on Postgres, and psycopg is not installed.
        StoreError: it cannot be opened or made.
    """
    store = _open(place, busy_timeout, create=True, verify=verify)
    if store is None:
        raise AssertionError("open_store always makes a store")
    return store


def open_existing_store(place: Path | str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> "RunStore | None":
    """Open an existing run store, or return None; nothing is made or set aside."""
    return _open(place, busy_timeout, create=False)


def _open(
    place: Path | str, busy_timeout: timedelta, *, create: bool, verify: bool = False
) -> "RunStore | None":
    if isinstance(place, str) and ("://" in place or is_postgres_address(place)):
        read_store_address(place)  # first: the next import needs the driver
        from jobctl.store.postgres import open_address

        return open_address(place, busy_timeout, create=create)
    from jobctl.store.sqlite_open import open_file

    return open_file(Path(place), busy_timeout, create=create, verify=verify)
