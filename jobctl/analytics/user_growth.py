"""User growth: sign-ups a month, and how many users there were by its end."""

from itertools import accumulate

from sqlalchemy import func, select

from jobctl.analytics.results import USER_GROWTH, Results
from jobctl.database.columns import month_of, month_text
from jobctl.database.session import Database
from jobctl.database.tables import users
from jobctl.dates import short_month


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
