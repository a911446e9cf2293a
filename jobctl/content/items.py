"""What the content folder says of an item: its name and category."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST = 256 * 1024


class Item(NamedTuple):
    """An item as people know it."""

    id: str
    name: str
    category: str


def read_items(folder: Path, ids: Iterable[str]) -> dict[str, Item]:
    """Look items up in a content folder. One that is not there, or cannot be read, keeps its id as name.

    Args:
        folder: the content folder, which may not exist.
        ids: slugs; whatever is no plain name of a folder is not looked for.
    """
    return {one: _read(folder, one) for one in ids}


def _read(folder: Path, slug: str) -> Item:
    values = _load(folder / "data" / slug / f"{slug}.yml") if _is_plain(slug) else {}
    return Item(slug, _text(values.get("name")) or slug, _category(values.get("category")))


def _is_plain(slug: str) -> bool:
    return bool(slug) and not {"/", "\\", "\0"} & set(slug) and slug not in {".", ".."} and len(slug) < 200


def _load(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            return {}
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    import yaml

    try:
        found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - either is safe
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _category(value: Any) -> str:
    """The first of several; the template takes either form."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("name") or value.get("id")
    return _text(value) or "Uncategorized"


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
