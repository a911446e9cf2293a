"""Which files are trusted: this user's own and root's, where no other user may write; as Git has it for repositories."""

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
"""Folders whose files are trusted all the same, or ``*``. Read from the process environment alone: a file that is
not trusted cannot vouch for itself."""
_acting_for: ContextVar[frozenset[int]] = ContextVar("acting_for", default=frozenset())


@contextmanager
def acting_for_owner(folder: Path) -> Iterator[None]:
    """Trust the owner of a folder too, where root works for that user."""
    owners: set[int] = set()
    if os.geteuid() == 0:
        with suppress(OSError):  # which its use reports
            owners.add(folder.stat().st_uid)
    token = _acting_for.set(frozenset(owners))
    try:
        yield
    finally:
        _acting_for.reset(token)


def demand_trusted(path: Path, state: os.stat_result) -> None:
    """Go on only with a file or folder that is trusted.

    Raises:
        UntrustedError: it belongs to another user, or another user may write it; says what to do.
    """
    if found := distrust(path, state):
        raise UntrustedError(f"{path} {found[0]}, so it is not trusted", hint=found[1])


def demand_trusted_module(folder: Path, module: str) -> None:
    """Go on only with a module whose file, and the packages around it, are trusted, where they are in the folder.

    What the module itself imports is not looked at.

    Raises:
        UntrustedError: one is not.
    """
    place = folder
    for part in module.split("."):
        for one in (place / f"{part}.py", place / part, place / part / "__init__.py"):
            with suppress(OSError):  # it is elsewhere
                demand_trusted(one, one.stat())
        place /= part


def platform_owns_files(process: Mapping[str, str] = os.environ) -> bool:
    """Whether this is Vercel, where no other user is and the platform decides who owns the files."""
    return process.get("VERCEL") == "1"


def distrust(path: Path, state: os.stat_result) -> tuple[str, str] | None:
    """Why a file or folder is not trusted, as a clause, and what to do; None where it is."""
    if state.st_uid not in _owners():
        reason = f"belongs to user {user_name(state.st_uid)}"
        hint = f"run jobctl as that user, or set {_safe(path, state)}"
    elif (writers := _other_writers(path, state)) is not None:
        reason = f"may be written by {writers[0]}"
        sticky = state.st_mode & stat.S_ISVTX  # of everybody by design, as /tmp is
        hint = (
            "use a folder of your own"
            if sticky
            else f"chmod {writers[1]}-w {path}, or set {_safe(path, state)}"
        )
    else:
        return None
    return None if _is_safe(path) else (reason, hint)


def owner_to_drop_to(folder: Path) -> os.stat_result | None:
    """The owner of a project for whom root imports its code; None where this user does it."""
    if os.geteuid() != 0:
        return None
    state = folder.stat()
    return state if state.st_uid != 0 else None


def _safe(path: Path, state: os.stat_result) -> str:
    return f"{SAFE_FOLDERS}={path if stat.S_ISDIR(state.st_mode) else path.parent}"


def _owners() -> set[int]:
    """Root, this user, and behind ``sudo`` the user who called it."""
    found = {0, os.geteuid(), *_acting_for.get()}
    caller = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and caller.isdecimal():
        found.add(int(caller))
    return found


def _other_writers(path: Path, state: os.stat_result) -> tuple[str, str] | None:
    """Who besides the owner may write, and chmod's letter for them; None where none may."""
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
    folders = [os.path.realpath(os.path.expanduser(one)) for one in named.split(os.pathsep) if one]  # noqa: PTH111
    return any(whole.is_relative_to(one) for one in folders)


def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def home_of(uid: int) -> Path | None:
    """The home folder of a user; None where it has no entry here."""
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None


def groups_of(uid: int, gid: int) -> Collection[int]:
    """Every group of a user, ``gid`` among them."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]


def is_shared(gid: int, uid: int) -> bool:
    """Whether a group has members besides root and a user.

    Root's group, one without an entry, and a user's own (of the same name, by convention) have none. Any other counts
    as shared: members whose first group it is are not listed.
    """
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    name = user_name(uid)
    return gid != 0 and (group.gr_name != name or bool({*group.gr_mem} - {name, "root"}))
