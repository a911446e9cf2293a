"""The analytics results, each worked out by one query of the site's database."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    func,
    literal,
    select,
    text,
    union_all,
)

from jobctl.clock import iso
from jobctl.site.analytics.results import (
    ACTIVITY_TRENDS,
    HITS,
    MISSES,
    PERFORMANCE,
    QUERIES,
    QUERY_US,
    RECENT_ACTIVITY,
    TOP_ITEMS,
    USER_GROWTH,
    Results,
)
from jobctl.site.content.items import read_items
from jobctl.site.database.session import Database
from jobctl.site.database.tables import (
    bytewise,
    client_profiles,
    comments,
    day_name,
    day_of,
    item_views,
    month_of,
    month_text,
    users,
    votes,
)
from jobctl.site.wording import midnight, short_day, short_month

KINDS = ("views", "votes", "comments")


def activity_trends(database: Database, now: datetime) -> Results:
    """The last 7, 14 and 30 days in UTC, today last. Deleted comments do not count."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(max(ACTIVITY_TRENDS.windows))][::-1]
    found = daily_counts(database, days[0], today + timedelta(days=1))
    entries = [
        {"day": short_day(day), **{kind: found.get((kind, day.isoformat()), 0) for kind in KINDS}}
        for day in days
    ]
    return {ACTIVITY_TRENDS.key(window): entries[-window:] for window in ACTIVITY_TRENDS.windows}


def daily_counts(database: Database, first: date, end: date) -> dict[tuple[str, str], int]:
    """Counts by kind and day (``YYYY-MM-DD``) from ``first`` up to, but without, ``end``."""
    query = union_all(*(_counted(kind, first, end, database.tenant_id) for kind in KINDS))
    rows = database.read(lambda connection: connection.execute(query).all())
    return {(kind, day): count for kind, day, count in rows}


def _counted(kind: str, first: date, end: date, tenant_id: str) -> Select[Any, Any, Any]:
    if kind == "views":
        day = item_views.c.viewed_date_utc
        of_tenant = item_views.c.tenant_id == tenant_id
        period = [day >= first.isoformat(), day < end.isoformat()]
        return select(literal(kind), day, func.count()).where(of_tenant, *period).group_by(day)
    table = {"votes": votes, "comments": comments}[kind]
    day_cut = day_of(table.c.created_at)
    conditions = [
        table.c.tenant_id == tenant_id,
        table.c.created_at >= midnight(first),
        table.c.created_at < midnight(end),
    ]
    if kind == "comments":
        conditions.append(comments.c.deleted_at.is_(None))
    counted: Select[Any, Any, Any] = select(literal(kind), day_name(day_cut), func.count())
    return counted.where(*conditions).group_by(day_cut)


_IN_USE = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")


def performance(database: Database, counted: Mapping[str, int]) -> Results:
    """Counts since the last cleanup, and the database as it is now.

    ``cacheHitRate`` is 0 to 1, None where nobody asked; ``totalQueries`` are answers from the cache and from
    the database together, ``cachedQueries`` those from the cache. Times are in milliseconds.
    ``connectionsInUse`` is None on SQLite, which has none.
    """
    hits, misses = counted.get(HITS, 0), counted.get(MISSES, 0)
    queries = counted.get(QUERIES, 0)
    trip = database.round_trip().total_seconds() * 1000
    value = {
        "cacheHitRate": round(hits / (hits + misses), 4) if hits + misses else None,
        "totalQueries": hits + queries,
        "cachedQueries": hits,
        "averageQueryTime": round(counted.get(QUERY_US, 0) / queries / 1000, 3) if queries else None,
        "databaseRoundTrip": round(trip, 3),
        "connectionsInUse": _connections(database),
    }
    return {PERFORMANCE.prefix: value}


def _connections(database: Database) -> int | None:
    if database.is_sqlite:
        return None
    return int(database.read(lambda connection: connection.execute(_IN_USE).scalar_one()))


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


class Ranked(NamedTuple):
    """An item with its counts."""

    item_id: str
    votes: int
    views: int
    comments: int


def top_items(database: Database, content: Path) -> Results:
    """The 10, 20 and 50 items with the most votes, ties by item id; votes either way count."""
    ranked = ranking(database, max(TOP_ITEMS.windows))
    items = read_items(content, (one.item_id for one in ranked))
    entries = [
        {
            "name": items[one.item_id].name,
            "views": one.views,
            "votes": one.votes,
            "category": items[one.item_id].category,
        }
        for one in ranked
    ]
    return {TOP_ITEMS.key(window): entries[:window] for window in TOP_ITEMS.windows}


def ranking(database: Database, most: int, period: tuple[datetime, datetime] | None = None) -> list[Ranked]:
    """The most voted items, all time or in a period (end excluded), with their views and comments."""
    query = _query(database.tenant_id, most, period)
    rows = database.read(lambda connection: connection.execute(query).all())
    return [Ranked(*row) for row in rows]


def _query(tenant_id: str, most: int, period: tuple[datetime, datetime] | None) -> Select[str, int, int, int]:
    count = func.count().label("votes")
    voted = select(votes.c.item_id, count).where(votes.c.tenant_id == tenant_id).group_by(votes.c.item_id)
    best = voted.order_by(count.desc(), bytewise(votes.c.item_id)).limit(most)
    if period is not None:
        best = best.where(votes.c.created_at >= period[0], votes.c.created_at < period[1])
    top = best.cte("top")
    seen = select(func.count()).where(
        item_views.c.item_id == top.c.item_id, item_views.c.tenant_id == tenant_id
    )
    said = select(func.count()).where(
        comments.c.item_id == top.c.item_id,
        comments.c.tenant_id == tenant_id,
        comments.c.deleted_at.is_(None),
    )
    if period is not None:
        days = [instant.date().isoformat() for instant in period]
        seen = seen.where(item_views.c.viewed_date_utc >= days[0], item_views.c.viewed_date_utc < days[1])
        said = said.where(comments.c.created_at >= period[0], comments.c.created_at < period[1])
    return select(top.c.item_id, top.c.votes, seen.scalar_subquery(), said.scalar_subquery()).order_by(
        top.c.votes.desc(), bytewise(top.c.item_id)
    )


def user_growth(database: Database) -> Results:
    """The last 6, 12 and 24 months that have sign-ups, oldest first; months in UTC.

    ``users`` are new in the month, ``active`` all up to and including it. Deleted users do not count.
    """
    month = month_of(users.c.created_at).label("month")
    query = (
        select(month, func.count())
        .where(users.c.tenant_id == database.tenant_id, users.c.deleted_at.is_(None))
        .group_by(month)
        .order_by(month)
    )
    rows = database.read(lambda connection: connection.execute(query).all())
    totals = accumulate(count for _, count in rows)
    months = [
        {"month": label(month_text(month)), "users": count, "active": total}
        for (month, count), total in zip(rows, totals, strict=True)
    ]
    return {USER_GROWTH.key(window): months[-window:] for window in USER_GROWTH.windows}


def label(month: str) -> str:
    """``2026-01`` as ``Jan 2026``."""
    year, _, number = month.partition("-")
    return short_month(int(year), int(number))
