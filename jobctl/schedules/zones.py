"""Time zones by their IANA name, and nothing else that ``zoneinfo`` would open."""

from functools import cache
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError
from jobctl.text import nearest, quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_NOT_ZONES = ("posix/", "right/")
_NOT_NAMES = {"localtime", "posixrules", "Factory"}


@cache
def zone(name: str) -> "ZoneInfo":
    """The zone of that name.

    Raises:
        ScheduleError: there is none; says which was probably meant.
    """
    from zoneinfo import ZoneInfo, available_timezones

    if name == "UTC":
        return ZoneInfo("UTC")
    known = {one for one in available_timezones() if one not in _NOT_NAMES and not one.startswith(_NOT_ZONES)}
    if name not in known:
        near = nearest(name, known)
        raise ScheduleError(
            f"{quote(name)} is not a time zone",
            hint=f'did you mean "{near}"?' if near else "use a name such as Europe/Berlin",
        )
    return ZoneInfo(name)
