"""Recent activity: the newest sign-ups, comments and votes, merged by time."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, select

from jobctl.analytics.results import RECENT_ACTIVITY, Results
from jobctl.clock import iso
from jobctl.content.items import read_items
from jobctl.database.columns import bytewise
from jobctl.database.session import Database
from jobctl.database.tables import client_profiles, comments, users, votes

ANONYMOUS = "Someone"


class Event(NamedTuple):
    """Something a user did. ``item_id`` is empty for a sign-up."""

    kind: str
    at: datetime
    id: str
    item_id: str
    user: str


def recent_activity(database: Database, content: Path) -> Results:
    """The true newest 10 and 20. Users are shown by their profile's name, never by mail address."""
    events = newest(database, max(RECENT_ACTIVITY.windows))
    items = read_items(content, {one.item_id for one in events if one.item_id})
    entries = [_entry(one, items[one.item_id].name if one.item_id else "") for one in events]
    return {RECENT_ACTIVITY.key(window): entries[:window] for window in RECENT_ACTIVITY.windows}


def newest(database: Database, most: int) -> list[Event]:
    """The newest events of all three kinds, newest first; ties by kind and id."""
    tenant_id = database.tenant_id
    alive = users.c.deleted_at.is_(None), comments.c.deleted_at.is_(None)
    sources = (
        (users, users.c.id, client_profiles.c.user_id, (users.c.tenant_id == tenant_id, alive[0])),
        (comments, comments.c.client_id, client_profiles.c.id, (comments.c.tenant_id == tenant_id, alive[1])),
        (votes, votes.c.client_id, client_profiles.c.id, (votes.c.tenant_id == tenant_id,)),
    )
    queries = [(table, _newest_of(table, who, profile, own, most)) for table, who, profile, own in sources]

    def look(connection: Connection) -> list[Event]:
        return [_event(table, row) for table, query in queries for row in connection.execute(query)]

    found = database.read(look)
    found.sort(key=lambda one: (one.kind, one.id))
    found.sort(key=lambda one: one.at, reverse=True)
    return found[:most]


def _newest_of(
    table: Table, who: Column[str], profile: Column[str], own: Iterable[ColumnElement[bool]], most: int
) -> Select[Any]:
    """The newest rows first, and only then who they are of: else every row would be joined.

    Only the columns that are shown: the database sorts whatever it is asked for.
    """
    shown = [table.c[name] for name in ("id", "created_at", "item_id", "vote_type") if name in table.c]
    rows = (
        select(*shown, who.label("who"))
        .where(*own)
        .order_by(table.c.created_at.desc(), bytewise(table.c.id))
        .limit(most)
        .subquery()
    )
    names = client_profiles.c.display_name, client_profiles.c.name.label("profile_name")
    return select(rows, *names).outerjoin(client_profiles, profile == rows.c.who)


def _event(table: Table, row: Row[Any]) -> Event:
    kind = {"users": "user_signup", "comments": "comment"}.get(table.name) or row.vote_type
    item_id = "" if table is users else row.item_id
    return Event(kind, row.created_at, row.id, item_id, _shown(row.display_name, row.profile_name))


def _entry(event: Event, item: str) -> dict[str, Any]:
    words = {
        "user_signup": "Joined",
        "comment": f"Commented on {item}",
        "upvote": f"Voted for {item}",
        "downvote": f"Voted against {item}",
    }
    return {
        "type": "vote" if event.kind.endswith("vote") else event.kind,
        "description": words.get(event.kind, f"Voted on {item}"),
        "timestamp": iso(event.at),
        "user": event.user,
    }


def _shown(*names: str | None) -> str:
    """The display name, else the name; one that is, or holds, a mail address is not shown."""
    for name in names:
        text = " ".join((name or "").split())
        if text and "@" not in text:
            return text
    return ANONYMOUS
