"""The figures of a report against a slow and obvious reference, on both engines, for every kind of period."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.settings.environment import Environment
from jobctl.site.database.session import Database
from jobctl.site.reports.figures import figures
from jobctl.site.reports.periods import Period, PeriodKind, last_ended
from tests.support.site_database import NOW, SiteDatabase

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def site(database: SiteDatabase, tmp_path: Path) -> tuple[Database, Rows, Path]:
    chance = random.Random(47)
    midnight = NOW.replace(hour=0)
    edges = [midnight, midnight - timedelta(microseconds=1), midnight - timedelta(days=1),
             datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC),
             datetime(2026, 9, 30, 23, 59, 59, 999999, UTC), datetime(2026, 7, 1, tzinfo=UTC)]  # fmt: skip

    def moment() -> datetime:
        if chance.random() < 0.3:
            return chance.choice(edges)
        return NOW - timedelta(minutes=chance.randrange(250 * 1440))

    rows: Rows = {
        name: [] for name in ("users", "votes", "comments", "views", "log", "subscriptions", "history")
    }
    for _ in range(60):
        tenant, at = chance.choice(["t1", "t1", "t2"]), moment()
        deleted = NOW if chance.random() < 0.1 else None
        user: dict[str, Any] = {
            "id": database.user(at, tenant, deleted_at=deleted),
            "at": at,
            "tenant": tenant,
            "deleted": deleted,
        }
        rows["users"].append(user)
        subscription: dict[str, Any] = {
            "plan": chance.choice(["free", "standard", "premium"]), "status": chance.choice(["active", "expired", "pending"]),
            "at": moment(), "cancelled": moment() if chance.random() < 0.3 else None, "tenant": tenant,
            "amount": chance.choice([0, 9, 29, None]), "currency": chance.choice(["usd", "eur", "USD"]),
        }  # fmt: skip
        subscription["id"] = database.subscription(
            user["id"], NOW, plan_id=subscription["plan"], status=subscription["status"], start_date=subscription["at"],
            cancelled_at=subscription["cancelled"], amount=subscription["amount"], currency=subscription["currency"],
            tenant_id=tenant,
        )  # fmt: skip
        rows["subscriptions"].append(subscription)
        for action in ["payment_succeeded"] * 3 + ["subscription_expired", "renewal_succeeded"]:
            paid = chance.choice([{"amount": 17, "currency": "gbp"}, {"amount": 9.5}, {"amount": None}, None])
            change = {
                "action": action,
                "at": moment(),
                "tenant": tenant,
                "subscription": subscription,
                "paid": paid or {},
            }
            change["id"] = database.add(
                "subscriptionHistory", subscription_id=subscription["id"], action=action, created_at=change["at"],
                tenant_id=tenant, metadata=json.dumps(paid) if paid else chance.choice([None, "no JSON", "[]"]),
            )  # fmt: skip
            rows["history"].append(change)
    for number in range(200):
        user = chance.choice(rows["users"])
        item = f"item-{chance.randrange(200)}-{number}" if number % 2 else f"item-{number % 14}-{user['id']}"
        item = item.rpartition("-")[0] if number % 2 else item
        key = (user["id"], item)
        if key not in {(one["user"], one["item"]) for one in rows["votes"]}:
            at = moment()
            database.vote(user["id"], item, at, tenant_id=user["tenant"])
            rows["votes"].append({"user": user["id"], "item": item, "at": at, "tenant": user["tenant"]})
        at, deleted = moment(), NOW if chance.random() < 0.1 else None
        database.comment(user["id"], item, at, user["tenant"], deleted_at=deleted)
        rows["comments"].append(
            {"user": user["id"], "item": item, "at": at, "tenant": user["tenant"], "deleted": deleted}
        )
        at = moment()
        database.view(item, at, f"v{number}", user["tenant"])
        rows["views"].append({"item": item, "at": at, "tenant": user["tenant"]})
        if number % 5 == 0:
            at = moment()
            who: dict[str, Any] = {"userId": user["id"]} if number % 2 else {"clientId": f"p-{user['id']}"}
            database.add(
                "activityLogs", id=number + 1, action="x", timestamp=at, tenant_id=user["tenant"], **who
            )
            rows["log"].append({"user": user["id"], "at": at, "tenant": user["tenant"]})
    here = Database.open(Environment.load(tmp_path, {"DATABASE_URL": database.url}), tmp_path)
    return here, rows, tmp_path


def within(rows: list[dict[str, Any]], period: Period, key: str = "at") -> list[dict[str, Any]]:
    return [
        one for one in rows
        if one["tenant"] == "t1" and not one.get("deleted") and one[key] is not None
        and period.start_instant <= one[key] < period.end_instant
    ]  # fmt: skip


def renewals(rows: Rows, period: Period) -> list[dict[str, Any]]:
    """The payments that webhooks note, but for the first of each subscription."""
    paid = sorted(
        (one for one in rows["history"] if one["action"] == "payment_succeeded"),
        key=lambda one: (one["at"], one["id"]),
    )
    first = {one["subscription"]["id"]: one["id"] for one in reversed(paid)}
    return [one for one in within(paid, period) if first[one["subscription"]["id"]] != one["id"]]


def counted(rows: Rows, period: Period) -> dict[str, int]:
    started = [one for one in within(rows["subscriptions"], period) if one["status"] != "pending"]
    history = Counter(one["action"] for one in within(rows["history"], period))
    active = {one["user"] for name in ("votes", "comments", "log") for one in within(rows[name], period)}
    return {
        "sign_ups": len(within(rows["users"], period)), "active_users": len(active),
        **{name: len(within(rows[name], period)) for name in ("votes", "comments", "views")},
        "started": len(started), "renewed": len(renewals(rows, period)), "expired": history["subscription_expired"],
        "cancelled": len(within(rows["subscriptions"], period, "cancelled")),
    }  # fmt: skip


def revenue(rows: Rows, period: Period) -> Counter[str]:
    sums: Counter[str] = Counter()
    for one in within(rows["subscriptions"], period):
        if one["status"] != "pending" and one["plan"] != "free":
            sums[one["currency"].lower()] += one["amount"] or 0
    for one in renewals(rows, period):
        sold = one["subscription"] | {name: value for name, value in one["paid"].items() if value}
        sums[sold["currency"].lower()] += sold["amount"] or 0
    return sums


@pytest.mark.slow
@pytest.mark.parametrize("kind", PeriodKind)
def test_each_kind_of_period(site: tuple[Database, Rows, Path], kind: PeriodKind) -> None:
    database, rows, folder = site
    period = last_ended(kind, NOW)
    now, before = counted(rows, period), counted(rows, period.before())

    found = figures(database, folder, period)

    assert found["figures"] == {name: {"now": now[name], "before": before[name]} for name in now}
    sums = (revenue(rows, period), revenue(rows, period.before()))
    assert found["revenue"] == [
        {"currency": one, "now": sums[0][one], "before": sums[1][one]}
        for one in sorted(set(sums[0]) | set(sums[1])) if sums[0][one] or sums[1][one]
    ]  # fmt: skip
    standing = Counter((one["plan"], one["status"]) for one in rows["subscriptions"] if one["tenant"] == "t1")
    assert {(one["plan"], one["status"]): one["count"] for one in found["subscriptions"]} == standing


@pytest.mark.parametrize("kind", PeriodKind)
def test_the_days_add_up_to_the_period(site: tuple[Database, Rows, Path], kind: PeriodKind) -> None:
    database, _, folder = site
    period = last_ended(kind, NOW)

    found = figures(database, folder, period)

    series = found["series"]
    assert series["labels"][-1] == (period.end - timedelta(days=1)).isoformat()
    for name in ("sign_ups", "votes", "comments", "views"):
        assert sum(series[name][-len(period.days) :]) == found["figures"][name]["now"], name
    if kind is PeriodKind.DAY:
        assert len(series["labels"]) == 14


@pytest.mark.parametrize("kind", [PeriodKind.MONTH, PeriodKind.QUARTER])
def test_top_items_of_the_period_alone(site: tuple[Database, Rows, Path], kind: PeriodKind) -> None:
    database, rows, folder = site
    period = last_ended(kind, NOW)
    votes = Counter(one["item"] for one in within(rows["votes"], period))
    views = Counter(one["item"] for one in within(rows["views"], period))
    comments = Counter(one["item"] for one in within(rows["comments"], period))
    expected = sorted(votes, key=lambda item: (-votes[item], item))[:10]

    found = figures(database, folder, period)["top_items"]

    assert [(one["item_id"], one["votes"], one["views"], one["comments"]) for one in found] == [
        (item, votes[item], views[item], comments[item]) for item in expected
    ]
