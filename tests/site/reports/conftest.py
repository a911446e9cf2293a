from typing import Any

import pytest


@pytest.fixture
def report() -> dict[str, Any]:
    """A report with everything in it that a page could stumble over."""
    names = (
        "sign_ups",
        "active_users",
        "votes",
        "comments",
        "views",
        "started",
        "renewed",
        "expired",
        "cancelled",
    )
    days = [f"2026-11-{day:02}" for day in range(16, 23)]
    return {
        "id": "report-weekly-user-growth", "title": "Weekly User Growth", "site": "Acme <b>& Co", "tenant": "t1",
        "period": {"name": "2026-W47", "label": "Week 47, November 16 to 22, 2026"},
        "before": {"name": "2026-W46", "label": "Week 46, November 9 to 15, 2026"},
        "made_at": "2026-11-23T09:00:00+00:00",
        "figures": {name: {"now": 1500 * number, "before": 1000} for number, name in enumerate(names)},
        "series": {
            "unit": "day", "labels": days,
            **{name: [number * 7 for number in range(7)] for name in ("sign_ups", "votes", "comments", "views")},
        },
        "top_items": [
            {"item_id": str(number), "name": name, "category": "Tools", "votes": 90 - number, "views": 3400, "comments": 2}
            for number, name in enumerate(["<script>alert(1)</script>", "علي حسن 🙂", "W" * 300, "Plain"])
        ],
        "subscriptions": [
            {"plan": plan, "status": status, "count": 12}
            for plan in ("free", "premium") for status in ("active", "expired", "strange")
        ],
        "revenue": [{"currency": "usd", "now": 1234, "before": 1000}, {"currency": "xyz", "now": 5, "before": 0}],
    }  # fmt: skip
