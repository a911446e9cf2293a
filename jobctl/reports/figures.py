"""The figures of a report: a period of the site, each beside the period before."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, union

from jobctl.analytics.activity_trends import daily_counts, midnight
from jobctl.analytics.top_items import ranking
from jobctl.content.items import read_items
from jobctl.database.columns import day_name, day_of
from jobctl.database.session import Database
from jobctl.database.tables import (
    activity_logs,
    client_profiles,
    comments,
    item_views,
    subscription_history,
    subscriptions,
    users,
    votes,
)
from jobctl.reports.periods import Kind, Period

TOP = 10
CONTEXT_DAYS = 14
RENEWED = ("renewal_succeeded", "subscription_renewed")


def figures(database: Database, content: Path, period: Period) -> dict[str, Any]:
    """Everything that a report says of a period, as JSON values; amounts in cents.

    ``subscriptions`` are as they stand now; the rest is of the period. An active user voted, commented or
    has an entry in the activity log. Revenue is what subscriptions cost that started or renewed.
    """
    before = period.before()
    tenant_id = database.tenant_id
    counts = _counts(tenant_id)

    def look(connection: Connection) -> dict[str, Any]:
        found = {
            name: {"now": _one(connection, query, period), "before": _one(connection, query, before)}
            for name, query in counts.items()
        }
        return {"figures": found, "revenue": _revenue(connection, tenant_id, period, before)}

    return {
        **database.read(look),
        "series": _series(database, period),
        "top_items": _top(database, content, period),
        "subscriptions": _standing(database),
    }


class _Counted:
    """A count of rows with an instant, or a day, in a period."""

    def __init__(self, instant: Any, *conditions: ColumnElement[bool], what: Any = None) -> None:
        self.instant = instant
        self.conditions = conditions
        self.what = func.count() if what is None else what

    def within(self, period: Period) -> list[ColumnElement[bool]]:
        """The conditions for one period."""
        if self.instant is item_views.c.viewed_date_utc:
            first, end = period.first.isoformat(), period.end.isoformat()
            return [self.instant >= first, self.instant < end, *self.conditions]
        return [
            self.instant >= period.start_instant,
            self.instant < period.end_instant,
            *self.conditions,
        ]


def _counts(tenant_id: str) -> dict[str, Any]:
    history, sold = subscription_history.c, subscriptions.c
    return {
        "sign_ups": _Counted(
            users.c.created_at, users.c.tenant_id == tenant_id, users.c.deleted_at.is_(None)
        ),
        "active_users": lambda period: _active(tenant_id, period),
        "votes": _Counted(votes.c.created_at, votes.c.tenant_id == tenant_id),
        "comments": _Counted(
            comments.c.created_at, comments.c.tenant_id == tenant_id, comments.c.deleted_at.is_(None)
        ),
        "views": _Counted(item_views.c.viewed_date_utc, item_views.c.tenant_id == tenant_id),
        "started": _Counted(sold.start_date, sold.tenant_id == tenant_id, sold.status != "pending"),
        "renewed": _Counted(history.created_at, history.tenant_id == tenant_id, history.action.in_(RENEWED)),
        "expired": _Counted(
            history.created_at, history.tenant_id == tenant_id, history.action == "subscription_expired"
        ),
        "cancelled": _Counted(sold.cancelled_at, sold.tenant_id == tenant_id),
    }


def _one(connection: Connection, counted: Any, period: Period) -> int:
    query = (
        select(counted.what).where(*counted.within(period))
        if isinstance(counted, _Counted)
        else counted(period)
    )
    return int(connection.execute(query).scalar_one())


def _active(tenant_id: str, period: Period) -> Select[int]:
    profile, log = client_profiles.c, activity_logs.c
    voted = _Counted(votes.c.created_at, votes.c.tenant_id == tenant_id).within(period)
    said = _Counted(
        comments.c.created_at, comments.c.tenant_id == tenant_id, comments.c.deleted_at.is_(None)
    ).within(period)
    logged = _Counted(log.timestamp, log.tenant_id == tenant_id).within(period)
    by_profile = [
        select(profile.user_id).join_from(votes, client_profiles, profile.id == votes.c.client_id).where(*voted),
        select(profile.user_id).join_from(comments, client_profiles, profile.id == comments.c.client_id).where(*said),
        select(profile.user_id).join_from(activity_logs, client_profiles, profile.id == log.client_id).where(*logged),
    ]  # fmt: skip
    by_user = select(log.user_id).where(*logged, log.user_id.is_not(None))
    who = union(*by_profile, by_user).subquery()
    return select(func.count()).select_from(who)


def _revenue(connection: Connection, tenant_id: str, period: Period, before: Period) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, int]] = {}
    for name, one in (("now", period), ("before", before)):
        for query in _sales(tenant_id, one):
            for currency, amount in connection.execute(query):
                row = sums.setdefault((currency or "usd").lower(), {"now": 0, "before": 0})
                row[name] += int(amount or 0)
    return [{"currency": one, **sums[one]} for one in sorted(sums) if any(sums[one].values())]


def _sales(tenant_id: str, period: Period) -> list[Select[Any, Any]]:
    sold, history = subscriptions.c, subscription_history.c
    paid = sold.plan_id != "free", sold.amount > 0
    started = _Counted(sold.start_date, sold.tenant_id == tenant_id, sold.status != "pending").within(period)
    renewed = _Counted(
        history.created_at, history.tenant_id == tenant_id, history.action.in_(RENEWED)
    ).within(period)
    total = func.sum(sold.amount)
    return [
        select(sold.currency, total).where(*started, *paid).group_by(sold.currency),
        select(sold.currency, total)
        .join_from(subscription_history, subscriptions, sold.id == history.subscription_id)
        .where(*renewed, *paid)
        .group_by(sold.currency),
    ]


def _series(database: Database, period: Period) -> dict[str, Any]:
    """A value a day; a day alone says little, so it is shown with the two weeks that lead to it."""
    days = period.days
    if period.kind is Kind.DAY:
        days = [period.first - timedelta(days=back) for back in range(CONTEXT_DAYS)][::-1]
    found = daily_counts(database, days[0], period.end)
    joined = _sign_ups(database, days[0], period.end)
    series = {
        kind: [found.get((kind, day.isoformat()), 0) for day in days]
        for kind in ("votes", "comments", "views")
    }
    return {
        "unit": "day",
        "labels": [day.isoformat() for day in days],
        "sign_ups": [joined.get(day.isoformat(), 0) for day in days],
        **series,
    }


def _sign_ups(database: Database, first: date, end: date) -> dict[str, int]:
    day = day_of(users.c.created_at)
    query = (
        select(day_name(day), func.count())
        .where(
            users.c.tenant_id == database.tenant_id,
            users.c.deleted_at.is_(None),
            users.c.created_at >= midnight(first),
            users.c.created_at < midnight(end),
        )
        .group_by(day)
    )
    rows = database.read(lambda connection: connection.execute(query).all())
    return {name: count for name, count in rows}  # noqa: C416 - rows are no pairs to mypy


def _top(database: Database, content: Path, period: Period) -> list[dict[str, Any]]:
    ranked = ranking(database, TOP, (period.start_instant, period.end_instant))
    items = read_items(content, (one.item_id for one in ranked))
    return [
        {
            "item_id": one.item_id,
            "name": items[one.item_id].name,
            "category": items[one.item_id].category,
            "votes": one.votes,
            "views": one.views,
            "comments": one.comments,
        }
        for one in ranked
    ]


def _standing(database: Database) -> list[dict[str, Any]]:
    table = subscriptions.c
    query = (
        select(table.plan_id, table.status, func.count())
        .where(table.tenant_id == database.tenant_id)
        .group_by(table.plan_id, table.status)
        .order_by(table.plan_id, table.status)
    )
    rows = database.read(lambda connection: connection.execute(query).all())
    return [{"plan": plan, "status": status, "count": count} for plan, status, count in rows]
