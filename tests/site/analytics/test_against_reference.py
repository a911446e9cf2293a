"""Each analytics job against a slow and obvious reference in Python, on both engines, to the last figure."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.settings.environment import Environment
from jobctl.site.analytics.queries import activity_trends, recent_activity, top_items, user_growth
from jobctl.site.database.session import Database
from tests.support.site_database import NOW, SiteDatabase


def opened(database: SiteDatabase, folder: Path, **more: str) -> Database:
    return Database.open(Environment.load(folder, {"DATABASE_URL": database.url, **more}), folder)


@pytest.fixture
def site(database: SiteDatabase, tmp_path: Path) -> Any:
    """A few hundred rows by chance, many of them at the edges of days, months and years, in two tenants."""
    chance = random.Random(20261123)
    edges = [
        datetime(2024, 2, 29, 23, 59, 59, 999000, UTC), datetime(2024, 3, 1, tzinfo=UTC),
        datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
        NOW.replace(hour=0), NOW.replace(hour=0) - timedelta(milliseconds=1), NOW.replace(hour=23, minute=59),
    ]  # fmt: skip

    def moment(days: int) -> datetime:
        if chance.random() < 0.2:
            return chance.choice(edges)
        return NOW - timedelta(minutes=chance.randrange(days * 1440))

    rows: dict[str, list[dict[str, Any]]] = {"users": [], "votes": [], "comments": [], "views": []}
    for number in range(120):
        tenant = chance.choice(["t1", "t1", "t2"])
        user: dict[str, Any] = {
            "id": f"u{number}", "tenant": tenant, "at": moment(1200), "name": f"Name {number}",
            "deleted": NOW if chance.random() < 0.1 else None,
        }  # fmt: skip
        rows["users"].append(user)
        database.user(user["at"], tenant, user["name"], id=user["id"], deleted_at=user["deleted"])
    seen = set()
    for number in range(260):
        user = chance.choice(rows["users"])
        item = f"item-{chance.randrange(60)}"
        at, tenant = moment(40), user["tenant"]
        if (user["id"], item) not in seen:
            seen.add((user["id"], item))
            kind = chance.choice(["upvote", "downvote"])
            vote_id = database.vote(user["id"], item, at, kind, tenant)
            rows["votes"].append(
                {"id": vote_id, "item": item, "at": at, "tenant": tenant, "kind": kind, "user": user}
            )
        at = moment(40)
        deleted = NOW if chance.random() < 0.1 else None
        comment_id = database.comment(user["id"], item, at, tenant, deleted_at=deleted)
        rows["comments"].append(
            {"id": comment_id, "item": item, "at": at, "tenant": tenant, "deleted": deleted, "user": user}
        )
        at = moment(40)
        database.view(item, at, f"viewer-{number}", tenant)
        rows["views"].append({"item": item, "at": at, "tenant": tenant})
    return database, rows, opened(database, tmp_path), tmp_path


def of(rows: list[dict[str, Any]], tenant: str = "t1") -> list[dict[str, Any]]:
    return [one for one in rows if one["tenant"] == tenant and not one.get("deleted")]


def test_user_growth(site: Any) -> None:
    _, rows, database, _ = site
    months = sorted({f"{one['at']:%Y-%m}" for one in of(rows["users"])})
    expected = []
    for month in months:
        new = [one for one in of(rows["users"]) if f"{one['at']:%Y-%m}" == month]
        until = [one for one in of(rows["users"]) if f"{one['at']:%Y-%m}" <= month]
        shown = datetime.strptime(month, "%Y-%m").strftime("%b %Y")
        expected.append({"month": shown, "users": len(new), "active": len(until)})

    found = user_growth(database)

    assert len(expected) > 24
    assert found == {f"user_growth_{window}": expected[-window:] for window in (6, 12, 24)}
    assert database.statements == 2  # the tenant, then one for all windows


def test_activity_trends(site: Any) -> None:
    _, rows, database, _ = site
    expected = []
    for back in range(29, -1, -1):
        day = (NOW - timedelta(days=back)).date()
        counts = {
            kind: sum(one["at"].date() == day for one in of(rows[kind]))
            for kind in ("views", "votes", "comments")
        }
        expected.append({"day": f"{day:%b} {day.day}", **counts})

    found = activity_trends(database, NOW)

    assert found == {f"activity_trends_{window}": expected[-window:] for window in (7, 14, 30)}
    assert database.statements == 2


def test_top_items(site: Any) -> None:
    _, rows, database, folder = site
    item = folder / "content" / "data" / "item-7"
    item.mkdir(parents=True)
    (item / "item-7.yml").write_text("name: Seventh <b>item</b>\ncategory: [tools, other]\n")
    votes = Counter(one["item"] for one in of(rows["votes"]))
    views = Counter(one["item"] for one in of(rows["views"]))
    names = {"item-7": ("Seventh <b>item</b>", "tools")}
    expected = [
        {
            "name": names.get(one, (one, ""))[0], "views": views[one], "votes": votes[one],
            "category": names.get(one, ("", "Uncategorized"))[1],
        }
        for one in sorted(votes, key=lambda item: (-votes[item], item))
    ]  # fmt: skip

    found = top_items(database, folder / "content")

    assert len(expected) > 50
    assert found == {f"top_items_{window}": expected[:window] for window in (10, 20, 50)}
    assert database.statements == 2


@pytest.mark.slow
def test_recent_activity_is_the_true_newest(site: Any) -> None:
    _, rows, database, folder = site
    words = {"upvote": "Voted for", "downvote": "Voted against"}
    events = [("user_signup", one["at"], one["id"], "Joined", one) for one in of(rows["users"])]
    events += [
        ("comment", one["at"], one["id"], f"Commented on {one['item']}", one["user"])
        for one in of(rows["comments"])
    ]
    events += [
        (one["kind"], one["at"], one["id"], f"{words[one['kind']]} {one['item']}", one["user"])
        for one in of(rows["votes"])
    ]
    events.sort(key=lambda one: (one[0], one[2]))
    events.sort(key=lambda one: one[1], reverse=True)
    expected = [
        ("vote" if kind.endswith("vote") else kind, description, at, user["name"])
        for kind, at, _, description, user in events[:20]
    ]

    found = recent_activity(database, folder)

    entries = [
        (one["type"], one["description"], datetime.fromisoformat(one["timestamp"]), one["user"])
        for one in found["recent_activity_20"]
    ]
    assert entries == expected
    assert found["recent_activity_10"] == found["recent_activity_20"][:10]


def test_one_kind_alone_may_be_the_newest(database: SiteDatabase, tmp_path: Path) -> None:
    user = database.user(NOW - timedelta(days=9))
    for number in range(25):
        database.comment(user, f"i{number}", NOW - timedelta(minutes=number))

    found = recent_activity(opened(database, tmp_path), tmp_path)

    assert [one["description"] for one in found["recent_activity_20"]] == [
        f"Commented on i{one}" for one in range(20)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "display_name", "shown"),
    [
        ("Ada", None, "Ada"),
        ("ada", "Ada Lovelace", "Ada Lovelace"),
        ("ada@example.com", None, "Someone"),
        ("Ada", "ada@example.com", "Ada"),
        ("  ", "", "Someone"),
        ("a\nb", None, "a b"),
        ("علي 🙂 <script>", None, "علي 🙂 <script>"),
    ],
)
def test_a_mail_address_is_never_shown(
    database: SiteDatabase, tmp_path: Path, name: str, display_name: str | None, shown: str
) -> None:
    database.user(name=name, display_name=display_name)

    (entry,) = recent_activity(opened(database, tmp_path), tmp_path)["recent_activity_10"]

    assert entry == {
        "type": "user_signup",
        "description": "Joined",
        "timestamp": "2026-11-23T12:00:00+00:00",
        "user": shown,
    }


def test_nothing_at_all(database: SiteDatabase, tmp_path: Path) -> None:
    empty = opened(database, tmp_path)

    assert set(map(str, user_growth(empty).values())) == {"[]"}
    assert set(map(str, top_items(empty, tmp_path).values())) == {"[]"}
    assert set(map(str, recent_activity(empty, tmp_path).values())) == {"[]"}
    trends = activity_trends(empty, NOW)["activity_trends_7"]
    assert trends[-1] == {"day": "Nov 23", "views": 0, "votes": 0, "comments": 0}
    assert len(trends) == 7


def test_another_tenant_is_another_site(site: Any) -> None:
    made, rows, _, folder = site
    second = opened(made, folder, TENANT_ID="t2")

    assert user_growth(second)["user_growth_24"][-1]["active"] == len(of(rows["users"], "t2"))
    assert opened(made, folder).tenant_id == "t1"
