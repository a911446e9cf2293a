"""The figures of a report: a period of the site, each beside the period before."""

import json
from datetime import date, timedelta
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
    day_name,
    day_of,
    item_views,
    subscription_history,
    subscriptions,
    users,
    votes,
)
from jobctl.site.reports.periods import Kind, Period
from jobctl.site.wording import midnight

TOP = 10
CONTEXT_DAYS = 14
PAID = "payment_succeeded"
"""What the site's webhooks write for each payment, the first of a subscription included."""


def figures(database: Database, content: Path, period: Period) -> dict[str, Any]:
    """Everything that a report says of a period, as JSON values; amounts in whole units of their currency.

    ``subscriptions`` are as they stand now; the rest is of the period. An active user voted, commented or
    has an entry in the activity log. A renewal is a payment that is not the first one of its subscription.
    Revenue is what subscriptions cost that started, and what was paid for renewals.
    """
    before = period.before()
    own = {"now": _Rows(database.tenant_id, period), "before": _Rows(database.tenant_id, before)}

    def look(connection: Connection) -> dict[str, Any]:
        counts = {
            when: {name: int(connection.execute(query).scalar_one()) for name, query in rows.counts().items()}
            for when, rows in own.items()
        }
        found = {name: {when: counts[when][name] for when in own} for name in counts["now"]}
        return {"figures": found, "revenue": _revenue(connection, own)}

    return {
        **database.read(look),
        "series": _series(database, period),
        "top_items": _top(database, content, period),
        "subscriptions": _standing(database),
    }


class _Rows:
    """The conditions for the rows of one tenant and period, kind by kind."""

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
        return {"sign_ups": count.where(*self.sign_ups), "active_users": self._active(), **counted}

    def _active(self) -> Select[int]:
        """Users by their profiles' votes, comments and entries in the log, or by entries of their own."""
        profile = client_profiles.c
        acts = ((votes, self.votes), (comments, self.comments), (activity_logs, self.log))
        by_profile = [
            select(profile.user_id)
            .join_from(table, client_profiles, profile.id == table.c.client_id)
            .where(*conditions)
            for table, conditions in acts
        ]
        own = activity_logs.c.user_id
        who = union(*by_profile, select(own).where(*self.log, own.is_not(None))).subquery()
        return select(func.count()).select_from(who)

    def sales(self) -> list[Select[Any, Any, Any]]:
        """What was started and renewed: the subscription's currency and amount, and the payment's own as JSON."""
        sold, history = subscriptions, subscription_history
        price = sold.c.currency, sold.c.amount
        renewed = select(*price, history.c.metadata).join_from(
            history, sold, sold.c.id == history.c.subscription_id
        )
        return [
            select(*price, null()).where(*self.started, sold.c.plan_id != "free"),
            renewed.where(*self.renewed),
        ]


def _revenue(connection: Connection, own: dict[str, _Rows]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Decimal]] = {}
    for when, rows in own.items():
        for query in rows.sales():
            for currency, amount, payment in connection.execute(query):
                paid = _paid(payment)
                row = sums.setdefault(
                    (paid.get("currency") or currency or "usd").lower(), dict.fromkeys(own, Decimal())
                )
                row[when] += Decimal(str(paid.get("amount") or amount or 0))
    return [
        {"currency": one, **{when: _plain(amount) for when, amount in sums[one].items()}}
        for one in sorted(sums)
        if any(sums[one].values())
    ]


def _paid(payment: str | None) -> dict[str, Any]:
    """The amount and currency that a webhook noted with a payment, as far as they can be used."""
    try:
        noted = json.loads(payment or "{}", parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return {}
    kinds: dict[str, tuple[type, ...]] = {"amount": (int, float), "currency": (str,)}
    return (
        {name: noted[name] for name, kind in kinds.items() if type(noted.get(name)) in kind}
        if isinstance(noted, dict)
        else {}
    )


def _plain(amount: Decimal) -> int | float:
    return int(amount) if amount == int(amount) else float(amount)


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
            "tags": list(items[one.item_id].tags),
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
