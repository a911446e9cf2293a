"""Which of SQLite's errors mean what: one table, by symbolic name and never by message."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from jobctl.errors import StoreBusyError, StoreDamagedError, StoreError

DAMAGED_HINT = "stop every jobctl and start one: it sets the file aside and begins a new one"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_WORDS = {
    "SQLITE_FULL": ("the disk is full", "free some space; nothing starts until it can be written"),
    "SQLITE_READONLY": ("it is read-only", "give this user the right to write there, or set JOBCTL_STATE"),
    "SQLITE_IOERR": ("reading or writing failed", "look at the disk and the system's log"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "look at the folder's owner and rights, or set JOBCTL_STATE"),
    "SQLITE_PERM": ("permission denied", "look at the file's owner and rights, or set JOBCTL_STATE"),
}


def explained(error: sqlite3.Error, place: str) -> StoreError:
    """The store's own error for one of SQLite's."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(
            f"the run store {place} is held by another process", hint="try again; see who has it open"
        )
    if name.startswith(_DAMAGED) or (isinstance(error, sqlite3.OperationalError) and not name):
        # without a name it is the module's own: a text that is not UTF-8
        return StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT)
    for prefix, (words, hint) in _WORDS.items():
        if name.startswith(prefix):
            return StoreError(f"the run store {place} cannot be used: {words}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {error}")


@contextmanager
def telling(place: str) -> Iterator[None]:
    """Turn SQLite's errors inside into the store's."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(error, place) from error
    except (UnicodeDecodeError, OverflowError) as error:
        # the module stumbles over what SQLite quotes of a damaged file, and over numbers that came from one
        raise StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT) from error
