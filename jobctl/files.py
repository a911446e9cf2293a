"""Atomic writes, private files and folders, and paths in settings.

Modes are set explicitly after creation, since a umask may remove bits, even the owner's.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from jobctl.errors import ConfigurationError

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
STATE = ".jobctl"
"""The name of the state folder. Git ignores it."""


def write_whole(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replace a file atomically. A link is replaced too, not followed.

    Args:
        mode: None keeps the mode of the replaced file, or uses the umask.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    new = file.with_name(f".{file.name}.{os.urandom(4).hex()}.new")
    if mode is None:
        with suppress(OSError):
            before = file.lstat().st_mode
            mode = stat.S_IMODE(before) if stat.S_ISREG(before) else None
    try:
        descriptor = os.open(
            new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666 if mode is None else mode
        )
        with os.fdopen(descriptor, "wb") as opened:
            if mode is not None:
                os.fchmod(descriptor, mode)
            opened.write(data)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def private_folder(folder: Path) -> bool:
    """Create a folder and its missing parents for their owner only; return False if it exists, unchanged.

    Raises:
        OSError: it cannot be created.
    """
    try:
        folder.mkdir(PRIVATE_FOLDER)
    except FileNotFoundError:
        if folder.parent.is_dir():  # a file system that takes no folders, such as /proc
            raise
        private_folder(folder.parent)
        return private_folder(folder)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    folder.chmod(PRIVATE_FOLDER)
    if folder.name == STATE:
        _hide_from_git(folder)
    return True


def state_folder(folder: Path) -> None:
    """Create the state folder if it does not exist, and let Git ignore it.

    Raises:
        OSError: it cannot be created.
    """
    if private_folder(folder) or folder.name == STATE:  # any other existing folder may be the user's
        _hide_from_git(folder)


def _hide_from_git(folder: Path) -> None:
    if not os.path.lexists(folder / ".gitignore"):
        write_whole(folder / ".gitignore", b"*\n", mode=PRIVATE_FILE)


def open_private(path: Path | str, flags: int, *, within: int | None = None) -> int:
    """Open a file, created for its owner only if it does not exist. A link is not followed.

    Args:
        flags: those of ``os.open``.
        within: the descriptor of the folder that ``path`` is relative to; None is the working folder.

    Raises:
        OSError: it cannot be opened or created, or is a link.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_EXCL, PRIVATE_FILE, dir_fd=within)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags, PRIVATE_FILE, dir_fd=within)
    os.fchmod(descriptor, PRIVATE_FILE)
    return descriptor


def open_below(top: Path, folders: Sequence[str], name: str, flags: int) -> int:
    """Open a file in folders below ``top``, all created if missing. No link below ``top`` is followed.

    Raises:
        OSError: it cannot be opened or created; with ``ELOOP``, the file or a folder is a link.
    """
    within = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = _folder_within(within, folder)
            os.close(within)
            within = below
        return open_private(name, flags, within=within)
    finally:
        os.close(within)


@contextmanager
def folder_below(top: Path, folders: Sequence[str]) -> Iterator[int]:
    """The descriptor of a folder below ``top``. No link below ``top`` is followed.

    Raises:
        OSError: it does not exist or cannot be opened; with ``ELOOP`` or ``ENOTDIR``, a folder is a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    within = os.open(top, flags)
    try:
        for folder in folders:
            below = os.open(folder, flags | os.O_NOFOLLOW, dir_fd=within)
            os.close(within)
            within = below
        yield within
    finally:
        os.close(within)


REFUSES_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""Errors of a lock on a file system without locks, such as some network file systems."""


_WITHOUT_MODES = frozenset(
    {"9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vfat"}
)
"""File systems without owners and modes: they show those of their mount options."""


def has_modes(path: Path) -> bool:
    """Whether the file system of a path has modes, which say who may write."""
    found = _mount_of(path)
    return found is None or found[0] not in _WITHOUT_MODES


def lock_refusal(path: Path) -> str:
    """A clause that a file system does not support locks, with its type and mount point."""
    found = _mount_of(path)
    which = f"its file system ({found[0]}, mounted at {found[1]})" if found else "this file system"
    return f"{which} refuses locks"


def _mount_of(path: Path) -> tuple[str, str] | None:
    """Type and mount point of the file system of a path, by proc(5); None if not available."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place, found = Path(os.path.realpath(path)), None
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4]
        for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
            point = point.replace(escaped, plain)
        if place.is_relative_to(point) and (found is None or len(point) >= len(found[1])):
            found = (after.split(" ")[0], point)  # a later mount at the same point hides the earlier
    return found


def _folder_within(within: int, name: str) -> int:
    try:
        os.mkdir(name, PRIVATE_FOLDER, dir_fd=within)
        os.chmod(name, PRIVATE_FOLDER, dir_fd=within)
    except FileExistsError:
        pass
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, f'"{name}" is a link, which is not followed') from None
        raise


def with_home(path: str, name: str) -> Path:
    """A path in the setting ``name``, with ``~`` or ``~user`` at its start expanded, as in a shell.

    Raises:
        ConfigurationError: the user or the home folder is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{name} begins with a home folder that is not known", hint="write the whole path"
        ) from None
