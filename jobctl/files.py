"""Files of a project: how they are opened, written and replaced, and which are trusted.

Trusted are those of this user and of root that no other user may write, as in Git. A project file, an ``.env`` file and
a state folder decide what is executed. In a folder that several users share, another user must not decide that for this
user.
"""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from jobctl.errors import ConfigurationError, UntrustedError

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
        try:
            folder.mkdir(PRIVATE_FOLDER)
        except FileNotFoundError:
            private_folder(folder.parent)  # another process may make it at the same time
            folder.mkdir(PRIVATE_FOLDER)  # a file system that takes no folders, such as /proc, refuses again
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


SAFE_FOLDERS = "JOBCTL_SAFE_FOLDERS"
"""Folders whose files are always trusted, or ``*``. Read from the process environment only: a file that is not trusted
must not declare itself trusted."""
_acting_for: ContextVar[frozenset[int]] = ContextVar("acting_for", default=frozenset())


@contextmanager
def acting_for_owner(folder: Path) -> Iterator[None]:
    """If this is root, trust the owner of the folder too."""
    owners: set[int] = set()
    if os.geteuid() == 0:
        with suppress(OSError):  # its use will report it
            owners.add(folder.stat().st_uid)
    token = _acting_for.set(frozenset(owners))
    try:
        yield
    finally:
        _acting_for.reset(token)


def demand_trusted(path: Path, state: os.stat_result) -> None:
    """Check that a file or folder is trusted.

    Raises:
        UntrustedError: it belongs to another user, or another user may write it; the hint says what to do.
    """
    if found := distrust(path, state):
        raise UntrustedError(f"{path} {found[0]}, so it is not trusted", hint=found[1])


def demand_trusted_module(folder: Path, module: str) -> None:
    """Check that a module in the folder, and its packages, are trusted; not the modules that it imports.

    Raises:
        UntrustedError: a file or folder of it is not trusted.
    """
    place = folder
    for part in module.split("."):
        for path in (place / f"{part}.py", place / part, place / part / "__init__.py"):
            with suppress(OSError):  # it is not in this folder
                demand_trusted(path, path.stat())
        place /= part


def platform_owns_files(process: Mapping[str, str] = os.environ) -> bool:
    """Whether this is Vercel, which has no other users and decides who owns the files."""
    return process.get("VERCEL") == "1"


def distrust(path: Path, state: os.stat_result) -> tuple[str, str] | None:
    """Why a file or folder is not trusted, as a clause, and what to do; None if it is trusted."""
    if state.st_uid not in _owners():
        reason = f"belongs to user {user_name(state.st_uid)}"
        hint = f"run jobctl as that user, or set {_safe(path, state)}"
    elif (writers := _other_writers(path, state)) is not None:
        reason = f"may be written by {writers[0]}"
        sticky = state.st_mode & stat.S_ISVTX  # shared by design, such as /tmp
        hint = (
            "use a folder of your own"
            if sticky
            else f"chmod {writers[1]}-w {path}, or set {_safe(path, state)}"
        )
    else:
        return None
    return None if _is_safe(path) else (reason, hint)


def owner_to_drop_to(folder: Path) -> os.stat_result | None:
    """The owner of a project, as whom root must import its code; None if this process need not change its user."""
    if os.geteuid() != 0:
        return None
    state = folder.stat()
    return state if state.st_uid != 0 else None


def _safe(path: Path, state: os.stat_result) -> str:
    return f"{SAFE_FOLDERS}={path if stat.S_ISDIR(state.st_mode) else path.parent}"


def _owners() -> set[int]:
    """The trusted users: root, this user, and with ``sudo`` the user who called it."""
    found = {0, os.geteuid(), *_acting_for.get()}
    caller = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and caller.isdecimal():
        found.add(int(caller))
    return found


def _other_writers(path: Path, state: os.stat_result) -> tuple[str, str] | None:
    """Who else may write, and the letter of chmod for them; None if only the owner may."""
    if not state.st_mode & (stat.S_IWOTH | stat.S_IWGRP) or not (
        stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)
    ):
        return None

    if not has_modes(path):
        return None
    if state.st_mode & stat.S_IWOTH:
        return "every user", "o"
    if is_shared(state.st_gid, state.st_uid):
        return "other users of its group", "g"
    return None


def _is_safe(path: Path) -> bool:
    named = os.environ.get(SAFE_FOLDERS, "")
    if named.strip() == "*":
        return True
    whole = Path(os.path.realpath(path))
    folders = [os.path.realpath(os.path.expanduser(name)) for name in named.split(os.pathsep) if name]  # noqa: PTH111
    return any(whole.is_relative_to(folder) for folder in folders)


def user_name(uid: int) -> str:
    """The name of a user; its number if it has no entry, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def actor_here() -> str:
    """``user@host`` of this process: who did what it does."""
    import socket

    return f"{user_name(os.geteuid())}@{socket.gethostname()}"


def home_of(uid: int) -> Path | None:
    """The home folder of a user; None if it has no entry."""
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None


def groups_of(uid: int, gid: int) -> Collection[int]:
    """All groups of a user, including ``gid``."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]


def is_shared(gid: int, uid: int) -> bool:
    """Whether a group has other members than root and this user.

    The group of root, a group without an entry, and the user's own group of the same name are not shared. Any other
    counts as shared, since members whose primary group it is are not listed.
    """
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    name = user_name(uid)
    return gid != 0 and (group.gr_name != name or bool({*group.gr_mem} - {name, "root"}))
