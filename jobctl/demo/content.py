"""The sample site's content repository: a real, bare Git repository, and the editor who commits to it."""

from datetime import datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from jobctl.demo.words import CATEGORIES, ITEMS

_BRANCH = "refs/heads/main"
_SITE = "site_name: Toolshelf\nitem_name: Tool\nitems_name: Tools\n"


def begin(folder: Path, now: datetime) -> None:
    """Make the repository with one commit that holds every item."""
    repository = pygit2.init_repository(folder, bare=True, initial_head="main")
    index = pygit2.Index()
    files = {".works/works.yml": _SITE, "categories.yml": _categories()}
    for slug, name, category in ITEMS:
        text = f"name: {name}\ndescription: {name} for {category}.\ncategory: {category}\n"
        files[f"data/{slug}/{slug}.yml"] = text + f"source_url: https://{slug}.example.com\n"
    for path, text in files.items():
        index.add(pygit2.IndexEntry(path, repository.create_blob(text.encode()), FileMode.BLOB))
    _commit(repository, index, "Begin the directory", now, [])


def edit(folder: Path, slug: str, line: str, message: str, now: datetime) -> str:
    """Add a line to an item and commit it; the commit."""
    repository = pygit2.Repository(str(folder))
    head = repository.references[_BRANCH].peel(pygit2.Commit)
    index = pygit2.Index()
    index.read_tree(head.tree)
    path = f"data/{slug}/{slug}.yml"
    blob = head.tree[path]
    if not isinstance(blob, pygit2.Blob):
        raise TypeError(f"{path} is no file")
    text = blob.data + f"{line}\n".encode()
    index.add(pygit2.IndexEntry(path, repository.create_blob(text), FileMode.BLOB))
    return _commit(repository, index, message, now, [head.id])


def _commit(
    repository: pygit2.Repository, index: pygit2.Index, message: str, now: datetime, parents: list[pygit2.Oid]
) -> str:
    editor = pygit2.Signature("Edith Editor", "editor@example.com", int(now.timestamp()), 0)
    tree = index.write_tree(repository)
    return str(repository.create_commit(_BRANCH, editor, editor, message, tree, parents))


def _categories() -> str:
    return "".join(f"- id: {name}\n  name: {name.title()}\n" for name in CATEGORIES)
