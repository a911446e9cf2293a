"""The sample site's database and content repository: some thousand rows of an invented past, and the items."""

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

TENANT = "demo"
USERS = 3000
_DAYS = 780
_RECENT_DAYS = 45
_PRICES = {"free": 0, "standard": 9, "premium": 29}

_FIRST_NAMES = (
    "Ada", "Alan", "Amina", "Anders", "Bruno", "Carla", "Chen", "Dmitri", "Edsger", "Elena", "Emeka", "Farah",
    "Grace", "Hana", "Hedy", "Ibrahim", "Ines", "Jonas", "Katherine", "Kenji", "Lakshmi", "Leila", "Linus",
    "Margaret", "Mateo", "Mei", "Nadia", "Niklaus", "Olga", "Omar", "Priya", "Radia", "Sofía", "Tariq", "Yuki",
)  # fmt: skip
_LAST_NAMES = (
    "Almeida", "Andersson", "Bauer", "Costa", "Dijkstra", "Eriksen", "Fischer", "García", "Haddad", "Hopper",
    "Ito", "Jansen", "Kim", "Kowalski", "Lamarr", "Lovelace", "Mehta", "Nakamura", "Novak", "O'Brien", "Okafor",
    "Patel", "Perlman", "Rossi", "Sato", "Silva", "Tanaka", "Turing", "Weber", "Wirth", "Yılmaz", "Zhang",
)  # fmt: skip
_CATEGORIES = {
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
    "clarify the description", "add a link to the changelog", "correct a typo", "mention the new release",
)  # fmt: skip
ITEMS = [
    (name.lower().replace(" ", "-"), name, category)
    for category, names in _CATEGORIES.items()
    for name in names
]
"""Slug, name and category of each item."""


# Rows of the database


def fill(file: Path, seed: int, now: datetime) -> None:
    """Create the database and its past; the same seed and instant make the same rows."""
    random = Random(seed)
    tenant = {"name": "Toolshelf", "slug": "toolshelf", "status": "active"}
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.begin() as connection:
            tables.METADATA.create_all(connection)
            created = now - timedelta(days=_DAYS)
            _add(connection, tables.tenant, [{"id": TENANT, **tenant, "created_at": created}])
            joined = sorted(_moment(random, now, _DAYS) for _ in range(USERS))
            people = [person(random, number, at) for number, at in enumerate(joined, 1)]
            _add(connection, tables.users, (user for user, _ in people))
            _add(connection, tables.client_profiles, (profile for _, profile in people))
            _add(connection, tables.votes, _votes(random, now))
            _add(connection, tables.comments, _comments(random, now))
            _add(connection, tables.item_views, _views(random, now))
            subscriptions, history = _subscriptions(random, now)
            _add(connection, tables.subscriptions, subscriptions)
            _add(connection, tables.subscription_history, history)
    finally:
        engine.dispose()
    with closing(sqlite3.connect(file)) as connection_to_file:
        connection_to_file.execute("PRAGMA journal_mode = WAL")  # several jobs read and write at once


def person(random: Random, number: int, at: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """A user and the profile."""
    common = {"email": f"user{number}@example.com", "tenant_id": TENANT, "created_at": at}
    name = f"{random.choice(_FIRST_NAMES)} {random.choice(_LAST_NAMES)}"
    user = {"id": f"user-{number}", **common, "updated_at": at}
    return user, {"id": f"profile-{number}", "user_id": user["id"], "name": name, **common}


def subscription(random: Random, number: int, user_id: str, end: datetime, **more: Any) -> dict[str, Any]:
    """A monthly subscription that ends at ``end``."""
    plan = random.choice(("standard", "standard", "premium"))
    start = end - timedelta(days=30)
    return {
        "id": f"subscription-{number}",
        "user_id": user_id,
        "plan_id": plan,
        "status": "active",
        "start_date": start,
        "end_date": end,
        "payment_provider": "stripe",
        "subscription_id": f"sub_{number:06}",
        "currency": random.choice(("usd", "usd", "eur")),
        "amount": _PRICES[plan],
        "interval": "month",
        "interval_count": 1,
        "auto_renewal": True,
        "renewal_reminder_sent": False,
        "cancelled_at": None,
        "created_at": start,
        "updated_at": start,
        "tenant_id": TENANT,
        **more,
    }


def view(number: int, item: str, at: datetime) -> dict[str, Any]:
    """A view of an item."""
    viewer = {"viewer_id": f"viewer-{number}", "viewed_date_utc": f"{at:%Y-%m-%d}", "viewed_at": at}
    return {"id": f"view-{number}", "item_id": item, **viewer, "tenant_id": TENANT}


def favourite(random: Random) -> str:
    """An item; a few are far more popular than the rest."""
    return ITEMS[min(int(random.expovariate(0.09)), len(ITEMS) - 1)][0]


def _moment(random: Random, now: datetime, days: float) -> datetime:
    """A moment of the last ``days``; recent ones are more likely."""
    return now - timedelta(seconds=int(days * 86400 * random.random() ** 1.6))


def _on_item(random: Random, user: int, item: str, now: datetime) -> dict[str, Any]:
    at = _moment(random, now, _RECENT_DAYS)
    return {"client_id": f"profile-{user}", "item_id": item, "created_at": at, "tenant_id": TENANT}


def _votes(random: Random, now: datetime) -> Iterator[dict[str, Any]]:
    seen = set()
    for number in range(1, 6001):
        user, item = random.randint(1, USERS), favourite(random)
        if (user, item) not in seen:
            seen.add((user, item))
            kind = "downvote" if random.random() < 0.1 else "upvote"
            yield {"id": f"vote-{number}", "vote_type": kind, **_on_item(random, user, item, now)}


def _comments(random: Random, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(1, 1501):
        common = _on_item(random, random.randint(1, USERS), favourite(random), now)
        remark = {"content": random.choice(REMARKS), "rating": random.randint(3, 5)}
        yield {"id": f"comment-{number}", **remark, **common}


def _views(random: Random, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(1, 15001):
        yield view(number, favourite(random), _moment(random, now, _RECENT_DAYS))


def _subscriptions(random: Random, now: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Subscriptions and their history: 12 renew within a week, 9 are over, 39 ended, the rest continue."""
    rows, history = [], []
    for number, user in enumerate(random.sample(range(1, USERS + 1), 420), 1):
        user_id = f"user-{user}"
        if number <= 12:
            end = now + timedelta(hours=random.randint(1, 160))
            rows.append(subscription(random, number, user_id, end))
        elif number <= 21:
            end = now - timedelta(hours=random.randint(1, 40))
            rows.append(subscription(random, number, user_id, end, auto_renewal=number % 3 > 0))
        elif number <= 60:
            end = _moment(random, now, 90)
            status = random.choice(("expired", "cancelled"))
            cancelled_at = end if status == "cancelled" else None
            rows.append(subscription(random, number, user_id, end, status=status, cancelled_at=cancelled_at))
            history.append(_history_row(number, f"subscription_{status}", end))
        else:
            end = now + timedelta(hours=random.randint(200, 720))
            months = (2, 1) if random.random() < 0.7 else (1,)
            paid = [end - timedelta(days=30 * back) for back in months]
            rows.append(subscription(random, number, user_id, end, start_date=paid[0]))
            history += [_history_row(number, "payment_succeeded", at) for at in paid]
    return rows, history


def _history_row(number: int, action: str, at: datetime) -> dict[str, Any]:
    ids = {"id": f"change-{number}-{at:%Y%m%d}", "subscription_id": f"subscription-{number}"}
    return {**ids, "action": action, "created_at": at, "tenant_id": TENANT}


def _add(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    connection.execute(insert(table), list(rows))


# The content repository

_BRANCH = "refs/heads/main"
_SITE = "site_name: Toolshelf\nitem_name: Tool\nitems_name: Tools\n"


def make_repository(folder: Path, now: datetime) -> None:
    """Create the bare repository, with one commit that has every item."""
    repository = pygit2.init_repository(folder, bare=True, initial_head="main")
    index = pygit2.Index()
    categories = "".join(f"- id: {name}\n  name: {name.title()}\n" for name in _CATEGORIES)
    files = {".works/works.yml": _SITE, "categories.yml": categories}
    for slug, name, category in ITEMS:
        text = f"name: {name}\ndescription: {name} for {category}.\ncategory: {category}\n"
        files[f"data/{slug}/{slug}.yml"] = text + f"source_url: https://{slug}.example.com\n"
    for path, text in files.items():
        index.add(pygit2.IndexEntry(path, repository.create_blob(text.encode()), FileMode.BLOB))
    _commit(repository, index, "Begin the directory", now, [])


def edit_item(folder: Path, slug: str, line: str, message: str, now: datetime) -> str:
    """Add a line to an item, commit it, and return the commit."""
    repository = pygit2.Repository(str(folder))
    head = repository.references[_BRANCH].peel(pygit2.Commit)
    index = pygit2.Index()
    index.read_tree(head.tree)
    path = f"data/{slug}/{slug}.yml"
    blob = head.tree[path]
    if not isinstance(blob, pygit2.Blob):
        raise TypeError(f"{path} is not a file")
    text = blob.data + f"{line}\n".encode()
    index.add(pygit2.IndexEntry(path, repository.create_blob(text), FileMode.BLOB))
    return _commit(repository, index, message, now, [head.id])


def _commit(
    repository: pygit2.Repository, index: pygit2.Index, message: str, now: datetime, parents: list[pygit2.Oid]
) -> str:
    editor = pygit2.Signature("Edith Editor", "editor@example.com", int(now.timestamp()), 0)
    tree = index.write_tree(repository)
    return str(repository.create_commit(_BRANCH, editor, editor, message, tree, parents))
