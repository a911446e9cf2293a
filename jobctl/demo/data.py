"""The sample site's database and content repository: their rows, files and history."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pygit2
from pygit2.enums import FileMode
from sqlalchemy import Connection, Table, create_engine, insert

from jobctl.site.database import tables

FIRST = (
    "Ada", "Alan", "Amina", "Anders", "Bruno", "Carla", "Chen", "Dmitri", "Edsger", "Elena", "Emeka", "Farah",
    "Grace", "Hana", "Hedy", "Ibrahim", "Ines", "Jonas", "Katherine", "Kenji", "Lakshmi", "Leila", "Linus",
    "Margaret", "Mateo", "Mei", "Nadia", "Niklaus", "Olga", "Omar", "Priya", "Radia", "Sofía", "Tariq", "Yuki",
)  # fmt: skip
LAST = (
    "Almeida", "Andersson", "Bauer", "Costa", "Dijkstra", "Eriksen", "Fischer", "García", "Haddad", "Hopper",
    "Ito", "Jansen", "Kim", "Kowalski", "Lamarr", "Lovelace", "Mehta", "Nakamura", "Novak", "O'Brien", "Okafor",
    "Patel", "Perlman", "Rossi", "Sato", "Silva", "Tanaka", "Turing", "Weber", "Wirth", "Yılmaz", "Zhang",
)  # fmt: skip
CATEGORIES = {
    "databases": ("Rowan", "Basalt", "Pagefile", "Keelbase", "Tidewater", "Quartzdb", "Loftstore", "Ledgerline"),
    "testing": ("Redgreen", "Crashbox", "Fixturely", "Snapjudge", "Probewell", "Mockless", "Asserta", "Flakehunt"),
    "deployment": ("Rollout", "Shipyard", "Bluegate", "Canaryline", "Hoist", "Driftless", "Anchorage", "Portcall"),
    "monitoring": ("Lighthouse Keeper", "Pulsewire", "Nightwatch", "Graphite Owl", "Beacon", "Uptick", "Tracery"),
    "editors": ("Inkwell", "Modal", "Margin", "Plainpane", "Cursorly", "Typeset", "Vellum"),
    "security": ("Gatehouse", "Saltbox", "Keyring", "Sealskin", "Watchword", "Tamperseal", "Quietport"),
    "data": ("Parquetry", "Streamlet", "Columnar", "Batchwise", "Reservoir", "Datumline", "Pivotal Oak"),
    "design": ("Gridwork", "Palette", "Kerning", "Wireframe Co", "Softproof", "Swatchbook", "Layerly"),
}  # fmt: skip
REMARKS = (
    "Does what it says.", "We moved to it last month and have not looked back.", "The docs are the best part.",
    "Fast, small, and the errors make sense.", "Works well, though the upgrade was bumpy.", "Exactly what I needed 🙂",
)  # fmt: skip
EDITS = (
    "clarify the description",
    "add a link to the changelog",
    "correct a typo",
    "mention the new release",
)


def slug_of(name: str) -> str:
    """``Lighthouse Keeper`` as ``lighthouse-keeper``."""
    return name.lower().replace(" ", "-")


ITEMS = [(slug_of(name), name, category) for category, names in CATEGORIES.items() for name in names]


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


TENANT = "demo"
USERS = 3000
_DAYS = 780
_RECENT = 45
_PRICES = {"free": 0, "standard": 9, "premium": 29}


def fill(file: Path, seed: int, now: datetime) -> None:
    """Make the database and its past; the same seed and instant make the same rows."""
    chance = Random(seed)
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.begin() as connection:
            tables.METADATA.create_all(connection)
            connection.execute(insert(tables.tenant).values(**_tenant(now)))
            joined = _users(connection, chance, now)
            _add(connection, tables.votes, _votes(chance, joined, now))
            _add(connection, tables.comments, _comments(chance, joined, now))
            _add(connection, tables.item_views, _views(chance, now))
            _subscriptions(connection, chance, joined, now)
    finally:
        engine.dispose()
    with closing(sqlite3.connect(file)) as connection_to_file:
        connection_to_file.execute("PRAGMA journal_mode = WAL")  # several jobs read and write at once


def person(chance: Random, number: int, at: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """A user and the profile."""
    name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
    address = f"user{number}@example.com"
    user = {"id": f"user-{number}", "email": address, "tenant_id": TENANT, "created_at": at, "updated_at": at}
    profile = {
        "id": f"profile-{number}",
        "user_id": user["id"],
        "email": address,
        "tenant_id": TENANT,
        "name": name,
        "created_at": at,
    }
    return user, profile


def subscription(chance: Random, number: int, user_id: str, end: datetime, **more: Any) -> dict[str, Any]:
    """A monthly one that ends at ``end``."""
    plan = chance.choice(("standard", "standard", "premium"))
    return {
        "id": f"subscription-{number}",
        "user_id": user_id,
        "plan_id": plan,
        "status": "active",
        "start_date": end - timedelta(days=30),
        "end_date": end,
        "payment_provider": "stripe",
        "subscription_id": f"sub_{number:06}",
        "currency": chance.choice(("usd", "usd", "eur")),
        "amount": _PRICES[plan],
        "interval": "month",
        "interval_count": 1,
        "auto_renewal": True,
        "renewal_reminder_sent": False,
        "cancelled_at": None,
        "created_at": end - timedelta(days=30),
        "updated_at": end - timedelta(days=30),
        "tenant_id": TENANT,
        **more,
    }


def favourite(chance: Random) -> str:
    """An item; a few are liked far more than the rest."""
    return ITEMS[min(int(chance.expovariate(0.09)), len(ITEMS) - 1)][0]


def moment(chance: Random, now: datetime, days: float) -> datetime:
    """Some moment of the last ``days``, the newer the likelier."""
    return now - timedelta(seconds=int(days * 86400 * chance.random() ** 1.6))


def _tenant(now: datetime) -> dict[str, Any]:
    return {
        "id": TENANT,
        "name": "Toolshelf",
        "slug": "toolshelf",
        "status": "active",
        "created_at": now - timedelta(days=_DAYS),
    }


def _users(connection: Connection, chance: Random, now: datetime) -> list[tuple[int, datetime]]:
    joined = sorted(moment(chance, now, _DAYS) for _ in range(USERS))
    pairs = [person(chance, number, at) for number, at in enumerate(joined, 1)]
    _add(connection, tables.users, (user for user, _ in pairs))
    _add(connection, tables.client_profiles, (profile for _, profile in pairs))
    return list(enumerate(joined, 1))


def _votes(chance: Random, joined: list[tuple[int, datetime]], now: datetime) -> Iterator[dict[str, Any]]:
    seen = set()
    for number in range(1, 6001):
        user, item = chance.choice(joined)[0], favourite(chance)
        if (user, item) not in seen:
            seen.add((user, item))
            yield {
                "id": f"vote-{number}",
                "client_id": f"profile-{user}",
                "item_id": item,
                "vote_type": "downvote" if chance.random() < 0.1 else "upvote",
                "created_at": moment(chance, now, _RECENT),
                "tenant_id": TENANT,
            }


def _comments(chance: Random, joined: list[tuple[int, datetime]], now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(1, 1501):
        yield {
            "id": f"comment-{number}",
            "client_id": f"profile-{chance.choice(joined)[0]}",
            "item_id": favourite(chance),
            "content": chance.choice(REMARKS),
            "rating": chance.randint(3, 5),
            "created_at": moment(chance, now, _RECENT),
            "tenant_id": TENANT,
        }


def _views(chance: Random, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(1, 15001):
        at = moment(chance, now, _RECENT)
        yield {
            "id": f"view-{number}",
            "item_id": favourite(chance),
            "viewer_id": f"viewer-{number}",
            "viewed_date_utc": f"{at:%Y-%m-%d}",
            "viewed_at": at,
            "tenant_id": TENANT,
        }


def _subscriptions(
    connection: Connection, chance: Random, joined: list[tuple[int, datetime]], now: datetime
) -> None:
    """Most run on; 12 renew within a week, 9 are over, and there is a history of payments."""
    subscribers = chance.sample([user for user, _ in joined], 420)
    rows, history = [], []
    for number, user in enumerate(subscribers, 1):
        user_id = f"user-{user}"
        if number <= 12:
            end = now + timedelta(hours=chance.randint(1, 160))
            rows.append(subscription(chance, number, user_id, end))
        elif number <= 21:
            end = now - timedelta(hours=chance.randint(1, 40))
            rows.append(subscription(chance, number, user_id, end, auto_renewal=number % 3 > 0))
        elif number <= 60:
            end = moment(chance, now, 90)
            status = chance.choice(("expired", "cancelled"))
            cancelled_at = end if status == "cancelled" else None
            rows.append(subscription(chance, number, user_id, end, status=status, cancelled_at=cancelled_at))
            history.append(_change(number, f"subscription_{status}", end))
        else:
            end = now + timedelta(hours=chance.randint(200, 720))
            paid = [end - timedelta(days=30 * back) for back in ((2, 1) if chance.random() < 0.7 else (1,))]
            rows.append(subscription(chance, number, user_id, end, start_date=paid[0]))
            history += [_change(number, "payment_succeeded", at) for at in paid]
    _add(connection, tables.subscriptions, rows)
    _add(connection, tables.subscription_history, history)


def _change(number: int, action: str, at: datetime) -> dict[str, Any]:
    return {
        "id": f"change-{number}-{at:%Y%m%d}",
        "subscription_id": f"subscription-{number}",
        "action": action,
        "created_at": at,
        "tenant_id": TENANT,
    }


def _add(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    connection.execute(insert(table), list(rows))
