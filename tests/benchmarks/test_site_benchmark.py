"""The site's jobs at size: analytics against the database's own time, reminders against a bare SMTP loop.

Each figure is a ratio to a baseline in the same run.
"""

import resource
import smtplib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobctl.clock import SystemClock
from jobctl.settings.environment import Environment
from jobctl.site.analytics.queries import activity_trends, recent_activity, top_items, user_growth
from jobctl.site.database.session import Database
from tests.benchmarks.conftest import Figure, Figures
from tests.support.postgres import Postgres
from tests.support.site_database import SCHEMA

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

USERS, VOTES, VIEWS, REMINDERS = 1_000_000, 5_000_000, 5_000_000, 10_000
FILL = f"""
SET session_replication_role = replica;
INSERT INTO tenant VALUES ('t1', 'T');
INSERT INTO users (id, email, tenant_id, created_at)
  SELECT 'u' || n, n || '@x.test', 't1', now() - (n % 1000) * interval '1 day' FROM generate_series(1, {USERS}) n;
INSERT INTO client_profiles (id, "userId", tenant_id, name)
  SELECT 'p' || n, 'u' || n, 't1', 'Name ' || n FROM generate_series(1, {USERS}) n;
INSERT INTO votes (id, userid, item_id, tenant_id, created_at)
  SELECT 'v' || n, 'p' || (n % {USERS} + 1), 'i' || (n::bigint * 7919 % 9973) % 5000 || '-' || n / {USERS}, 't1',
         now() - (n % 90000) * interval '1 minute' FROM generate_series(1, {VOTES}) n;
INSERT INTO item_views (id, item_id, viewer_id, viewed_date_utc, viewed_at, tenant_id)
  SELECT 'w' || n, 'i' || (n::bigint * 7919 % 9973) % 5000 || '-0', 'x' || n,
         to_char(now() - (n % 60) * interval '1 day', 'YYYY-MM-DD'), now() - (n % 60) * interval '1 day', 't1'
  FROM generate_series(1, {VIEWS}) n;
ANALYZE;
"""
CHEAPEST = {
    "user growth": "SELECT date_trunc('month', created_at), count(*) FROM users"
    " WHERE tenant_id = 't1' AND deleted_at IS NULL GROUP BY 1",
    "activity trends": "SELECT viewed_date_utc, count(*) FROM item_views WHERE tenant_id = 't1'"
    " AND viewed_date_utc >= to_char(now() - interval '29 days', 'YYYY-MM-DD') GROUP BY 1"
    " UNION ALL SELECT to_char(created_at::date, 'YYYY-MM-DD'), count(*) FROM votes WHERE tenant_id = 't1'"
    " AND created_at >= date_trunc('day', now() - interval '29 days') GROUP BY created_at::date",
    "top items": "WITH top AS (SELECT item_id, count(*) c FROM votes WHERE tenant_id = 't1' GROUP BY 1"
    " ORDER BY 2 DESC, 1 LIMIT 50) SELECT item_id, c, (SELECT count(*) FROM item_views w"
    " WHERE w.item_id = top.item_id AND w.tenant_id = 't1') FROM top",
    "recent activity": "SELECT id FROM ((SELECT id, created_at FROM users WHERE tenant_id = 't1' AND deleted_at IS NULL"
    " ORDER BY created_at DESC LIMIT 20) UNION ALL (SELECT id, created_at FROM votes WHERE tenant_id = 't1'"
    " ORDER BY created_at DESC LIMIT 20)) x ORDER BY created_at DESC LIMIT 20",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


def best(work: Callable[[], object], times: int = 5) -> float:
    """The quickest of some, in seconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def test_analytics_at_size(server: Postgres, tmp_path: Path, figures: Figures) -> None:
    name = server.create(SCHEMA)
    server.execute(FILL, name)
    settings = Environment.load(tmp_path, {"DATABASE_URL": server.url(name), "TENANT_ID": "t1"})
    now = SystemClock().now()
    jobs: dict[str, Callable[[Database], Any]] = {
        "user growth": user_growth,
        "activity trends": lambda database: activity_trends(database, now),
        "top items": lambda database: top_items(database, tmp_path),
        "recent activity": lambda database: recent_activity(database, tmp_path),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = []
    with closing(psycopg.connect(server.url(name), autocommit=True)) as connection:
        for title, query in CHEAPEST.items():
            bare = best(lambda: connection.execute(query).fetchall())  # noqa: B023
            ours = best(lambda: jobs[title](Database.open(settings, tmp_path)))  # noqa: B023
            found.append(
                Figure(
                    f"analytics at {VOTES:,} votes: {title}", f"{ours * 1000:.0f} ms",
                    f"{bare * 1000:.0f} ms, the database alone", ours / bare, 1.5,
                )
            )  # fmt: skip
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found.append(Figure("analytics: memory", f"{grown:.1f} MiB more", "32 MiB", grown / 32, 1))
    figures.check(found)


_SERVER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from tests.support.smtp_server import smtp_server
with smtp_server() as mails:
    mails.on_data = lambda _: mails.taken.clear()
    print(mails.port, flush=True)
    sys.stdin.read()
"""


def test_reminders_against_a_bare_loop(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: Figures
) -> None:
    name = server.create(SCHEMA)
    server.execute(
        f"""
        INSERT INTO tenant VALUES ('t1', 'T');
        INSERT INTO users (id, email, tenant_id) SELECT 'u' || n, n || '@x.test', 't1' FROM generate_series(1, {REMINDERS}) n;
        INSERT INTO client_profiles (id, "userId", tenant_id, name)
          SELECT 'p' || n, 'u' || n, 't1', 'Name ' || n FROM generate_series(1, {REMINDERS}) n;
        INSERT INTO subscriptions (id, "userId", plan_id, status, end_date, amount, tenant_id, subscription_id)
          SELECT 's' || n, 'u' || n, 'premium', 'active', (now() AT TIME ZONE 'UTC') + (n % 100 + 1) * interval '1 hour', 29,
                 't1', 'sub_' || n FROM generate_series(1, {REMINDERS}) n;
        ANALYZE;
        """,
        name,
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    monkeypatch.chdir(tmp_path)
    for variable, value in {
        "DATABASE_URL": server.url(name), "EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port),
    }.items():  # fmt: skip
        monkeypatch.setenv(variable, value)
    try:
        from jobctl.jobs.renewal_reminder import renewal_reminder

        bare = [_bare(port), _bare(port)]
        began = time.perf_counter()
        result = renewal_reminder()
        ours = time.perf_counter() - began
        bare.append(_bare(port))
    finally:
        process.communicate("")
    assert result.successful == REMINDERS
    alone = statistics.median(bare)
    figures.check(
        [
            Figure(
                "reminders a second", f"{REMINDERS / ours:,.0f}", f"{REMINDERS / alone:,.0f}, a bare SMTP loop",
                alone / ours, 0.6, more=True,
            )
        ]
    )  # fmt: skip


def _bare(port: int) -> float:
    """The least that sends as many mails of the same size: one connection, one ready-made text."""
    from jobctl.site.mail.message import Message, Sender, to_bytes
    from jobctl.site.mail.render import render

    facts = {
        "name": "Name 1", "plan": "premium", "amount": 29, "currency": "usd", "interval": "month", "interval_count": 1,
        "date": SystemClock().now() + timedelta(days=3), "subscription_id": "sub_1", "app_url": "https://ever.works",
        "company": "Ever Works", "support": "info@ever.works",
    }  # fmt: skip
    subject, html, text = render("renewal_reminder", **facts)
    data = to_bytes(
        Message("1@x.test", subject, html, text, "k", "Name 1"), Sender("a@b.c"), SystemClock().now()
    )
    with smtplib.SMTP("127.0.0.1", port) as connection:
        began = time.perf_counter()
        for number in range(REMINDERS):
            connection.sendmail("a@b.c", [f"{number}@x.test"], data)
        return time.perf_counter() - began
