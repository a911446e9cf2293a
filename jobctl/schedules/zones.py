"""Time zones by their IANA names, and no other file that ``zoneinfo`` would open."""

from functools import cache
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError
from jobctl.text import nearest, quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_NOT_NAMES = {"localtime", "posixrules", "Factory"}


def zone(name: str) -> "ZoneInfo":
    """The zone of this name.

    Raises:
        ScheduleError: no zone has this name; suggests a similar one.
    """
    if not isinstance(name, str):
        raise ScheduleError(f"a time zone is a name, not {type(name).__name__}")
    return _zone(name)


@cache
def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name == "UTC" or name in _shipped():
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ScheduleError(f"the data of time zone {quote(name)} cannot be read: {error}") from error
    known = _installed()
    if name in known:
        return ZoneInfo(name)
    of_city = [zone for zone in known if zone.rpartition("/")[2].lower() == name.lower()]
    near = of_city[0] if len(of_city) == 1 else _near(name, known)
    raise ScheduleError(
        f"{quote(name)} is not a time zone",
        hint=f'did you mean "{near}"?' if near else "use a name such as Europe/Berlin",
    )


def _near(name: str, known: set[str]) -> str | None:
    """The zone that was probably meant: few typing errors in the whole name and in the city."""
    near = nearest(name, known) if "/" in name else None
    city = name.rpartition("/")[2]
    return near if near is not None and nearest(city, [near.rpartition("/")[2]]) else None


def same_zones(name: str) -> list[str]:
    """The other names of a zone, with the same data byte for byte; those of its own region first."""
    from importlib import resources

    def data(zone: str) -> bytes:
        return resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()

    if name not in _shipped():
        return []
    wanted, region = data(name), name.partition("/")[0]
    found = [zone for zone in _shipped() if zone != name and data(zone) == wanted]
    return sorted(found, key=lambda zone: (not zone.startswith(f"{region}/"), zone))


@cache
def _shipped() -> frozenset[str]:
    """The names in the ``tzdata`` package, from its list: ``available_timezones`` opens every file instead."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("tzdata")
    for folder in (spec and spec.submodule_search_locations) or ():
        try:
            return frozenset(Path(folder, "zones").read_text(encoding="ascii").split()) - _NOT_NAMES
        except OSError:
            continue
    return frozenset()


def _installed() -> set[str]:
    from zoneinfo import available_timezones

    return {
        name
        for name in available_timezones()
        if name not in _NOT_NAMES and not name.startswith(("posix/", "right/"))
    }
