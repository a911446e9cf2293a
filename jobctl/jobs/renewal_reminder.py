"""``subscription-renewal-reminder``: mails each user once a period whose subscription renews within 7 days.

What was reminded is kept in the site's own history: a row ``renewal_reminder_sent`` with the end date of the period.
The column of that name alone cannot say it, for the site never resets it after a renewal.

A subscription is claimed first, by that row and the column in one transaction; then the mail is sent; what was not
sent is released: its row is deleted. So two processes, on one machine or on two, never mail the same user, and no
reminder is lost with a killed one.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from jobctl.clock import SystemClock, iso
from jobctl.jobs.mailing import IN_DOUBT, Mailing, may_have_gone
from jobctl.jobs.subscriptions import Subscription, new_mark, pages, subscription_of, with_users
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.database.session import Database
from jobctl.site.database.tables import subscription_history, subscriptions

REMINDED, PAID = "renewal_reminder_sent", "payment_succeeded"
AHEAD = timedelta(days=7)
PAGE = 1000
BATCH = 100


def renewal_reminder(*, dry_run: bool = False) -> JobResult:
    """Send the reminders that are due.

    Args:
        dry_run: say who would get what, and send nothing.

    Raises:
        ServiceError: the database or the mail provider does not answer; nothing that was sent is lost.
        PermanentJobError: a login is wrong, a table is missing.
    """
    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    now = SystemClock().now()
    if dry_run:
        return _would_send(database, now)
    with Mailing(project, "renewal_reminder") as mailing:
        job = _Reminders(database, mailing, now)
        job.settle()
        job.send()
        tally = mailing.tally
    processed = tally.sent + tally.failed
    message = (
        f"{tally.sent} of {processed} reminders sent by {mailing.place}" if processed else "nobody is due"
    )
    print(message)
    return JobResult(
        success=tally.failed == 0,
        processed=processed,
        successful=tally.sent,
        failed=tally.failed,
        errors=tuple(tally.errors),
        message=message,
        details=tally.details,
        retry=False,  # who was refused now is tried again tomorrow, as long as the seven days last
    )


class _Reminders:
    def __init__(self, database: Database, mailing: Mailing, now: datetime) -> None:
        self._database = database
        self._mailing = mailing
        self._now = now

    def settle(self) -> None:
        """What a killed process had claimed is given back, so that it is due again."""
        for mark, ids in self._mailing.left_behind().items():
            self._release(ids, mark)

    def send(self) -> None:
        """Page after page, by end date, to the last. What is claimed is read anew."""
        for page in _due(self._database, self._now):
            for start in range(0, len(page), BATCH):
                mark = new_mark(self._now)
                self._send_all(self._claim(page[start : start + BATCH], mark), mark)

    def _claim(self, batch: Sequence[Subscription], mark: datetime) -> list[Subscription]:
        ids = [one.id for one in batch]
        self._mailing.journal.claim(ids, mark)
        table = subscriptions.c
        # locked, so that whoever comes second sees in the history what the first has claimed
        lock = (
            with_users()
            .where(table.id.in_(ids), ending(self._database.tenant_id, self._now))
            .order_by(table.id)
            .with_for_update(of=subscriptions)
        )
        own = select(subscription_history.c.subscription_id).where(*_claimed(ids, mark))

        def claim(connection: Connection) -> list[Subscription]:
            rows = [subscription_of(row) for row in connection.execute(lock)]
            # what an earlier try has committed whose answer was lost
            before = set(connection.execute(own).scalars())
            new = unreminded(connection, [one for one in rows if one.id not in before])
            ids = [one.id for one in new]
            if ids:
                marked = {"renewal_reminder_sent": True, "updated_at": mark}
                connection.execute(update(subscriptions).where(table.id.in_(ids)).values(**marked))
                connection.execute(insert(subscription_history), [self._history(one, mark) for one in new])
            return [one for one in rows if one.id in before.union(ids)]

        claimed = self._database.transact(claim)
        kept = {one.id for one in claimed}
        if others := [one for one in ids if one not in kept]:
            self._mailing.journal.done(others)
        return claimed

    def _history(self, one: Subscription, mark: datetime) -> dict[str, object]:
        return {
            "id": str(uuid4()),
            "subscription_id": one.id,
            "action": REMINDED,
            "previous_status": "active",
            "new_status": "active",
            "previous_plan": one.plan,
            "new_plan": one.plan,
            "reason": "Renewal reminder sent",
            "metadata": json.dumps({"source": "jobctl", "endDate": iso(one.end)}),
            "created_at": mark,
            "tenant_id": self._database.tenant_id,
        }

    def _send_all(self, claimed: Sequence[Subscription], mark: datetime) -> None:
        """Send a claimed batch; whatever was surely not sent is given back, come what may."""
        mailing = self._mailing
        waiting = {one.id: one for one in claimed}
        unsent: list[str] = []
        try:
            for one in claimed:
                if not self._send(one):
                    unsent.append(one.id)
                del waiting[one.id]
                mailing.in_doubt = None
        finally:
            doubtful = mailing.in_doubt
            if doubtful is not None:
                mailing.tally.fail(may_have_gone(doubtful), IN_DOUBT)
                mailing.journal.done([doubtful])
            give_back = [one for one in (*unsent, *waiting) if one != doubtful]
            if give_back:
                self._release(give_back, mark)

    def _send(self, one: Subscription) -> bool:
        key = one.key("renewal-reminder", self._database.tenant_id)
        return self._mailing.send(one.id, key, one.address, one.name, one.facts())

    def _release(self, ids: list[str], mark: datetime) -> None:
        """Make them due again. The row in the history tells whether the claim was made, whatever the site did since."""
        claims = delete(subscription_history).where(*_claimed(ids, mark))

        table = subscriptions.c

        def release(connection: Connection) -> None:
            made = (
                connection.execute(claims.returning(subscription_history.c.subscription_id)).scalars().all()
            )
            # an older jobctl wrote no history: the mark alone identifies its claims
            ours = table.id.in_(ids), or_(table.id.in_(made), table.updated_at == mark)
            connection.execute(update(subscriptions).where(*ours).values(renewal_reminder_sent=False))

        self._database.transact(release)
        self._mailing.journal.done(ids)


def ending(tenant_id: str, now: datetime) -> ColumnElement[bool]:
    """Active, and renewing by itself within 7 days."""
    table = subscriptions.c
    return and_(
        table.tenant_id == tenant_id,
        table.status == "active",
        table.auto_renewal.is_(True),
        table.end_date >= now,
        table.end_date <= now + AHEAD,
    )


def unreminded(connection: Connection, rows: Sequence[Subscription]) -> list[Subscription]:
    """Those without a reminder for this end date.

    Where the history has no reminder of ours, the column counts unless it is older than this period: set before the
    seven days began, or before the newest payment. Whoever set it, the site or an older jobctl, also set ``updated_at``.
    """
    history = subscription_history.c
    query = select(history.subscription_id, history.action, history.metadata, history.created_at).where(
        history.subscription_id.in_([one.id for one in rows]), history.action.in_([REMINDED, PAID])
    )
    reminded: dict[str, set[str]] = {}
    paid: dict[str, datetime] = {}
    for one in connection.execute(query):
        if one.action == PAID:
            paid[one.subscription_id] = max(one.created_at, paid.get(one.subscription_id, one.created_at))
        else:
            reminded.setdefault(one.subscription_id, set()).add(_end_date(one.metadata))

    def is_due(one: Subscription) -> bool:
        if one.id in reminded:
            return iso(one.end) not in reminded[one.id]
        renewed = one.id in paid and paid[one.id] >= one.changed
        return not one.reminder_flag or one.changed < one.end - AHEAD or renewed

    return [one for one in rows if is_due(one)]


def _end_date(metadata: str | None) -> str:
    try:
        return str(json.loads(metadata or "{}")["endDate"])
    except (ValueError, TypeError, KeyError):
        return ""


def _claimed(ids: Collection[str], mark: datetime) -> tuple[ColumnElement[bool], ...]:
    """The rows in the history that one claim wrote."""
    history = subscription_history.c
    return history.subscription_id.in_(ids), history.action == REMINDED, history.created_at == mark


def _due(database: Database, now: datetime) -> Iterator[list[Subscription]]:
    for page in pages(database, ending(database.tenant_id, now), PAGE):
        if rows := database.read(partial(unreminded, rows=page)):
            yield rows


def _would_send(database: Database, now: datetime) -> JobResult:
    """Nothing is claimed, nothing sent."""
    count = 0
    for page in _due(database, now):
        for one in page:
            address = one.address or "(no mail address)"
            print(f"{address}  {one.plan}, renews {iso(one.end)}, subscription {one.reference}")
        count += len(page)
    message = f"would remind {count} subscriptions that renew by {iso(now + AHEAD)} (nothing was sent)"
    print(message)
    return JobResult(processed=count, message=message, details={"dry_run": True})
