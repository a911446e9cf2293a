"""Items of the content folder as the site itself reads them: name, category and tags."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobctl.settings.core_yaml import parse, text_of

_LARGEST_ITEM = 256 * 1024
_LARGEST_LIST = 4 * 1024 * 1024


class Item(NamedTuple):
    """An item of the site."""

    id: str
    name: str
    category: str
    tags: tuple[str, ...] = ()


def read_items(folder: Path, ids: Iterable[str]) -> dict[str, Item]:
    """Read items. The name of one that does not exist, or cannot be read, is its id.

    Args:
        folder: the content folder; it may not exist.
        ids: slugs.
    """
    categories, tags = _names(folder, "categories"), _names(folder, "tags")
    return {slug: _read_item(folder, slug, categories, tags) for slug in ids}


def _read_item(
    folder: Path, slug: str, category_names: Mapping[str, str], tag_names: Mapping[str, str]
) -> Item:
    found = _load_yaml(folder, _file_of(folder / "data" / slug), _LARGEST_ITEM) if _is_plain(slug) else None
    values = found if isinstance(found, dict) else {}
    category, tags = values.get("category"), values.get("tags")
    categories = _shown(category if isinstance(category, list) else [category], category_names)
    return Item(
        slug,
        _text(values.get("name")) or slug,
        next(iter(categories), "Uncategorized"),
        _shown(tags if isinstance(tags, list) else [], tag_names),
    )


def _is_plain(slug: str) -> bool:
    """Whether it is the plain name of a folder."""
    return bool(slug) and not {"/", "\\", "\0"} & set(slug) and slug not in {".", ".."} and len(slug) < 200


def _file_of(place: Path) -> Path:
    """``<slug>/<slug>.yml``, or the first YAML file that is not a translation, or the first one."""
    named = place / f"{place.name}.yml"
    try:
        if named.exists():
            return named
        files = sorted(
            file for file in place.iterdir() if file.suffix.lower() in {".yml", ".yaml"} and file.is_file()
        )
    except OSError:
        return named
    return next((file for file in files if "." not in file.stem), files[0] if files else named)


def _names(folder: Path, kind: str) -> dict[str, str]:
    """Names by id, from ``<kind>/<kind>.yml`` if that folder exists, else ``<kind>.yml``."""
    place = folder / kind if (folder / kind).is_dir() else folder
    entries = _load_yaml(folder, place / f"{kind}.yml", _LARGEST_LIST)
    return {
        _text(entry.get("id")): _text(entry.get("name"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    }


def _load_yaml(folder: Path, file: Path, largest: int) -> Any:
    """The value of a YAML file; None if it cannot be read, is larger than this (bytes), or is outside the folder."""
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()) or real.stat().st_size > largest:
            return None
        return parse(real.read_bytes().decode(errors="replace"))
    except (OSError, RuntimeError, ValueError):
        return None


def _shown(values: Iterable[Any], names: Mapping[str, str]) -> tuple[str, ...]:
    """The names of what an item refers to: by id, by a name from which the id was made, or as it is written."""
    found = []
    for value in values:
        own = value if isinstance(value, dict) else {"id": value, "name": value}
        ident = _text(own.get("id"))
        found.append(names.get(ident) or names.get(_slug(ident)) or _text(own.get("name")) or ident)
    return tuple(filter(None, found))


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower().replace("&", "")).removeprefix("-").removesuffix("-")


def _text(value: Any) -> str:
    """A text or number on one line; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(text_of(value).split())
