"""Opens the SQLite file: makes it under a temporary name, checks and migrates it, sets a damaged one aside."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import StoreDamagedError, StoreError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_private, state_folder
from jobctl.store.sqlite import DAMAGED_HINT, Connections, FileAccess, SQLiteRunStore, connect, store_errors

APPLICATION_ID = 0x6A6F6263  # "jobc"
_TABLES = {"meta", "owners", "jobs", "runs", "cache"}
_NAME = "jobctl.db"
_NEW = rf"\.{re.escape(_NAME)}-[0-9a-f]{{8}}\.new(?:-wal|-shm|-journal)?"
"""Temporary names: no other file is ever deleted."""
_LOCK = "jobctl.lock"
_SCHEMA = Path(__file__).with_name("schema") / "sqlite"


def open_file(
    folder: Path, busy_timeout: timedelta, *, create: bool, verify: bool = False
) -> SQLiteRunStore | None:
    """Open the store in a folder.

    Args:
        folder: created, readable by its owner only, where it does not exist.
        busy_timeout: how long a statement waits for another process.
        create: make a store where there is none, and set a damaged one aside. Otherwise nothing is changed, and
            the result is None where there is no store.
        verify: check the whole file, not only its header.

    Raises:
        StoreDamagedError: it is damaged, and ``create`` is off or another process has it open.
        StoreError: the folder or file cannot be used, or a newer jobctl made it.
    """
    path = folder / _NAME
    if not create:
        return _open_existing(path, busy_timeout) if _exists(path) else None
    _create_folder(folder)
    _require_writable(folder, path)
    _require_locks(folder)
    warning = None
    try:
        sound = _exists(path) and _check(path, busy_timeout, verify=verify)
    except StoreDamagedError:
        sound = False
    if not sound:
        with _exclusive(folder):  # check again: another process may have done it
            if _exists(path):
                try:
                    _check(path, busy_timeout, verify=verify, migrate=True)
                except StoreDamagedError as error:
                    aside = _set_aside(path, error)
                    warning = f"{error.problem}; it was set aside as {aside.name}, and a new one was made"
            if not _exists(path):
                _create(path)
    return SQLiteRunStore(
        path, busy_timeout, warning=warning, reopen=lambda: _reopen(folder, busy_timeout, verify=verify)
    )


def _reopen(folder: Path, busy_timeout: timedelta, *, verify: bool) -> SQLiteRunStore:
    store = open_file(folder, busy_timeout, create=True, verify=verify)
    if store is None:
        raise AssertionError("open_store always makes a store")
    return store


def _open_existing(path: Path, busy_timeout: timedelta) -> SQLiteRunStore:
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        _require_locks(path.parent)
        if not _check(path, busy_timeout):
            with _exclusive(path.parent):
                _check(path, busy_timeout, migrate=True)
        return SQLiteRunStore(path, busy_timeout)
    if not os.access(path, os.R_OK):
        raise StoreError(f"the run store {path} cannot be read: permission denied", hint=_hint(path))
    access = _read_access(path, busy_timeout)
    if not _check(path, busy_timeout, access):
        raise StoreError(
            f"the run store {path} was made by an older jobctl and cannot be migrated: it is read-only",
            hint=_hint(path),
        )
    return SQLiteRunStore(path, busy_timeout, access)


def _read_access(path: Path, busy_timeout: timedelta) -> FileAccess:
    """With locks, unless SQLite's lock files neither exist nor can be made."""
    try:
        with closing(connect(path, busy_timeout, FileAccess.READ)) as connection:
            connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorname or "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return FileAccess.FROZEN
    except sqlite3.DatabaseError:
        pass  # damaged: _check reports it
    return FileAccess.READ


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(path.parent, error) from error
    return True


def _create_folder(folder: Path) -> None:
    try:
        if not folder.exists():
            state_folder(folder)
            return
        if not folder.is_dir():
            raise StoreError(
                f"the state folder {folder} is a file", hint="move it away, or set JOBCTL_STATE to a folder"
            )
    except OSError as error:
        if error.errno != errno.EEXIST:  # another process has made it meanwhile
            raise _unusable(folder, error) from error


def _require_writable(folder: Path, path: Path) -> None:
    """Report it now: SQLite would open the file for reading, and fail at the first write."""
    for place in (folder, path):
        if place.exists() and not os.access(place, os.W_OK):
            read_only = os.statvfs(place).f_flag & os.ST_RDONLY
            raise _unusable(folder, OSError(errno.EROFS if read_only else errno.EACCES, ""))


def _require_locks(folder: Path) -> None:
    """Report a file system without locks: SQLite would wait for a process that holds them."""
    import fcntl

    with suppress(OSError), (folder / _LOCK).open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in REFUSES_LOCKS:
                raise _unlockable(folder) from error


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """A lock: one process at a time makes a store, migrates it or sets it aside."""
    import fcntl

    try:
        lock = open_private(folder / _LOCK, os.O_RDWR)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise (
                _unlockable(folder) if error.errno in REFUSES_LOCKS else _unusable(folder, error)
            ) from error
        _require_locks(folder)
        yield
    finally:
        os.close(lock)


def _create(path: Path) -> None:
    """Make a store, complete before it gets its name; an existing one is not touched."""
    new = path.with_name(f".{_NAME}-{os.urandom(4).hex()}.new")
    try:
        _delete_temporary_files(path.parent)  # of a killed process
        os.close(open_private(new, os.O_EXCL | os.O_WRONLY))
        with store_errors(str(path)), closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _migrate(connection, 0)
            connection.execute("PRAGMA journal_mode = WAL")
        try:
            path.hardlink_to(new)  # unlike a rename, never over another file
        except FileExistsError:
            return
        except OSError:  # a file system without links
            new.rename(path)
    except OSError as error:
        raise _unusable(path.parent, error) from error
    finally:
        with suppress(OSError):  # reported already, or deleted next time
            _delete_temporary_files(path.parent)


def _delete_temporary_files(folder: Path) -> None:
    for file in folder.iterdir():
        if re.fullmatch(_NEW, file.name):
            file.unlink(missing_ok=True)


def _check(
    path: Path,
    busy_timeout: timedelta,
    access: FileAccess = FileAccess.WRITE,
    *,
    verify: bool = False,
    migrate: bool = False,
) -> bool:
    """Whether the file is a sound store of this version, or was migrated to it.

    Raises:
        StoreDamagedError: it is not a sound store.
        StoreError: it is not a file, or of a newer version.
    """
    if not path.is_file():
        raise StoreError(f"the run store {path} is not a file", hint="move it away, or set JOBCTL_STATE")
    if path.stat().st_size == 0:  # SQLite would treat it as new and delete its write-ahead log
        raise StoreDamagedError(f"the run store {path} is empty", hint=DAMAGED_HINT)
    with store_errors(str(path)), closing(connect(path, busy_timeout, access)) as connection:
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
            raise StoreDamagedError(f"{path} is not an intact run store", hint=DAMAGED_HINT)
        if verify and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise StoreDamagedError(f"the run store {path} is damaged", hint=DAMAGED_HINT)
        if version < newest and migrate:
            _migrate(connection, version)
        return version == newest or migrate


def _migrations() -> list[Path]:
    """The SQL scripts in order; their number is the schema's version."""
    return sorted(_SCHEMA.glob("*.sql"))


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Apply the missing scripts, each in one transaction."""
    for number, step in enumerate(_migrations()[version:], start=version + 1):
        script = step.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _set_aside(path: Path, error: StoreDamagedError) -> Path:
    if _in_use(path):
        raise StoreDamagedError(
            f"{error.problem}, and another process has it open", hint=DAMAGED_HINT
        ) from error
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    name = f"{_NAME}.damaged-{stamp}"
    while _exists(path.with_name(name)):
        name += "x"
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if _exists(part):
            part.rename(path.with_name(f"{name}{suffix}"))
    return path.with_name(name)


def _in_use(path: Path) -> bool:
    """Whether a living process has the store open: SQLite then holds a lock in ``-shm``.

    Every connection holds a shared lock on byte 128 of the WAL index: https://sqlite.org/walformat.html.
    """
    import fcntl

    if Connections.is_open_here(path):
        return True  # opening the lock file here would release this process's locks
    try:
        with Path(f"{path}-shm").open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _unlockable(folder: Path) -> StoreError:
    return StoreError(
        f"the state folder {folder} cannot be used: {lock_refusal(folder)}",
        hint="set JOBCTL_STATE to a folder on a local disk, or to a postgresql:// address",
    )


def _unusable(folder: Path, error: OSError) -> StoreError:
    reasons = {
        errno.EACCES: "permission denied",
        errno.EROFS: "it is read-only",
        errno.ENOSPC: "the disk is full",
    }
    reason = reasons.get(error.errno or 0) or reason_of(error)
    hint = _hint(folder) if error.errno == errno.EACCES else _ANOTHER_FOLDER
    return StoreError(f"the state folder {folder} cannot be used: {reason}", hint=hint)


_ANOTHER_FOLDER = "set JOBCTL_STATE to a folder that this user can write"


def _hint(path: Path) -> str:
    try:
        from jobctl.files import user_name

        owner = path.stat().st_uid
    except OSError:  # also of the import, if no more files can be opened
        return _ANOTHER_FOLDER
    if owner == os.geteuid():
        return f"it is yours, and its mode refuses: chmod u+rwX {path}"
    if owner == 0:  # as after sudo
        return f"it belongs to root: sudo chown -R {user_name(os.geteuid())} {path}"
    return f'it belongs to user "{user_name(owner)}": run as that user, or set JOBCTL_STATE'
