"""What goes on in the sample site while it runs: visitors come by, an editor edits."""

import os
from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import Connection, func, insert, select

from jobctl.clock import SystemClock
from jobctl.demo import data
from jobctl.demo.data import EDITS, ITEMS, REMARKS, edit
from jobctl.demo.make import SEED
from jobctl.project import ProjectContext
from jobctl.site.database import tables
from jobctl.site.database.session import Database


def visitors() -> str:
    """A handful of visits; somebody signs up, votes, comments, subscribes."""
    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    now = SystemClock().now()

    def come(connection: Connection) -> str:
        known = connection.execute(select(func.count()).select_from(tables.users)).scalar_one()
        seen = connection.execute(select(func.count()).select_from(tables.item_views)).scalar_one()
        chance = _chance(seen)
        views = chance.randint(3, 12)
        for number in range(seen + 1, seen + views + 1):
            connection.execute(
                insert(tables.item_views).values(
                    id=f"view-{number}", item_id=data.favourite(chance), viewer_id=f"viewer-{number}",
                    viewed_date_utc=f"{now:%Y-%m-%d}", viewed_at=now, tenant_id=data.TENANT,
                )
            )  # fmt: skip
        user, profile = data.person(chance, known + 1, now)
        connection.execute(insert(tables.users).values(**user))
        connection.execute(insert(tables.client_profiles).values(**profile))
        who = {"client_id": profile["id"], "item_id": data.favourite(chance), "created_at": now}
        who["tenant_id"] = data.TENANT
        connection.execute(insert(tables.votes).values(id=f"vote-of-{user['id']}", vote_type="upvote", **who))
        if chance.random() < 0.4:
            remark = chance.choice(REMARKS)
            connection.execute(
                insert(tables.comments).values(id=f"comment-of-{user['id']}", content=remark, rating=5, **who)
            )
        if chance.random() < 0.2:
            end = now + timedelta(days=chance.randint(1, 6))
            connection.execute(
                insert(tables.subscriptions).values(**data.subscription(chance, known + 1, user["id"], end))
            )
        return f"{profile['name']} signed up, {views} views"

    message = database.transact(come)
    print(message)
    return message


def editor() -> str:
    """One commit to the content repository."""
    project = ProjectContext.of_worker()
    repository = Path(project.environment.text("DATA_REPOSITORY") or "content.git")
    now = SystemClock().now()
    chance = _chance(int(now.timestamp()))
    slug, name, _ = chance.choice(ITEMS)
    message = f"{name}: {chance.choice(EDITS)}"
    commit = edit(project.folder / repository, slug, f"updated_at: {now:%Y-%m-%d %H:%M:%S}", message, now)
    print(f"{commit[:8]} {message}")
    return message


def _chance(number: int) -> Random:
    """The same seed and number, the same luck."""
    return Random(f"{os.environ.get('JOBCTL_DEMO_SEED', SEED)}-{number}")
