"""The content folder that a site can start with, if there is no repository."""

import re
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import PermanentJobError, reason_of
from jobctl.files import write_whole

SETTINGS = ".works/works.yml"
_LINES = ("site_name: Website", "item_name: Item", "items_name: Items")


def make_minimal(folder: Path) -> None:
    """Create a minimal content folder, unless the folder has settings.

    Raises:
        PermanentJobError: it cannot be written.
    """
    settings = folder / SETTINGS
    if settings.exists():
        return
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        settings.parent.mkdir(exist_ok=True)
        write_whole(settings, _settings(SystemClock().now().year))
    except OSError as error:
        raise PermanentJobError(f"{folder} cannot be written: {reason_of(error)}") from error


def is_minimal(settings: bytes) -> bool:
    """Whether settings are unchanged since ``make_minimal``."""
    year = re.search(rb"copyright_year: (\d{4})\n\Z", settings)
    return year is not None and settings == _settings(int(year[1]))


def _settings(year: int) -> bytes:
    return "\n".join([*_LINES, f"copyright_year: {year}", ""]).encode()
