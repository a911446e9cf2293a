"""What the content folder says of an item, as the site itself reads it: its name, category and tags."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST = 256 * 1024
_LARGEST_LIST = 4 * 1024 * 1024


class Item(NamedTuple):
    """An item as people know it."""

    id: str
    name: str
    category: str
    tags: tuple[str, ...] = ()


def read_items(folder: Path, ids: Iterable[str]) -> dict[str, Item]:
    """Look items up in a content folder. One that is not there, or cannot be read, keeps its id as name.

    Args:
        folder: the content folder, which may not exist.
        ids: slugs; whatever is no plain name of a folder is not looked for.
    """
    names = {kind: _names(folder, kind) for kind in ("categories", "tags")}
    return {one: _read(folder, one, names) for one in ids}


def _read(folder: Path, slug: str, names: Mapping[str, Mapping[str, str]]) -> Item:
    values = load_yaml(folder, _file_of(folder / "data" / slug), _LARGEST) if _is_plain(slug) else None
    found = values if isinstance(values, dict) else {}
    category, tags = found.get("category"), found.get("tags")
    categories = _shown(category if isinstance(category, list) else [category], names["categories"])
    return Item(
        slug,
        _text(found.get("name")) or slug,
        next(iter(categories), "Uncategorized"),
        _shown(tags if isinstance(tags, list) else [], names["tags"]),
    )


def _is_plain(slug: str) -> bool:
    return bool(slug) and not {"/", "\\", "\0"} & set(slug) and slug not in {".", ".."} and len(slug) < 200


def _file_of(place: Path) -> Path:
    """``<slug>/<slug>.yml``, else the first YAML file there that is no translation, as ``index.yaml``; else the first."""
    named = place / f"{place.name}.yml"
    try:
        if named.exists():
            return named
        files = sorted(
            one for one in place.iterdir() if one.suffix.lower() in {".yml", ".yaml"} and one.is_file()
        )
    except OSError:
        return named
    return next((one for one in files if "." not in one.stem), files[0] if files else named)


def _names(folder: Path, kind: str) -> dict[str, str]:
    """Names by id from ``<kind>/<kind>.yml`` where that folder is there, else ``<kind>.yml``."""
    place = folder / kind if (folder / kind).is_dir() else folder
    entries = load_yaml(folder, place / f"{kind}.yml", _LARGEST_LIST)
    return {
        _text(one.get("id")): _text(one.get("name"))
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, dict)
    }


def load_yaml(folder: Path, file: Path, largest: int) -> Any:
    """A YAML file's value; None where it cannot be read, is larger than so many bytes, or lies outside the folder."""
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()) or real.stat().st_size > largest:
            return None
        text = real.read_bytes().decode(errors="replace")
    except (OSError, RuntimeError, ValueError):
        return None
    from jobctl.settings.core_yaml import parse

    try:
        return parse(text)
    except ValueError:
        return None


def _shown(values: Iterable[Any], names: Mapping[str, str]) -> tuple[str, ...]:
    """The names of what an item refers to: by id, or by a name of which the id was made; else its own."""
    found = []
    for one in values:
        own = one if isinstance(one, dict) else {"id": one, "name": one}
        ident = _text(own.get("id"))
        found.append(names.get(ident) or names.get(_slug(ident)) or _text(own.get("name")) or ident)
    return tuple(filter(None, found))


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower().replace("&", "")).removeprefix("-").removesuffix("-")


def _text(value: Any) -> str:
    """A text or a number on one line; anything else is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    from jobctl.settings.core_yaml import text_of

    return " ".join(text_of(value).split())
