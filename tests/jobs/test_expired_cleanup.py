"""``subscription-expired-cleanup`` on both engines: which rows change and why, and who is notified."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from jobctl.clock import SystemClock, iso, local
from jobctl.project import ProjectContext
from jobctl.site.database.session import Database
from tests.jobs.conftest import CLEANUP, Desk
from tests.support.site_database import SiteDatabase
from tests.support.smtp_server import Mails

NOW = SystemClock().now()
AGO = NOW - timedelta(days=2)


def status(database: SiteDatabase, subscription: str) -> str:
    ((found,),) = database.rows("SELECT status FROM subscriptions WHERE id = ?", subscription)
    return str(found)


def test_both_paths_of_the_original(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    ada = database.user(name="Ada", email="ada@example.com")
    bob = database.user(name="Bob", email="bob@example.com")
    unpaid = database.subscription(ada, AGO, plan_id="premium", amount=29)
    left = database.subscription(bob, AGO, plan_id="standard", auto_renewal=False)
    unsaid = database.subscription(database.user(), AGO, auto_renewal=None)
    kept = {
        "active": database.subscription(database.user(), NOW + timedelta(hours=1)),
        "pending": database.subscription(database.user(), AGO, status="pending"),
        "paused": database.subscription(database.user(), AGO, status="paused"),
        "endless": database.subscription(database.user(), None),
        "elsewhere": database.subscription(database.user(tenant_id="t2"), AGO, tenant_id="t2"),
    }
    before = {name: status(database, one) for name, one in kept.items()}

    ending = desk.run(CLEANUP)

    assert ending["reason"] is None
    result = ending["result"]
    assert result["message"] == "ended 3 subscriptions: 2 expired, 1 cancelled"
    assert (status(database, unpaid), status(database, left), status(database, unsaid)) == (
        "expired",
        "cancelled",
        "expired",
    )
    assert {name: status(database, one) for name, one in kept.items()} == before
    affected = {one["subscriptionId"]: one for one in result["details"]["affected"]}
    assert affected[left] == {
        "subscriptionId": left, "userId": bob, "planId": "standard", "status": "cancelled",
        "reason": "Subscription ended with auto-renewal off",
    }  # fmt: skip
    ((cancelled_at, why),) = database.rows(
        "SELECT cancelled_at, cancel_reason FROM subscriptions WHERE id = ?", left
    )
    assert cancelled_at is not None
    assert why == "Subscription ended with auto-renewal off"
    ((cancelled_at, why),) = database.rows(
        "SELECT cancelled_at, cancel_reason FROM subscriptions WHERE id = ?", unpaid
    )
    assert (cancelled_at, why) == (None, None)


def test_each_row_has_its_history(desk: Desk, database: SiteDatabase) -> None:
    one = database.subscription(database.user(), AGO, plan_id="standard")

    desk.run(CLEANUP)
    desk.run(CLEANUP)

    ((*fields, metadata),) = database.rows(
        "SELECT action, previous_status, new_status, previous_plan, new_plan, reason, tenant_id, metadata"
        ' FROM "subscriptionHistory" WHERE subscription_id = ?', one,
    )  # fmt: skip
    assert fields == [
        "subscription_expired", "active", "expired", "standard", "free",
        "Subscription expired - end date passed without a renewal", "t1",
    ]  # fmt: skip
    assert json.loads(metadata) == {"source": "jobctl", "endDate": iso(AGO), "autoRenewal": True}


def test_the_user_is_notified(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    database.subscription(database.user(name="Ada", email="ada@example.com"), AGO, amount=29)
    database.subscription(database.user(name="Bob", email="bob@example.com"), AGO, auto_renewal=False)

    desk.run(CLEANUP)

    words: dict[str, str] = {}
    for mail in mails.taken:
        body = mail.get_body(("plain",))
        assert body is not None
        words[str(mail["To"])] = body.get_content()
    date = f"{AGO:%A, %B} {AGO.day}, {AGO.year}"
    assert f"expired on {date}" in words["Ada <ada@example.com>"]
    assert "$29.00 per month" in words["Ada <ada@example.com>"]
    assert "https://ever.works/client/settings/profile/billing" in words["Ada <ada@example.com>"]
    assert "as automatic renewal was off" in words["Bob <bob@example.com>"]


def test_a_failed_mail_fails_nothing(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    for _ in range(3):
        database.subscription(database.user(), AGO)
    mails.refuse["*"] = "550 no"

    ending = desk.run(CLEANUP)

    assert ending["reason"] is None
    assert len(ending["result"]["errors"]) == 3
    assert ending["result"]["successful"] == 3


def test_a_mail_server_that_is_down_is_reported_once(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    for _ in range(3):
        database.subscription(database.user(), AGO)
    desk.set(SMTP_PORT=1)

    ending = desk.run(CLEANUP)

    assert ending["reason"] is None
    (error,) = ending["result"]["errors"]
    assert error.startswith("no further mail was sent: the mail server 127.0.0.1:1 did not answer")
    desk.set(SMTP_PORT=mails.port)
    assert desk.run(CLEANUP)["result"]["details"]["mails"] == 3  # the next run sends what is left
    assert len({mail["To"] for mail in mails.taken}) == len(mails.taken) == 3
    assert desk.journal == []


def test_a_sender_that_cannot_be_ends_no_less(desk: Desk, database: SiteDatabase) -> None:
    one = database.subscription(database.user(), AGO)
    desk.set(EMAIL_FROM="nonsense")

    ending = desk.run(CLEANUP)

    assert ending["reason"] is None
    assert status(database, one) == "expired"
    assert ending["result"]["errors"][0].startswith("users were not notified by mail: EMAIL_FROM is")


def test_in_production_without_mail_it_works_and_says_so(
    desk: Desk, database: SiteDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    one = database.subscription(database.user(), AGO)
    desk.set(NODE_ENV="production")

    assert desk.run(CLEANUP)["reason"] is None

    assert status(database, one) == "expired"
    assert "users are not notified by mail: RESEND_API_KEY is not set" in capsys.readouterr().out


def test_a_dry_run_says_which_rows_and_why(
    desk: Desk, database: SiteDatabase, mails: Mails, capsys: pytest.CaptureFixture[str]
) -> None:
    one = database.subscription(database.user(), AGO)

    result: dict[str, Any] = desk.run(CLEANUP, dry_run=True)["result"]

    assert result["message"] == "would end 1 subscription: 1 expired"
    assert f"{one}: expired, plan premium, ended {local(AGO)}: " in capsys.readouterr().out
    assert status(database, one) == "active"
    assert mails.taken == []


def test_many_rows_go_in_batches(desk: Desk, database: SiteDatabase) -> None:
    user = database.user()
    for number in range(450):
        database.subscription(user, AGO + timedelta(minutes=number % 7), subscription_id=f"s{number}")
    desk.set(NODE_ENV="production")

    result = desk.run(CLEANUP)["result"]

    assert result["processed"] == 450
    assert database.rows('SELECT count(*), count(DISTINCT subscription_id) FROM "subscriptionHistory"') == [
        (450, 450)
    ]


@pytest.mark.slow
def test_two_machines_end_each_subscription_once(desk: Desk, database: SiteDatabase) -> None:
    from jobctl.jobs.expired_cleanup import Cleanup

    user = database.user()
    for number in range(500):
        database.subscription(user, AGO + timedelta(seconds=number), auto_renewal=number % 2 == 0)
    counts: list[dict[str, int]] = []

    def machine() -> None:
        project = ProjectContext.of_worker()
        cleanup = Cleanup(Database.open(project.environment, project.folder), SystemClock().now())
        cleanup.run(None)
        counts.append(cleanup.counts)

    threads = [threading.Thread(target=machine) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {status: sum(one[status] for one in counts) for status in ("expired", "cancelled")} == {
        "expired": 250,
        "cancelled": 250,
    }
    assert database.rows('SELECT count(*), count(DISTINCT subscription_id) FROM "subscriptionHistory"') == [
        (500, 500)
    ]
