"""Computes the analytics results; each takes one query of the site's database."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
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
from jobctl.site.english_formats import midnight, short_day, short_month

ANONYMOUS = "Someone"
_TRENDS = ("views", "votes", "comments")
_CONNECTIONS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")


# User growth


def user_growth(database: Database) -> Results:
    """Sign-ups per UTC month, in the last 6, 12 and 24 months that have any, oldest first.

    ``users`` signed up in the month, ``active`` until its end. Deleted users do not count.
    """
    month = month_of(users.c.created_at).label("month")
    query = (
        select(month, func.count())
        .where(users.c.tenant_id == database.tenant_id, users.c.deleted_at.is_(None))
        .group_by(month)
        .order_by(month)
    )
    rows = database.rows(query)
    totals = accumulate(count for _, count in rows)
    months = [
        {"month": short_month(month_text(value)), "users": count, "active": total}
        for (value, count), total in zip(rows, totals, strict=True)
    ]
    return {USER_GROWTH.key(window): months[-window:] for window in USER_GROWTH.windows}


# Activity trends


def activity_trends(database: Database, now: datetime) -> Results:
    """Views, votes and comments per UTC day, for the last 7, 14 and 30 days, today last."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(max(ACTIVITY_TRENDS.windows))][::-1]
    found = daily_counts(database, _TRENDS, days[0], today + timedelta(days=1))
    entries = [
        {"day": short_day(day), **{kind: found.get((kind, day.isoformat()), 0) for kind in _TRENDS}}
        for day in days
    ]
    return {ACTIVITY_TRENDS.key(window): entries[-window:] for window in ACTIVITY_TRENDS.windows}


def daily_counts(
    database: Database, kinds: Collection[str], first: date, end: date
) -> dict[tuple[str, str], int]:
    """Counts by kind and day (``YYYY-MM-DD``) from ``first`` up to, but without, ``end``.

    Args:
        kinds: of ``views``, ``votes``, ``comments`` and ``sign_ups``. Deleted users and comments do not count.
    """
    query = union_all(*(_per_day(kind, first, end, database.tenant_id) for kind in kinds))
    return {(kind, day): count for kind, day, count in database.rows(query)}


def _per_day(kind: str, first: date, end: date, tenant_id: str) -> Select[Any, Any, Any]:
    if kind == "views":
        day = item_views.c.viewed_date_utc
        period = [day >= first.isoformat(), day < end.isoformat()]
        counts = select(literal(kind), day, func.count())
        return counts.where(item_views.c.tenant_id == tenant_id, *period).group_by(day)
    columns = {"votes": votes, "comments": comments, "sign_ups": users}[kind].c
    day_cut = day_of(columns.created_at)
    conditions = [columns.created_at >= midnight(first), columns.created_at < midnight(end)]
    if "deleted_at" in columns:
        conditions.append(columns.deleted_at.is_(None))
    counted: Select[Any, Any, Any] = select(literal(kind), day_name(day_cut), func.count())
    return counted.where(columns.tenant_id == tenant_id, *conditions).group_by(day_cut)


# Top items


class RankedItem(NamedTuple):
    """An item with its counts."""

    item_id: str
    votes: int
    views: int
    comments: int


def top_items(database: Database, content: Path) -> Results:
    """The 10, 20 and 50 items with the most votes, up or down; equal ones by item id."""
    ranked = ranking(database, max(TOP_ITEMS.windows))
    items = read_items(content, (row.item_id for row in ranked))
    entries = [
        {
            "name": items[row.item_id].name,
            "views": row.views,
            "votes": row.votes,
            "category": items[row.item_id].category,
        }
        for row in ranked
    ]
    return {TOP_ITEMS.key(window): entries[:window] for window in TOP_ITEMS.windows}


def ranking(
    database: Database, most: int, period: tuple[datetime, datetime] | None = None
) -> list[RankedItem]:
    """The items with the most votes, of all time or of a period (end excluded)."""
    tenant_id, count = database.tenant_id, func.count().label("votes")
    voted = select(votes.c.item_id, count).where(votes.c.tenant_id == tenant_id).group_by(votes.c.item_id)
    best = voted.order_by(count.desc(), bytewise(votes.c.item_id)).limit(most)
    if period is not None:
        best = best.where(votes.c.created_at >= period[0], votes.c.created_at < period[1])
    top = best.cte("top")
    views = select(func.count()).where(
        item_views.c.item_id == top.c.item_id, item_views.c.tenant_id == tenant_id
    )
    remarks = select(func.count()).where(
        comments.c.item_id == top.c.item_id,
        comments.c.tenant_id == tenant_id,
        comments.c.deleted_at.is_(None),
    )
    if period is not None:
        days = [instant.date().isoformat() for instant in period]
        views = views.where(item_views.c.viewed_date_utc >= days[0], item_views.c.viewed_date_utc < days[1])
        remarks = remarks.where(comments.c.created_at >= period[0], comments.c.created_at < period[1])
    query = select(top.c.item_id, top.c.votes, views.scalar_subquery(), remarks.scalar_subquery())
    ordered = query.order_by(top.c.votes.desc(), bytewise(top.c.item_id))
    return [RankedItem(*row) for row in database.rows(ordered)]


# Recent activity


class UserEvent(NamedTuple):
    """Something a user did. ``item_id`` is empty for a sign-up."""

    kind: str
    at: datetime
    id: str
    item_id: str
    user: str


def recent_activity(database: Database, content: Path) -> Results:
    """The newest 10 and 20 sign-ups, comments and votes. Users are shown by name, never by mail address."""
    events = _newest_events(database, max(RECENT_ACTIVITY.windows))
    items = read_items(content, {event.item_id for event in events if event.item_id})
    entries = [_entry(event, items[event.item_id].name if event.item_id else "") for event in events]
    return {RECENT_ACTIVITY.key(window): entries[:window] for window in RECENT_ACTIVITY.windows}


def _newest_events(database: Database, most: int) -> list[UserEvent]:
    """Newest first; equal ones by kind and id."""
    tenant_id, profiles = database.tenant_id, client_profiles.c
    queries = [
        (users, _newest_rows(users, users.c.id, profiles.user_id, tenant_id, most)),
        (comments, _newest_rows(comments, comments.c.client_id, profiles.id, tenant_id, most)),
        (votes, _newest_rows(votes, votes.c.client_id, profiles.id, tenant_id, most)),
    ]

    def read(connection: Connection) -> list[UserEvent]:
        return [_event(table, row) for table, query in queries for row in connection.execute(query)]

    found = sorted(database.read(read), key=lambda event: (event.kind, event.id))
    return sorted(found, key=lambda event: event.at, reverse=True)[:most]


def _newest_rows(
    table: Table, who: Column[str], profile: Column[str], tenant_id: str, most: int
) -> Select[Any]:
    """The newest rows that are not deleted, limited before the join, and only the columns that are shown.

    Otherwise the database joins and sorts the whole table.
    """
    shown = [table.c[name] for name in ("id", "created_at", "item_id", "vote_type") if name in table.c]
    conditions = [table.c.tenant_id == tenant_id]
    if "deleted_at" in table.c:
        conditions.append(table.c.deleted_at.is_(None))
    rows = (
        select(*shown, who.label("who"))
        .where(*conditions)
        .order_by(table.c.created_at.desc(), bytewise(table.c.id))
        .limit(most)
        .subquery()
    )
    names = client_profiles.c.display_name, client_profiles.c.name.label("profile_name")
    return select(rows, *names).outerjoin(client_profiles, profile == rows.c.who)


def _event(table: Table, row: Row[Any]) -> UserEvent:
    kind = {"users": "user_signup", "comments": "comment"}.get(table.name) or row.vote_type
    item_id = "" if table is users else row.item_id
    return UserEvent(kind, row.created_at, row.id, item_id, _public_name(row.display_name, row.profile_name))


def _entry(event: UserEvent, item: str) -> dict[str, Any]:
    descriptions = {
        "user_signup": "Joined",
        "comment": f"Commented on {item}",
        "upvote": f"Voted for {item}",
        "downvote": f"Voted against {item}",
    }
    return {
        "type": "vote" if event.kind.endswith("vote") else event.kind,
        "description": descriptions.get(event.kind, f"Voted on {item}"),
        "timestamp": iso(event.at),
        "user": event.user,
    }


def _public_name(*names: str | None) -> str:
    """The first name that has no ``@``: a mail address is never shown."""
    for name in names:
        line = " ".join((name or "").split())
        if line and "@" not in line:
            return line
    return ANONYMOUS


# Performance metrics


def performance(database: Database, counters: Mapping[str, int]) -> Results:
    """Counts since the last cleanup, and the state of the database now. Times are in milliseconds.

    ``cacheHitRate`` is from 0 to 1, None without requests; ``totalQueries`` are answers from the cache and the
    database, ``cachedQueries`` those from the cache; ``connectionsInUse`` is None on SQLite.
    """
    hits, misses = counters.get(HITS, 0), counters.get(MISSES, 0)
    queries = counters.get(QUERIES, 0)
    value = {
        "cacheHitRate": round(hits / (hits + misses), 4) if hits + misses else None,
        "totalQueries": hits + queries,
        "cachedQueries": hits,
        "averageQueryTime": round(counters.get(QUERY_US, 0) / queries / 1000, 3) if queries else None,
        "databaseRoundTrip": round(database.round_trip().total_seconds() * 1000, 3),
        "connectionsInUse": None if database.is_sqlite else int(database.rows(_CONNECTIONS)[0][0]),
    }
    return {PERFORMANCE.prefix: value}
