"""Both mailing jobs under ``kill -9`` of everything, at the moments that matter; no user is mailed twice."""

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobctl.clock import SystemClock
from tests.support.http_server import Reply, Request, Resend, http_server
from tests.support.project import Site, marked, send
from tests.support.site_database import SiteDatabase
from tests.support.smtp_server import Mails, smtp_server

NOW = SystemClock().now()
REMINDER, CLEANUP = "subscription-renewal-reminder", "subscription-expired-cleanup"
pytestmark = pytest.mark.faults


@pytest.fixture
def mails(site: Site, database: SiteDatabase) -> Iterator[Mails]:
    with smtp_server() as server:
        site.environment |= {
            "DATABASE_URL": database.url,
            "EMAIL_PROVIDER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(server.port),
        }
        site.write("jobctl.toml", f"[jobs.{REMINDER}]\nretries = 0\n[jobs.{CLEANUP}]\nretries = 0\n")
        yield server


def kill(site: Site) -> None:
    """Everything at once, as when the power fails."""
    send(marked(site.mark), signal.SIGKILL)
    site.nothing_left()


def everybody(mails: Mails) -> list[str]:
    return sorted(str(mail["To"]) for mail in mails.taken)


def test_killed_between_sending_and_marking(site: Site, database: SiteDatabase, mails: Mails) -> None:
    users = [database.user(name=f"User {number}") for number in range(6)]
    for hour, user in enumerate(users):
        database.subscription(user, NOW + timedelta(days=2, hours=hour))
    mails.answer = lambda _: "silent" if len(mails.taken) == 2 else None

    site.popen("trigger", REMINDER)
    for _ in range(3):
        assert mails.arrived.acquire(timeout=30)
    kill(site)
    mails.answer = lambda _: None
    first = site.call("trigger", REMINDER)
    second = site.call("trigger", REMINDER)

    assert first.returncode == 0, first
    assert "the mail server may have taken the mail or not; it is not sent again" in first.stdout
    assert "no reminder is due" in second.stdout
    assert everybody(mails) == sorted(
        f"User {number} <{user}@example.com>" for number, user in enumerate(users)
    )


def test_killed_between_claiming_and_sending(site: Site, database: SiteDatabase, mails: Mails) -> None:
    for hour in range(4):
        database.subscription(database.user(), NOW + timedelta(days=2, hours=hour))
    mails.hold = True

    site.popen("trigger", REMINDER)
    assert mails.arrived.acquire(timeout=30)
    assert database.rows("SELECT count(*) FROM subscriptions WHERE renewal_reminder_sent = ?", True) == [(4,)]
    kill(site)
    mails.hold = False
    done = site.call("trigger", REMINDER)

    assert done.returncode == 0, done
    assert len(mails.taken) == 4
    assert len(set(everybody(mails))) == 4


def test_a_mail_of_the_outbox_is_written_again_in_place(
    site: Site, database: SiteDatabase, mails: Mails
) -> None:
    """Claimed by a killed process, and the provider takes the same key again without harm."""
    for hour in range(3):
        database.subscription(database.user(), NOW + timedelta(days=2, hours=hour))
    mails.hold = True
    site.popen("trigger", REMINDER)
    assert mails.arrived.acquire(timeout=30)
    kill(site)
    site.environment["SMTP_HOST"] = ""

    assert site.call("trigger", REMINDER).returncode == 0
    assert len(list((site.folder / ".jobctl" / "outbox").glob("*.eml"))) == 3


def test_killed_after_ending_subscriptions_the_mails_still_go(
    site: Site, database: SiteDatabase, mails: Mails
) -> None:
    for hour in range(5):
        database.subscription(database.user(), NOW - timedelta(hours=hour + 1), auto_renewal=hour % 2 == 0)
    mails.hold = True

    site.popen("trigger", CLEANUP)
    assert mails.arrived.acquire(timeout=30)
    kill(site)
    mails.hold = False
    done = site.call("trigger", CLEANUP)

    assert done.returncode == 0, done
    assert len(set(everybody(mails))) == len(mails.taken) == 5
    statuses = database.rows("SELECT status, count(*) FROM subscriptions GROUP BY status ORDER BY status")
    assert statuses == [("cancelled", 2), ("expired", 3)]
    assert database.rows('SELECT count(*) FROM "subscriptionHistory"') == [(5,)]


def test_a_stop_releases_what_was_not_sent(site: Site, database: SiteDatabase, mails: Mails) -> None:
    for hour in range(3):
        database.subscription(database.user(), NOW + timedelta(days=2, hours=hour))
    mails.hold = True
    process = site.popen("trigger", REMINDER)
    assert mails.arrived.acquire(timeout=30)

    process.send_signal(signal.SIGTERM)
    process.wait(30)

    assert process.returncode == 143
    assert database.rows("SELECT count(*) FROM subscriptions WHERE renewal_reminder_sent = ?", True) == [(0,)]


def test_a_provider_that_knows_the_key_sends_it_once(site: Site, database: SiteDatabase) -> None:
    """Killed after Resend took a mail and before it could say so: the same mail is handed over again."""
    for hour in range(4):
        database.subscription(database.user(), NOW + timedelta(days=2, hours=hour))
    rule, reached, hang = Resend(), threading.Event(), threading.Event()

    def slow_third(request: Request) -> Reply:
        reply = rule(request)
        if len(rule.sent) == 3:
            reached.set()
            hang.wait(60)
        return reply

    with http_server(slow_third) as provider:
        site.environment |= {
            "DATABASE_URL": database.url, "RESEND_API_KEY": Resend.KEY, "RESEND_BASE_URL": provider.url,
        }  # fmt: skip
        site.popen("trigger", REMINDER)
        assert reached.wait(30)
        kill(site)
        hang.set()
        done = site.call("trigger", REMINDER)
        keys = [request.headers["idempotency-key"] for request in provider.requests]

    assert done.returncode == 0, done
    assert len(rule.sent) == 4
    assert len(keys) == 5  # the third twice, under one key
    assert len(set(keys)) == 4
