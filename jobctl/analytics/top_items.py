"""Top items: those with the most votes, with their views, as the content folder names them."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Select, func, select

from jobctl.analytics.results import TOP_ITEMS, Results
from jobctl.content.items import read_items
from jobctl.database.columns import bytewise
from jobctl.database.session import Database
from jobctl.database.tables import comments, item_views, votes


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
