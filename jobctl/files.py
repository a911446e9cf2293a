"""Files that are written whole or not at all, and files and folders that their owner alone can read.

Modes are set besides being asked for: a umask takes bits away, the owner's too where somebody set it so.
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
"""The folder of jobctl's own files. Git passes it over."""


def write_whole(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside it, then take its place: a link's too, so that none leads elsewhere.

    Args:
        mode: of the file; None keeps that of the file whose place it takes, else leaves it to the umask.

    Raises:
        OSError: it cannot be written; what was there stays.
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
    """Make a folder and the parents that are missing, for their owner alone; whether it was made.

    One that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(PRIVATE_FOLDER)
    except FileNotFoundError:
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
    """Make the folder for jobctl's state where there is none. Git passes it over.

    Raises:
        OSError: it cannot be made.
    """
    if private_folder(folder) or folder.name == STATE:  # another folder that was there may be the user's
        _hide_from_git(folder)


def _hide_from_git(folder: Path) -> None:
    if not os.path.lexists(folder / ".gitignore"):
        write_whole(folder / ".gitignore", b"*\n", mode=PRIVATE_FILE)


def open_private(path: Path | str, flags: int, *, within: int | None = None) -> int:
    """Open a file, made where there is none, for its owner alone. A link is not followed.

    Args:
        flags: as of ``os.open``.
        within: the descriptor of the folder that ``path`` starts from; None is the working folder.

    Raises:
        OSError: it cannot be opened or made, or is a link.
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
    """Open a file in folders below ``top``, all made where there are none. No link below ``top`` is followed.

    Raises:
        OSError: it cannot be opened or made; with ``ELOOP``, it or a folder is a link.
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
        OSError: it cannot be opened, or there is none; with ``ELOOP`` or ``ENOTDIR``, a folder is a link.
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
"""What a lock fails with where the file system has none, as some network file systems."""


_WITHOUT_MODES = frozenset(
    {"9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vfat"}
)
"""File systems that keep no owners and modes: what they show is how they were mounted."""


def has_modes(path: Path) -> bool:
    """Whether the modes of files say who may write, by the file system that a path is on."""
    found = _mount_of(path)
    return found is None or found[0] not in _WITHOUT_MODES


def lock_refusal(path: Path) -> str:
    """That a file system refuses locks, as a clause that names its type and where it is mounted."""
    found = _mount_of(path)
    which = f"its file system ({found[0]}, mounted at {found[1]})" if found else "this file system"
    return f"{which} refuses locks"


def _mount_of(path: Path) -> tuple[str, str] | None:
    """Type and mount point of a path's file system, by proc(5); None where that is not to be had."""
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
            found = (after.split(" ")[0], point)  # of two at one place the later hides the earlier
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
    """A path of the setting ``name``, with a ``~`` or ``~user`` at its start expanded: no shell does that in a file.

    Raises:
        ConfigurationError: there is no such user, or this one has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{name} begins with a home folder that is not known", hint="write the whole path"
        ) from None
