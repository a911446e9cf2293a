"""Opening the file: made whole under another name, checked, migrated; damage is set aside and told."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from importlib import resources
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import StoreDamagedError, StoreError
from jobctl.runs.sqlite.connect import connect
from jobctl.runs.sqlite.failures import telling
from jobctl.runs.sqlite.store import SQLiteRunStore

APPLICATION_ID = 0x6A6F6263  # "jobc"
_TABLES = {"meta", "owners", "jobs", "runs", "cache"}
_NAME = "jobctl.db"


def open_file(
    folder: Path, busy_timeout: timedelta, *, create: bool, verify: bool = False
) -> SQLiteRunStore | None:
    """The store in a folder.

    Args:
        folder: made, for its owner alone, where there is none.
        busy_timeout: how long a statement waits for another process.
        create: make a store where there is none, and set a damaged one aside. Without it looking
            changes nothing: the answer is None where there is none.
        verify: look through the whole file, not only at its head.

    Raises:
        StoreDamagedError: it is damaged, and ``create`` is off.
        StoreError: the folder or file cannot be used, or a newer jobctl made it.
    """
    path = folder / _NAME
    if not create:
        return _look(path, busy_timeout) if _there(path) else None
    _make_folder(folder)
    warning = None
    with _alone(folder):
        if _there(path):
            try:
                _check(path, busy_timeout, verify=verify)
            except StoreDamagedError as error:
                warning = f"{error.problem}; it was set aside as {_set_aside(path).name}, and a new one begun"
        if not _there(path):
            _make(path)
    return SQLiteRunStore(path, busy_timeout, warning=warning)


def _look(path: Path, busy_timeout: timedelta) -> SQLiteRunStore:
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        _check(path, busy_timeout)
        return SQLiteRunStore(path, busy_timeout)
    if not os.access(path, os.R_OK):
        raise StoreError(f"the run store {path} cannot be read: permission denied", hint=_hint(path))
    return SQLiteRunStore(path, busy_timeout, immutable=True)


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _cannot(path.parent, error) from error
    return True


def _make_folder(folder: Path) -> None:
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            (folder / ".gitignore").chmod(0o600)
        elif not folder.is_dir():
            raise StoreError(
                f"the state folder {folder} is a file", hint="move it away, or set JOBCTL_STATE to a folder"
            )
    except OSError as error:
        if error.errno != errno.EEXIST:  # another process was faster
            raise _cannot(folder, error) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes a store or sets one aside."""
    import fcntl

    try:
        lock = os.open(folder / "jobctl.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _make(path: Path) -> None:
    """A new store, complete before it has its name; one that is there already is left alone."""
    new = path.with_name(f".{_NAME}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with telling(str(path)), closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _migrate(connection, 0)
            connection.execute("PRAGMA journal_mode = WAL")
        new.rename(path)
    except OSError as error:
        raise _cannot(path.parent, error) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{new}{suffix}").unlink(missing_ok=True)


def _check(path: Path, busy_timeout: timedelta, *, verify: bool = False) -> None:
    """That the file is a sound store of a version that we know; older ones are migrated."""
    if not path.is_file():
        raise StoreError(f"the run store {path} is not a file", hint="move it away, or set JOBCTL_STATE")
    with telling(str(path)), closing(connect(path, busy_timeout)) as connection:
        known = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        newest = len(_migrations())
        if known and version > newest:
            raise StoreError(
                f"the run store {path} was made by a newer jobctl (schema {version}, this one knows {newest})",
                hint="install that version, or set JOBCTL_STATE to another folder",
            )
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not known or not tables >= _TABLES:
            raise StoreDamagedError(f"{path} is not a sound run store", hint="move it away and start again")
        if verify and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise StoreDamagedError(f"{path} is damaged inside", hint="move it away and start again")
        if version < newest:
            _migrate(connection, version)


def _migrations() -> list[str]:
    folder = resources.files("jobctl.runs.sqlite") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Apply what is missing, each version in one transaction."""
    for number, script in enumerate(_migrations()[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _set_aside(path: Path) -> Path:
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    name = f"{_NAME}.damaged-{stamp}"
    while _there(path.with_name(name)):
        name += "x"
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if _there(part):
            part.rename(path.with_name(f"{name}{suffix}"))
    return path.with_name(name)


def _cannot(folder: Path, error: OSError) -> StoreError:
    words = {
        errno.EACCES: "permission denied",
        errno.EROFS: "it is read-only",
        errno.ENOSPC: "the disk is full",
    }
    reason = words.get(error.errno or 0) or (error.strerror or str(error)).lower()
    return StoreError(f"the state folder {folder} cannot be used: {reason}", hint=_hint(folder))


def _hint(path: Path) -> str:
    try:
        import pwd

        owner = pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError, ImportError):
        return "set JOBCTL_STATE to a folder that this user can write"
    return f'it belongs to user "{owner}": run as that user, or set JOBCTL_STATE'
