"""The figures of a report: a period of the site, each beside the period before."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    exists,
    func,
    null,
    select,
    tuple_,
    union,
)

from jobctl.site.analytics.queries import daily_counts, ranking
from jobctl.site.content.items import read_items
from jobctl.site.database.session import Database
from jobctl.site.database.tables import (
    activity_logs,
    client_profiles,
    comments,
    item_views,
    subscription_history,
    subscriptions,
    users,
    votes,
)
from jobctl.site.reports.periods import Period, PeriodKind

TOP = 10
CONTEXT_DAYS = 14
PAID = "payment_succeeded"
"""The action that the site's webhooks record for each payment, also the first of a subscription."""
_SERIES = ("sign_ups", "votes", "comments", "views")


def figures(database: Database, content: Path, period: Period) -> dict[str, Any]:
    """All figures of a period, as JSON values; amounts in whole units of their currency.

    ``subscriptions`` are as they are now; the rest is of the period. An active user voted, commented or
    has an entry in the activity log. A renewal is a payment that is not the first of its subscription.
    Revenue is the price of the subscriptions that started, and the payments for renewals.
    """
    periods = {
        "now": _Conditions(database.tenant_id, period),
        "before": _Conditions(database.tenant_id, period.before()),
    }

    def read(connection: Connection) -> dict[str, Any]:
        counts = {
            when: {name: int(connection.execute(query).scalar_one()) for name, query in rows.counts().items()}
            for when, rows in periods.items()
        }
        found = {name: {when: counts[when][name] for when in periods} for name in counts["now"]}
        return {"figures": found, "revenue": _revenue(connection, periods)}

    return {
        **database.read(read),
        "series": _series(database, period),
        "top_items": _top_items(database, content, period),
        "subscriptions": _current_subscriptions(database),
    }


class _Conditions:
    """The conditions for the rows of a tenant and period, by kind."""

    def __init__(self, tenant_id: str, period: Period) -> None:
        self._tenant_id = tenant_id
        self._period = period
        history, sold = subscription_history, subscriptions
        self.sign_ups = self._within(users, users.c.created_at, users.c.deleted_at.is_(None))
        self.votes = self._within(votes, votes.c.created_at)
        self.comments = self._within(comments, comments.c.created_at, comments.c.deleted_at.is_(None))
        self.log = self._within(activity_logs, activity_logs.c.timestamp)
        self.views = [
            item_views.c.tenant_id == tenant_id,
            item_views.c.viewed_date_utc >= period.first.isoformat(),
            item_views.c.viewed_date_utc < period.end.isoformat(),
        ]
        self.started = self._within(sold, sold.c.start_date, sold.c.status != "pending")
        self.cancelled = self._within(sold, sold.c.cancelled_at)
        earlier = history.alias()
        is_renewal = exists().where(
            earlier.c.subscription_id == history.c.subscription_id,
            earlier.c.action == PAID,
            tuple_(earlier.c.created_at, earlier.c.id) < tuple_(history.c.created_at, history.c.id),
        )
        self.renewed = self._within(history, history.c.created_at, history.c.action == PAID, is_renewal)
        self.expired = self._within(history, history.c.created_at, history.c.action == "subscription_expired")

    def _within(
        self, table: Table, instant: Column[Any], *more: ColumnElement[bool]
    ) -> list[ColumnElement[bool]]:
        start, end = self._period.start_instant, self._period.end_instant
        return [table.c.tenant_id == self._tenant_id, instant >= start, instant < end, *more]

    def counts(self) -> dict[str, Select[int]]:
        """A query for each figure, in the order in which they are shown."""
        kinds = {
            "votes": self.votes, "comments": self.comments, "views": self.views, "started": self.started,
            "renewed": self.renewed, "expired": self.expired, "cancelled": self.cancelled,
        }  # fmt: skip
        count = select(func.count())
        counted = {name: count.where(*conditions) for name, conditions in kinds.items()}
        return {"sign_ups": count.where(*self.sign_ups), "active_users": self._active_users(), **counted}

    def _active_users(self) -> Select[int]:
        """Users with votes, comments or log entries by their profiles, or log entries of their own."""
        profile = client_profiles.c
        actions = ((votes, self.votes), (comments, self.comments), (activity_logs, self.log))
        by_profile = [
            select(profile.user_id)
            .join_from(table, client_profiles, profile.id == table.c.client_id)
            .where(*conditions)
            for table, conditions in actions
        ]
        user_id = activity_logs.c.user_id
        active = union(*by_profile, select(user_id).where(*self.log, user_id.is_not(None))).subquery()
        return select(func.count()).select_from(active)

    def sales(self) -> list[Select[Any, Any, Any]]:
        """Subscriptions that started or renewed: currency and amount, and the payment as JSON."""
        sold, history = subscriptions, subscription_history
        price = sold.c.currency, sold.c.amount
        renewed = select(*price, history.c.metadata).join_from(
            history, sold, sold.c.id == history.c.subscription_id
        )
        return [
            select(*price, null()).where(*self.started, sold.c.plan_id != "free"),
            renewed.where(*self.renewed),
        ]


def _revenue(connection: Connection, periods: dict[str, _Conditions]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Decimal]] = {}
    for when, rows in periods.items():
        for query in rows.sales():
            for currency, amount, payment in connection.execute(query):
                paid = _payment(payment)
                code = (paid.get("currency") or currency or "usd").lower()
                row = sums.setdefault(code, dict.fromkeys(periods, Decimal()))
                row[when] += Decimal(str(paid.get("amount") or amount or 0))
    return [
        {"currency": code, **{when: _number(amount) for when, amount in row.items()}}
        for code, row in sorted(sums.items())
        if any(row.values())
    ]


def _payment(metadata: str | None) -> dict[str, Any]:
    """The amount and currency that a webhook recorded, if they are usable."""
    try:
        found = json.loads(metadata or "{}", parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    kinds: dict[str, tuple[type, ...]] = {"amount": (int, float), "currency": (str,)}
    return {name: found[name] for name, kind in kinds.items() if type(found.get(name)) in kind}


def _number(amount: Decimal) -> int | float:
    return int(amount) if amount == int(amount) else float(amount)


def _series(database: Database, period: Period) -> dict[str, Any]:
    """Values per day; a single day is shown with the two weeks before it."""
    days = period.days
    if period.kind is PeriodKind.DAY:
        days = [period.first - timedelta(days=back) for back in range(CONTEXT_DAYS)][::-1]
    labels = [day.isoformat() for day in days]
    found = daily_counts(database, _SERIES, days[0], period.end)
    counts = {kind: [found.get((kind, day), 0) for day in labels] for kind in _SERIES}
    return {"unit": "day", "labels": labels, **counts}


def _top_items(database: Database, content: Path, period: Period) -> list[dict[str, Any]]:
    ranked = ranking(database, TOP, (period.start_instant, period.end_instant))
    items = read_items(content, (row.item_id for row in ranked))
    return [
        {
            "item_id": row.item_id,
            "name": items[row.item_id].name,
            "category": items[row.item_id].category,
            "tags": list(items[row.item_id].tags),
            "votes": row.votes,
            "views": row.views,
            "comments": row.comments,
        }
        for row in ranked
    ]


def _current_subscriptions(database: Database) -> list[dict[str, Any]]:
    table = subscriptions.c
    query = (
        select(table.plan_id, table.status, func.count())
        .where(table.tenant_id == database.tenant_id)
        .group_by(table.plan_id, table.status)
        .order_by(table.plan_id, table.status)
    )
    return [{"plan": plan, "status": status, "count": count} for plan, status, count in database.rows(query)]
