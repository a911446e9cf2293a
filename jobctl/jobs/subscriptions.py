"""What the two subscription jobs share: subscriptions with their users, and rows of their history."""

import json
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select

from jobctl.clock import iso
from jobctl.site.database.session import Database
from jobctl.site.database.tables import client_profiles, subscriptions, users

NAMELESS = "Valued Customer"


class Subscription(NamedTuple):
    """A subscription and its user. ``amount`` is in whole units of the currency; times are in UTC."""

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
        """The idempotency key of a mail about it: different for each end date."""
        return f"{kind}/{tenant_id}/{self.id}/{self.end:%Y%m%dT%H%M%S}"

    def facts(self) -> dict[str, Any]:
        """The variables of the mail templates."""
        same = ("name", "plan", "amount", "currency", "interval", "interval_count")
        values = {name: getattr(self, name) for name in same}
        return {**values, "date": self.end, "subscription_id": self.reference}

    def history_row(
        self, tenant_id: str, action: str, at: datetime, reason: str, *, status: str, plan: str, **more: Any
    ) -> dict[str, Any]:
        """A row of the site's subscription history: an active subscription got this status and plan."""
        metadata = {"source": "jobctl", "endDate": iso(self.end), **more}
        return {
            "id": str(uuid4()),
            "subscription_id": self.id,
            "action": action,
            "previous_status": "active",
            "new_status": status,
            "previous_plan": self.plan,
            "new_plan": plan,
            "reason": reason,
            "metadata": json.dumps(metadata),
            "created_at": at,
            "tenant_id": tenant_id,
        }


def with_users() -> Select[Any]:
    """The query of subscriptions with their users' addresses and names; a deleted user has neither."""
    table, profile = subscriptions, client_profiles
    return (
        select(
            table.c.id, table.c.user_id, table.c.plan_id, table.c.end_date, table.c.subscription_id,
            table.c.amount, table.c.currency, table.c.interval, table.c.interval_count, table.c.auto_renewal,
            table.c.renewal_reminder_sent, table.c.updated_at,
            users.c.email, profile.c.email.label("profile_email"), profile.c.display_name,
            profile.c.name.label("profile_name"),
        )
        .outerjoin(users, (users.c.id == table.c.user_id) & users.c.deleted_at.is_(None))
        .outerjoin(profile, profile.c.user_id == users.c.id)
    )  # fmt: skip


def subscription_pages(
    database: Database, condition: ColumnElement[bool], size: int
) -> Iterator[list[Subscription]]:
    """Subscriptions by end date, in pages; each page begins after the last row of the page before.

    So rows that stop matching in between move no others, and a row that still matches is not read twice.
    """
    table = subscriptions.c
    query = with_users().where(condition).order_by(table.end_date, table.id).limit(size)
    page_query = query
    while page := database.read(partial(fetch, query=page_query)):
        yield page
        end, last = page[-1].end, page[-1].id
        page_query = query.where(or_(table.end_date > end, and_(table.end_date == end, table.id > last)))


def fetch(connection: Connection, query: Select[Any]) -> list[Subscription]:
    """The result of a query made from ``with_users``."""
    return [_subscription(row) for row in connection.execute(query)]


def new_mark(now: datetime) -> datetime:
    """A value of ``updated_at`` for one claim, unique on all machines: a random moment within this second."""
    return now + timedelta(microseconds=secrets.randbelow(1_000_000))


def _subscription(row: Row[Any]) -> Subscription:
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
        name=name or NAMELESS,
        reminder_flag=row.renewal_reminder_sent is True,
        changed=row.updated_at,
    )
