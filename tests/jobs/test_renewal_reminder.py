"""``subscription-renewal-reminder`` on both engines, with a real mail server."""

import json
import shutil
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobctl.clock import SystemClock, local
from jobctl.project import ProjectContext
from jobctl.site.database.session import Database
from tests.jobs.conftest import REMINDER, Desk
from tests.support.site_database import SiteDatabase
from tests.support.smtp_server import Mails

NOW = SystemClock().now()
SOON = NOW + timedelta(days=3)


def sent(database: SiteDatabase, subscription: str) -> bool:
    ((flag,),) = database.rows("SELECT renewal_reminder_sent FROM subscriptions WHERE id = ?", subscription)
    return bool(flag)


def test_who_is_due_is_mailed_once_and_no_other_user(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    ada = database.user(name="Ada Lovelace", email="ada@example.com")
    due = database.subscription(
        ada, SOON, subscription_id="sub_77", amount=29, currency="eur", interval_count=3
    )
    other = {
        "late": database.subscription(database.user(), NOW + timedelta(days=7, hours=1)),
        "over": database.subscription(database.user(), NOW - timedelta(hours=1)),
        "off": database.subscription(database.user(), SOON, auto_renewal=False),
        "reminded": database.subscription(database.user(), SOON, renewal_reminder_sent=True, updated_at=NOW),
        "ended": database.subscription(database.user(), SOON, status="cancelled"),
        "elsewhere": database.subscription(database.user(tenant_id="t2"), SOON, tenant_id="t2"),
        "endless": database.subscription(database.user(), None),
    }

    ending = desk.run(REMINDER)

    assert ending["reason"] is None
    assert ending["result"] | {"duration_ms": 0} == {
        "success": True, "processed": 1, "successful": 1, "failed": 0, "errors": [], "duration_ms": 0,
        "message": f"1 of 1 reminders sent by 127.0.0.1:{mails.port}", "details": {},
    }  # fmt: skip
    assert sent(database, due)
    assert {name: sent(database, one) for name, one in other.items()} == dict.fromkeys(other, False) | {
        "reminded": True
    }
    (mail,) = mails.taken
    assert mail["To"] == "Ada Lovelace <ada@example.com>"
    date = f"{SOON:%A, %B} {SOON.day}, {SOON.year}"
    assert mail["Subject"] == f"Your Premium Plan renews on {date}"
    text = mail.get_body(("plain",))
    assert text is not None
    words = text.get_content().replace("\r\n", "\n")
    for fact in ("Ada Lovelace", "Premium Plan", "€29.00 every 3 months", date, "sub_77", "renews by itself",
                 "https://ever.works/client/settings/profile/billing\n", "info@ever.works"):  # fmt: skip
        assert fact in words

    assert desk.run(REMINDER)["result"]["message"] == "no reminder is due"
    assert len(mails.taken) == 1
    assert desk.journal == []


def test_one_bad_address_does_not_stop_the_rest(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    good = [database.subscription(database.user(), SOON + timedelta(hours=number)) for number in (1, 5)]
    none = database.subscription(database.user(email=None), SOON + timedelta(hours=2))
    broken = database.subscription(database.user(email="not an address"), SOON + timedelta(hours=3))
    refused = database.subscription(database.user(email="gone@example.com"), SOON + timedelta(hours=4))
    deleted = database.subscription(database.user(deleted_at=NOW), SOON)
    mails.refuse["gone@example.com"] = "550 no such user"

    ending = desk.run(REMINDER)

    assert (ending["reason"], ending["retry"]) == ("error", False)
    result = ending["result"]
    assert (result["processed"], result["successful"], result["failed"]) == (6, 2, 4)
    errors = "\n".join(result["errors"])
    assert f"{none}: the user has no mail address" in errors
    assert f'{broken}: "not an address" is not a mail address' in errors
    assert f"{refused}: the mail server 127.0.0.1:{mails.port} refused it: 550 no such user" in errors
    assert f"{deleted}: the user has no mail address" in errors
    assert all(sent(database, one) for one in good)
    assert not any(sent(database, one) for one in (none, broken, refused, deleted))


def test_a_dry_run_shows_who_would_get_what(
    desk: Desk, database: SiteDatabase, mails: Mails, capsys: pytest.CaptureFixture[str]
) -> None:
    one = database.subscription(database.user(email="ada@example.com"), SOON, subscription_id="sub_1")

    ending = desk.run(REMINDER, dry_run=True)

    shown = capsys.readouterr().out
    assert f"ada@example.com  premium, renews {local(SOON)}, subscription sub_1" in shown
    assert "subscription sub_1" in shown
    assert "would remind of 1 subscription, due by " in ending["result"]["message"]
    assert not sent(database, one)
    assert mails.taken == []


def test_what_was_not_sent_is_released(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    subscriptions = [
        database.subscription(database.user(), SOON + timedelta(hours=hour)) for hour in range(5)
    ]
    mails.answer = lambda _: "421 going down" if len(mails.taken) == 2 else None

    ending = desk.run(REMINDER)

    assert ending["reason"] == "error"
    assert [sent(database, one) for one in subscriptions].count(True) == len(mails.taken)
    mails.answer = lambda _: None
    assert desk.run(REMINDER)["reason"] is None
    assert len(mails.taken) == 5
    assert len({mail["To"] for mail in mails.taken}) == 5


def test_a_server_that_refuses_all_or_is_down_changes_nothing(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    one = database.subscription(database.user(), SOON)
    mails.refuse_sender = "550 you may not send"

    ending = desk.run(REMINDER)

    assert "refused the sender info@ever.works: 550 you may not send" in ending["error"]
    assert not ending["retry"]
    desk.set(SMTP_PORT=1)
    down = desk.run(REMINDER)
    assert down["error"] == "the mail server 127.0.0.1:1 did not answer: the connection was refused"
    assert down["retry"]
    assert not sent(database, one)
    assert desk.journal == []


@pytest.mark.slow
def test_two_at_the_same_time_mail_each_user_once(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    for hour in range(60):
        database.subscription(database.user(), SOON + timedelta(minutes=hour))
    endings: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: endings.append(desk.run(REMINDER))) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # on one machine the journal lets one in; the other says so and is tried again later
    outcomes = {str(one["error"]) for one in endings}
    assert "None" in outcomes
    assert outcomes <= {"None", "another process is sending these mails right now"}
    assert len(mails.taken) == 60
    assert len({mail["To"] for mail in mails.taken}) == 60


@pytest.mark.slow
@pytest.mark.parametrize("flag", [False, True])
def test_two_machines_mail_each_user_once(
    desk: Desk,
    database: SiteDatabase,
    mails: Mails,
    flag: bool,
) -> None:
    """Their journals are apart; the database alone keeps them from each other, also where the flag is an old one."""
    before = {"renewal_reminder_sent": flag, "updated_at": NOW - timedelta(days=30)}
    for hour in range(120):
        database.subscription(database.user(), SOON + timedelta(minutes=hour), **before)
    from jobctl.jobs.mailing import Mailing
    from jobctl.jobs.renewal_reminder import Reminders

    def machine(name: str) -> None:
        project = ProjectContext.of_worker()
        project.state /= name
        with Mailing(project, "renewal_reminder") as mailing:
            database = Database.open(project.environment, project.folder)
            Reminders(database, mailing, SystemClock().now()).send()

    threads = [threading.Thread(target=machine, args=(f"machine-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(mails.taken) == 120
    assert len({mail["To"] for mail in mails.taken}) == 120


def test_names_cannot_become_headers_or_markup(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    names = [
        "<script>alert(1)</script>",
        "Ann\r\nBcc: all@example.com",
        "علي حسن",
        "Zoë 🙂",
        '"><b>x',
        "a" * 300,
    ]
    for number, name in enumerate(names):
        database.subscription(database.user(name=name, email=f"user{number}@example.com"), SOON)

    assert desk.run(REMINDER)["reason"] is None

    assert sorted(mails.recipients) == [f"user{number}@example.com" for number in range(len(names))]
    for mail in mails.taken:
        assert mail["Bcc"] is None
        html = mail.get_body(("html",))
        assert html is not None
        assert "<script>" not in html.get_content()
        assert "<b>x" not in html.get_content()
    assert any("علي حسن" in str(mail["To"]) for mail in mails.taken)
    assert any("Zoë 🙂" in str(mail["To"]) for mail in mails.taken)


def test_without_a_provider_development_has_an_outbox(desk: Desk, database: SiteDatabase) -> None:
    database.subscription(database.user(email="ada@example.com"), SOON)

    assert desk.run(REMINDER)["reason"] is None

    (file,) = (desk.folder / ".jobctl" / "outbox").glob("*.eml")
    assert "To: Ada Lovelace <ada@example.com>" in file.read_text()


@pytest.mark.slow
def test_a_stop_right_after_the_servers_answer_releases_nothing(
    desk: Desk, database: SiteDatabase, mails: Mails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal, or a full disk, between the answer and the note of it: the mail has gone, so it is not sent again."""
    from jobctl.jobs.mailing import MailJournal

    for hour in range(3):
        database.subscription(database.user(), SOON + timedelta(hours=hour))
    done = MailJournal.done

    def stopped(self: MailJournal, ids: object) -> None:
        if len(mails.taken) == 2:
            monkeypatch.setattr(MailJournal, "done", done)
            raise SystemExit(143)
        done(self, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(MailJournal, "done", stopped)
    desk.run(REMINDER)
    desk.run(REMINDER)

    assert len(mails.taken) == len({mail["To"] for mail in mails.taken}) == 3


# Once a period


def renew(database: SiteDatabase, subscription: str, end: datetime) -> None:
    """What the site's webhook does after a payment; it leaves the flag as it is."""
    database.execute(
        "UPDATE subscriptions SET end_date = ?, updated_at = ? WHERE id = ?",
        database.kept(end), database.kept(NOW), subscription,
    )  # fmt: skip
    database.add(
        "subscriptionHistory",
        subscription_id=subscription,
        action="payment_succeeded",
        created_at=NOW,
        tenant_id="t1",
    )


def test_a_renewal_makes_it_due_again(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    user = database.user(email="ada@example.com")
    one = database.subscription(user, SOON, interval="day")

    for days in (3, 5, 6):
        renew(database, one, NOW + timedelta(days=days))
        desk.run(REMINDER)
        assert desk.run(REMINDER)["result"]["message"] == "no reminder is due"

    dates = [f"{NOW + timedelta(days=days):%B} {(NOW + timedelta(days=days)).day}, " for days in (3, 5, 6)]
    assert len(mails.taken) == 3
    assert all(date in mail["Subject"] for date, mail in zip(dates, mails.taken, strict=True))
    rows = database.rows(
        """SELECT metadata FROM "subscriptionHistory" WHERE action = 'renewal_reminder_sent'"""
    )
    kept = [json.loads(metadata) for (metadata,) in rows]
    assert sorted((one["source"], one["endDate"][:10]) for one in kept) == [
        ("jobctl", f"{NOW + timedelta(days=days):%Y-%m-%d}") for days in (3, 5, 6)
    ]


@pytest.mark.slow
def test_a_flag_of_an_earlier_period_does_not_count(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    """The flag set by the site, or by an older jobctl: it counts where it can be of this period."""
    flagged = {"renewal_reminder_sent": True}
    due = {
        "a month ago": database.subscription(
            database.user(), SOON, updated_at=NOW - timedelta(days=25), **flagged
        ),
        "before the payment": database.subscription(
            database.user(), SOON, updated_at=NOW - timedelta(seconds=5), **flagged
        ),
    }
    renew(database, due["before the payment"], SOON)
    this_period = database.subscription(
        database.user(email="reminded@example.com"), SOON, updated_at=NOW - timedelta(days=1), **flagged
    )
    database.add(
        "subscriptionHistory", subscription_id=this_period, action="payment_succeeded",
        created_at=NOW - timedelta(days=2), tenant_id="t1",
    )  # fmt: skip

    desk.run(REMINDER)

    assert len(mails.taken) == 2
    assert "reminded@example.com" not in mails.recipients


def test_a_reset_flag_reminds_no_user_twice(desk: Desk, database: SiteDatabase, mails: Mails) -> None:
    database.subscription(database.user(), SOON)
    desk.run(REMINDER)
    database.execute("UPDATE subscriptions SET renewal_reminder_sent = ?", False)

    assert desk.run(REMINDER)["result"]["message"] == "no reminder is due"
    assert len(mails.taken) == 1


def test_what_the_site_changes_meanwhile_is_released_all_the_same(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    one = database.subscription(database.user(), SOON)

    def changed(_: object) -> str:
        database.execute("UPDATE subscriptions SET updated_at = ? WHERE id = ?", database.kept(NOW), one)
        return "421 going down"

    mails.answer = changed
    assert desk.run(REMINDER)["reason"] == "error"
    mails.answer = lambda _: None
    assert desk.run(REMINDER)["reason"] is None
    assert len(mails.taken) == 1
    assert database.rows('SELECT count(*) FROM "subscriptionHistory"') == [(1,)]


def test_a_database_from_a_copy_reminds_no_user_twice(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    """Restored as it was before the reminders; what was sent is known beside the journal."""
    one = database.subscription(database.user(email="ada@example.com"), SOON)
    desk.run(REMINDER)
    database.execute('DELETE FROM "subscriptionHistory"')
    database.execute("UPDATE subscriptions SET renewal_reminder_sent = ?, updated_at = start_date", False)
    database.subscription(database.user(email="new@example.com"), SOON)

    ending = desk.run(REMINDER)

    assert mails.recipients == ["ada@example.com", "new@example.com"]
    assert (ending["result"]["processed"], ending["result"]["successful"]) == (1, 1)
    assert sent(database, one)
    assert desk.run(REMINDER)["result"]["message"] == "no reminder is due"


def test_a_state_folder_that_is_lost_reminds_no_user_twice(
    desk: Desk, database: SiteDatabase, mails: Mails
) -> None:
    database.subscription(database.user(), SOON)
    desk.run(REMINDER)
    shutil.rmtree(desk.folder / ".jobctl")

    assert desk.run(REMINDER)["result"]["message"] == "no reminder is due"
    assert len(mails.taken) == 1
