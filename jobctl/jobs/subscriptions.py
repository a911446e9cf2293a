"""Subscriptions as the two subscription jobs look at them: rows with whom to write to."""

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select

from jobctl.site.database.session import Database
from jobctl.site.database.tables import client_profiles, subscriptions, users

SOMEONE = "Valued Customer"


class Subscription(NamedTuple):
    """One subscription and its user. ``amount`` is in whole units of the currency; times are in UTC."""

    id: str
    user_id: str
    plan: str
    end: datetime
    reference: str
    amount: int | None
    currency: str
    interval: str
    interval_count: int
    auto_renewal: bool
    address: str
    name: str
    reminder_flag: bool
    changed: datetime

    def key(self, kind: str, tenant_id: str) -> str:
        """The idempotency key of a mail about it: another one for each end date."""
        return f"{kind}/{tenant_id}/{self.id}/{self.end:%Y%m%dT%H%M%S}"

    def facts(self) -> dict[str, Any]:
        """What mails say of it."""
        return {
            "name": self.name,
            "plan": self.plan,
            "amount": self.amount,
            "currency": self.currency,
            "interval": self.interval,
            "interval_count": self.interval_count,
            "date": self.end,
            "subscription_id": self.reference,
        }


def with_users() -> Select[Any]:
    """Subscriptions, each with its user's address and name; a deleted user has neither."""
    table = subscriptions
    alive = users.c.deleted_at.is_(None)
    profile = client_profiles
    return (
        select(
            table.c.id, table.c.user_id, table.c.plan_id, table.c.end_date, table.c.subscription_id,
            table.c.amount, table.c.currency, table.c.interval, table.c.interval_count, table.c.auto_renewal,
            table.c.renewal_reminder_sent, table.c.updated_at,
            users.c.email, profile.c.email.label("profile_email"), profile.c.display_name,
            profile.c.name.label("profile_name"),
        )
        .outerjoin(users, (users.c.id == table.c.user_id) & alive)
        .outerjoin(profile, profile.c.user_id == users.c.id)
    )  # fmt: skip


def pages(database: Database, condition: ColumnElement[bool], size: int) -> Iterator[list[Subscription]]:
    """Subscriptions by end date, a page at a time: each begins behind the last row of the one before.

    So rows that leave the condition meanwhile move none of the others, and one that stays is not met twice.
    """
    table = subscriptions.c
    query = with_users().where(condition).order_by(table.end_date, table.id).limit(size)
    behind = query
    while page := found(database, behind):
        yield page
        end, last = page[-1].end, page[-1].id
        behind = query.where(or_(table.end_date > end, and_(table.end_date == end, table.id > last)))


def found(database: Database, query: Select[Any]) -> list[Subscription]:
    """What a query made ``with_users`` finds."""
    rows = database.read(lambda connection: connection.execute(query).all())
    return [subscription_of(row) for row in rows]


def new_mark(now: datetime) -> datetime:
    """A value for ``updated_at`` that no other claim has, on whichever machine: a moment within this second."""
    return now + timedelta(microseconds=secrets.randbelow(1_000_000))


def subscription_of(row: Row[Any]) -> Subscription:
    """A row of ``with_users``."""
    name = " ".join((row.display_name or row.profile_name or "").split())
    return Subscription(
        id=row.id,
        user_id=row.user_id,
        plan=row.plan_id,
        end=row.end_date,
        reference=row.subscription_id or row.id,
        amount=row.amount,
        currency=row.currency or "usd",
        interval=row.interval or "month",
        interval_count=row.interval_count or 1,
        auto_renewal=row.auto_renewal is not False,
        address=(row.email or row.profile_email or "").strip(),
        name=name or SOMEONE,
        reminder_flag=row.renewal_reminder_sent is True,
        changed=row.updated_at,
    )
