"""What an installation brings along: its size, and the licences of all packages, also of the extras."""

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from jobctl.errors import DISTRIBUTION

EXTRAS = ("calendars", "otel", "postgres", "web")
MIB = 1024 * 1024
PERMISSIVE = ("apache", "bsd", "hpnd", "isc", "mit", "mpl", "psf", "python software foundation", "unlicense")
WEAK_COPYLEFT = {
    "psycopg": "LGPL: a library of its own, which the user may replace",
    "psycopg-binary": "LGPL: as psycopg",
    "pygit2": "GPL-2.0 with the linking exception of libgit2",
    "recurring-ical-events": "LGPL: a library of its own, which the user may replace",
    "x-wr-timezone": "LGPL: a library of its own, which the user may replace",
}
"""Packages with another licence, and why they may be used."""


def installed(extras: tuple[str, ...] = ()) -> dict[str, Distribution]:
    """Every distribution that an installation with these extras brings along, without jobctl itself."""
    found: dict[str, Distribution] = {}
    waiting = list(_required(distribution(DISTRIBUTION), extras))
    while waiting:
        requirement = waiting.pop()
        name = requirement.name.lower().replace("_", "-")
        if name not in found:
            found[name] = distribution(requirement.name)
            waiting += _required(found[name], tuple(requirement.extras))
    return found


def _required(of: Distribution, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for line in of.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def licences(of: Distribution) -> str:
    """All that its metadata say of its licence."""
    names = ("License-Expression", "License", "Classifier")
    texts = [text for name in names for text in of.metadata.get_all(name) or ()]
    return " ".join(text for text in texts if "::" not in text or text.startswith("License"))


def size(of: Distribution) -> int:
    """Bytes on the disk."""
    files = (Path(str(of.locate_file(file))) for file in of.files or ())
    return sum(file.stat().st_size for file in files if file.exists())


def test_the_default_installation_is_smaller_than_that_of_0_5_1() -> None:
    sizes = {name: size(found) for name, found in installed().items()}

    assert {"typer", "rich", "croniter", "python-dotenv"} <= set(sizes)
    assert sum(sizes.values()) / MIB < 101, sizes


def test_each_licence_is_known() -> None:
    odd = {
        name: licences(found)
        for name, found in installed(EXTRAS).items()
        if name not in WEAK_COPYLEFT and not any(word in licences(found).lower() for word in PERMISSIVE)
    }

    assert odd == {}
