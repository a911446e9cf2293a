"""The content that a site can start with, where there is no repository."""

import re

SETTINGS = ".works/works.yml"
_LINES = ("site_name: Website", "item_name: Item", "items_name: Items")


def minimal_settings(year: int) -> bytes:
    """The settings of a minimal content folder."""
    return "\n".join([*_LINES, f"copyright_year: {year}", ""]).encode()


def is_minimal(settings: bytes) -> bool:
    """Whether they are as they were written."""
    year = re.search(rb"copyright_year: (\d{4})\n\Z", settings)
    return year is not None and settings == minimal_settings(int(year[1]))
