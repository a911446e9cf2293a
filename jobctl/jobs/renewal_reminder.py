"""``subscription-renewal-reminder``: mails each user once per period whose subscription renews within 7 days.

A reminder is recorded in the site's subscription history: a row ``renewal_reminder_sent`` with the end date of the
period. The column of that name is not enough, because the site does not reset it after a renewal.

A subscription is claimed first, by that row and the column in one transaction; then the mail is sent; a claim whose
mail was not sent is released: its row is deleted. So two processes, on one machine or on two, never mail the same
user, and a killed process loses no reminder.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from jobctl.clock import SystemClock, iso, local
from jobctl.jobs.mailing import IN_DOUBT, Mailing, in_doubt_warning
from jobctl.jobs.subscriptions import Subscription, fetch, new_mark, subscription_pages, with_users
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.database.session import Database
from jobctl.site.database.tables import subscription_history, subscriptions
from jobctl.text import counted

REMINDED, PAID = "renewal_reminder_sent", "payment_succeeded"
AHEAD = timedelta(days=7)
PAGE = 1000
BATCH = 100


def renewal_reminder(*, dry_run: bool = False) -> JobResult:
    """Send the reminders that are due.

    Args:
        dry_run: print who would get a mail, and send nothing.

    Raises:
        ServiceError: the database or the mail provider does not answer; nothing that was sent is lost.
        PermanentJobError: a login is wrong, a table is missing.
    """
    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    now = SystemClock().now()
    if dry_run:
        return _dry_run(database, now)
    with Mailing(project, "renewal_reminder") as mailing:
        reminders = Reminders(database, mailing, now)
        reminders.release_left_behind()
        reminders.send()
        tally = mailing.tally
    processed = tally.sent + tally.failed
    message = "no reminder is due"
    if processed:
        message = f"{tally.sent} of {processed} reminders sent by {mailing.place}"
    print(message)
    return JobResult(
        success=tally.failed == 0,
        processed=processed,
        successful=tally.sent,
        failed=tally.failed,
        errors=tuple(tally.errors),
        message=message,
        details=tally.details,
        retry=False,  # a refused mail is tried again tomorrow, until the subscription renews
    )


class Reminders:
    """Sends all reminders that are due at ``now``."""

    def __init__(self, database: Database, mailing: Mailing, now: datetime) -> None:
        self._database = database
        self._mailing = mailing
        self._now = now

    def release_left_behind(self) -> None:
        """Release what a killed process had claimed, so that it is due again."""
        for mark, ids in self._mailing.left_behind().items():
            self._release(ids, mark)

    def send(self) -> None:
        """Send by end date, batch by batch."""
        for page in _due(self._database, self._now):
            for start in range(0, len(page), BATCH):
                mark = new_mark(self._now)
                self._send_batch(self._claim(page[start : start + BATCH], mark), mark)

    def _claim(self, batch: Sequence[Subscription], mark: datetime) -> list[Subscription]:
        """Claim those that are still due; returns them as they are now."""
        batch_ids = [subscription.id for subscription in batch]
        self._mailing.journal.claim(batch_ids, mark)
        table, tenant_id = subscriptions.c, self._database.tenant_id
        # locked, so that the second process sees in the history what the first has claimed
        lock = (
            with_users()
            .where(table.id.in_(batch_ids), renews_soon(tenant_id, self._now))
            .order_by(table.id)
            .with_for_update(of=subscriptions)
        )
        claimed_by_us = select(subscription_history.c.subscription_id).where(*_claimed(batch_ids, mark))

        def claim(connection: Connection) -> list[Subscription]:
            locked = fetch(connection, lock)
            # the rows of an earlier try that was committed but whose answer was lost
            claimed = set(connection.execute(claimed_by_us).scalars())
            new = without_reminder(connection, [row for row in locked if row.id not in claimed])
            if new:
                history = [
                    row.history_row(
                        tenant_id, REMINDED, mark, "Renewal reminder sent", status="active", plan=row.plan
                    )
                    for row in new
                ]
                ids = [row.id for row in new]
                values = {"renewal_reminder_sent": True, "updated_at": mark}
                connection.execute(update(subscriptions).where(table.id.in_(ids)).values(**values))
                connection.execute(insert(subscription_history), history)
                claimed.update(ids)
            return [row for row in locked if row.id in claimed]

        return self._database.transact(claim)

    def _send_batch(self, claimed: Sequence[Subscription], mark: datetime) -> None:
        """Send the mails of claimed subscriptions; those certainly not sent are released, whatever happens."""
        mailing = self._mailing
        waiting = {subscription.id: subscription for subscription in claimed}
        unsent: list[str] = []
        try:
            for subscription in claimed:
                key = subscription.key("renewal-reminder", self._database.tenant_id)
                facts = subscription.facts()
                if not mailing.send(subscription.id, key, subscription.address, subscription.name, facts):
                    unsent.append(subscription.id)
                del waiting[subscription.id]
                mailing.in_doubt = None
        finally:
            in_doubt = mailing.in_doubt
            if in_doubt is not None:
                mailing.tally.fail(in_doubt_warning(in_doubt), IN_DOUBT)
                mailing.journal.done([in_doubt])
            released = [row_id for row_id in (*unsent, *waiting) if row_id != in_doubt]
            if released:
                self._release(released, mark)

    def _release(self, ids: list[str], mark: datetime) -> None:
        """Make them due again, if the history shows that the claim was made, whatever the site changed since."""
        table = subscriptions.c
        claims = delete(subscription_history).where(*_claimed(ids, mark))

        def release(connection: Connection) -> None:
            made = (
                connection.execute(claims.returning(subscription_history.c.subscription_id)).scalars().all()
            )
            # older versions wrote no history: the mark alone identifies their claims
            ours = table.id.in_(ids), or_(table.id.in_(made), table.updated_at == mark)
            connection.execute(update(subscriptions).where(*ours).values(renewal_reminder_sent=False))

        self._database.transact(release)
        self._mailing.journal.done(ids)


def renews_soon(tenant_id: str, now: datetime) -> ColumnElement[bool]:
    """Active, with auto-renewal, and its end within 7 days."""
    table = subscriptions.c
    return and_(
        table.tenant_id == tenant_id,
        table.status == "active",
        table.auto_renewal.is_(True),
        table.end_date >= now,
        table.end_date <= now + AHEAD,
    )


def without_reminder(connection: Connection, rows: Sequence[Subscription]) -> list[Subscription]:
    """Those without a reminder for this end date.

    Without a reminder of jobctl in the history, the column counts, unless it was set in an earlier period: before
    the seven days began, or before the newest payment. Whoever sets it, the site or an older jobctl, also sets
    ``updated_at``.
    """
    history = subscription_history.c
    query = select(history.subscription_id, history.action, history.metadata, history.created_at).where(
        history.subscription_id.in_([row.id for row in rows]), history.action.in_([REMINDED, PAID])
    )
    reminded: dict[str, set[str]] = {}
    paid: dict[str, datetime] = {}
    for entry in connection.execute(query):
        row_id = entry.subscription_id
        if entry.action == PAID:
            paid[row_id] = max(entry.created_at, paid.get(row_id, entry.created_at))
        else:
            reminded.setdefault(row_id, set()).add(_end_date(entry.metadata))

    def is_due(row: Subscription) -> bool:
        if row.id in reminded:
            return iso(row.end) not in reminded[row.id]
        renewed = row.id in paid and paid[row.id] >= row.changed
        return not row.reminder_flag or row.changed < row.end - AHEAD or renewed

    return [row for row in rows if is_due(row)]


def _end_date(metadata: str | None) -> str:
    try:
        return str(json.loads(metadata or "{}")["endDate"])
    except (ValueError, TypeError, KeyError):
        return ""


def _claimed(ids: Collection[str], mark: datetime) -> tuple[ColumnElement[bool], ...]:
    """The history rows of one claim."""
    history = subscription_history.c
    return history.subscription_id.in_(ids), history.action == REMINDED, history.created_at == mark


def _due(database: Database, now: datetime) -> Iterator[list[Subscription]]:
    for page in subscription_pages(database, renews_soon(database.tenant_id, now), PAGE):
        if rows := database.read(partial(without_reminder, rows=page)):
            yield rows


def _dry_run(database: Database, now: datetime) -> JobResult:
    count = 0
    for page in _due(database, now):
        for row in page:
            address = row.address or "(no mail address)"
            print(f"{address}  {row.plan}, renews {local(row.end)}, subscription {row.reference}")
        count += len(page)
    message = (
        f"would remind of {counted(count, 'subscription')}, due by {local(now + AHEAD)} (nothing was sent)"
    )
    print(message)
    return JobResult(processed=count, message=message, details={"dry_run": True})
