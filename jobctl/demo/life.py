"""The jobs of the sample site that play its visitors and its editor. Do not rename them: existing sample sites refer to them."""

import os
from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import Connection, func, insert, select

from jobctl.clock import SystemClock
from jobctl.demo.create import SEED
from jobctl.demo.data import EDITS, ITEMS, REMARKS, TENANT, edit_item, favourite, person, subscription, view
from jobctl.project import ProjectContext
from jobctl.site.database import tables
from jobctl.site.database.session import Database


def visitors() -> str:
    """Add some views and a user who votes, and sometimes comments and subscribes."""
    project = ProjectContext.of_worker()
    now = SystemClock().now()

    def visit(connection: Connection) -> str:
        users = connection.execute(select(func.count()).select_from(tables.users)).scalar_one()
        seen = connection.execute(select(func.count()).select_from(tables.item_views)).scalar_one()
        random = _random(seen)
        views = random.randint(3, 12)
        numbers = range(seen + 1, seen + views + 1)
        rows = [view(number, favourite(random), now) for number in numbers]
        connection.execute(insert(tables.item_views), rows)
        user, profile = person(random, users + 1, now)
        connection.execute(insert(tables.users).values(**user))
        connection.execute(insert(tables.client_profiles).values(**profile))
        common = {"client_id": profile["id"], "item_id": favourite(random), "created_at": now}
        common["tenant_id"] = TENANT
        vote = {"id": f"vote-of-{user['id']}", "vote_type": "upvote", **common}
        connection.execute(insert(tables.votes).values(**vote))
        if random.random() < 0.4:
            remark = {"id": f"comment-of-{user['id']}", "content": random.choice(REMARKS), "rating": 5}
            connection.execute(insert(tables.comments).values(**remark, **common))
        if random.random() < 0.2:
            end = now + timedelta(days=random.randint(1, 6))
            row = subscription(random, users + 1, user["id"], end)
            connection.execute(insert(tables.subscriptions).values(**row))
        return f"{profile['name']} signed up, {views} views"

    message = Database.open(project.environment, project.folder).transact(visit)
    print(message)
    return message


def editor() -> str:
    """Commit a change to the content repository."""
    project = ProjectContext.of_worker()
    repository = project.folder / Path(project.environment.text("DATA_REPOSITORY") or "content.git")
    now = SystemClock().now()
    random = _random(int(now.timestamp()))
    slug, name, _ = random.choice(ITEMS)
    message = f"{name}: {random.choice(EDITS)}"
    commit = edit_item(repository, slug, f"updated_at: {now:%Y-%m-%d %H:%M:%S}", message, now)
    print(f"{commit[:8]} {message}")
    return message


def _random(number: int) -> Random:
    """The same for the same seed and number."""
    return Random(f"{os.environ.get('JOBCTL_DEMO_SEED', SEED)}-{number}")
