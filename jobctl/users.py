"""Users and groups by name. A container's user may have no entry, and a process no HOME."""

import grp
import os
import pwd
from collections.abc import Collection
from pathlib import Path


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
