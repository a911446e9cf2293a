"""Commits, named by their ids as text: found, and how they stand to each other."""

import pygit2


def commit_of(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    """The commit itself."""
    return repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)


def last_commit(repository: pygit2.Repository) -> pygit2.Commit:
    """The one that the branch stands at."""
    return commit_of(repository, str(repository.head.target))


def is_ancestor(repository: pygit2.Repository, old: str, new: str) -> bool:
    """Whether ``new`` is ``old``, or came out of it."""
    return old == new or repository.descendant_of(pygit2.Oid(hex=new), pygit2.Oid(hex=old))


def shares_history(repository: pygit2.Repository, one: str, other: str) -> bool:
    """Whether both came out of one commit."""
    try:
        return repository.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other)) is not None
    except (KeyError, pygit2.GitError):
        return False


def count_new(repository: pygit2.Repository, old: str, new: str) -> int:
    """How many commits ``new`` has that ``old`` has not."""
    walker = repository.walk(pygit2.Oid(hex=new))
    walker.hide(pygit2.Oid(hex=old))
    return sum(1 for _ in walker)


def synced_commit(repository: pygit2.Repository) -> str | None:
    """The remote's commit at the last sync."""
    found = repository.references.get("refs/jobctl/synced")
    return str(found.target) if found is not None else None
