"""Activity trends: views, votes and comments a day, empty days too."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all

from jobctl.analytics.results import ACTIVITY_TRENDS, Results
from jobctl.database.columns import day_name, day_of
from jobctl.database.session import Database
from jobctl.database.tables import comments, item_views, votes
from jobctl.dates import midnight, short_day

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
