"""Which files are trusted: those of this user and of root that no other user may write, as in Git.

A project file, an ``.env`` file and a state folder decide what is executed. In a folder that several users share,
another user must not decide that for this user.
"""

import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from jobctl.errors import UntrustedError

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
    from jobctl.files import has_modes

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
