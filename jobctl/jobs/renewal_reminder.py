"""``subscription-renewal-reminder``: mails each user once whose subscription renews within 7 days.

A row is claimed first, by setting ``renewal_reminder_sent`` with an ``updated_at`` that only this
claim has; then the mail is sent; what was not sent is released by that same mark. So two processes,
on one machine or on two, never mail the same user, and a killed one loses nobody.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, update

from jobctl.clock import iso
from jobctl.database.session import Database
from jobctl.database.tables import subscriptions
from jobctl.jobs.due_subscriptions import (
    Subscription,
    claiming,
    new_mark,
    subscription_of,
    with_users,
)
from jobctl.jobs.here import Here
from jobctl.jobs.mailing import Mailing, may_have_gone, send_all
from jobctl.jobs.outgoing import Step
from jobctl.model import JobResult

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
    here = Here.find()
    now = here.now()
    if dry_run:
        return _would_send(here.database, now)
    with Mailing(here, "renewal_reminder") as mailing:
        job = _Reminders(here.database, mailing, now)
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
        retry=False,  # who was refused now is tried again tomorrow, as long as the seven days last
    )


class _Reminders:
    def __init__(self, database: Database, mailing: Mailing, now: datetime) -> None:
        self._database = database
        self._mailing = mailing
        self._now = now
        self._mark = now

    def settle(self) -> None:
        """What a killed process had claimed: sent again where that is harmless or it was not yet sent."""
        left = self._mailing.journal.left()
        unsure = [one for one in left if one.step is Step.HANDING and not self._mailing.repeatable]
        for one in unsure:
            self._mailing.tally.tell(may_have_gone(one.id))
        again = [one for one in left if one not in unsure]
        for mark in {one.mark for one in again}:
            self._release([one.id for one in again if one.mark == mark], mark)
        self._mailing.journal.done([one.id for one in unsure])

    def send(self) -> None:
        """Batch after batch, by end date, until nobody is left. What is claimed is looked at anew."""
        last: tuple[datetime, str] | None = None
        while page := self._due(last):
            last = (page[-1].end, page[-1].id)
            for start in range(0, len(page), BATCH):
                claimed = self._claim(page[start : start + BATCH])
                send_all(self._mailing, claimed, self._send, self._give_back)

    def _due(self, last: tuple[datetime, str] | None) -> list[Subscription]:
        query = _in_order(self._database.tenant_id, self._now, last).limit(PAGE)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [subscription_of(row) for row in rows]

    def _claim(self, batch: Sequence[Subscription]) -> list[Subscription]:
        self._mark = new_mark(self._now)
        ids = [one.id for one in batch]
        self._mailing.journal.claim(ids, self._mark)
        statement = (
            update(subscriptions)
            .where(subscriptions.c.id.in_(ids), due(self._database.tenant_id, self._now))
            .values(renewal_reminder_sent=True, updated_at=self._mark)
            .returning(subscriptions.c.id)
        )
        claimed = self._database.transact(claiming(statement, ids, self._mark))
        others = [one.id for one in batch if one.id not in claimed]
        if others:
            self._mailing.journal.done(others)
        return [one for one in batch if one.id in claimed]

    def _send(self, one: Subscription) -> bool:
        key = f"renewal-reminder/{self._database.tenant_id}/{one.id}/{one.end:%Y%m%dT%H%M%S}"
        return self._mailing.send(one.id, key, one.address, one.name, one.facts())

    def _give_back(self, ids: list[str]) -> None:
        kept = len(ids) - self._release(ids, self._mark)
        if kept:
            print(f"{kept} of {len(ids)} were changed by the site meanwhile and are left as they are")

    def _release(self, ids: list[str], mark: datetime) -> int:
        """Give rows back that are still as their claim left them; how many were."""
        statement = (
            update(subscriptions)
            .where(
                subscriptions.c.id.in_(ids),
                subscriptions.c.updated_at == mark,
                subscriptions.c.renewal_reminder_sent.is_(True),
            )
            .values(renewal_reminder_sent=False)
        )
        released = self._database.transact(lambda connection: connection.execute(statement).rowcount)
        self._mailing.journal.done(ids)
        return released


def due(tenant_id: str, now: datetime) -> ColumnElement[bool]:
    """Active, renewing by itself within 7 days, not yet reminded."""
    table = subscriptions.c
    return and_(
        table.tenant_id == tenant_id,
        table.status == "active",
        table.auto_renewal.is_(True),
        or_(table.renewal_reminder_sent.is_(False), table.renewal_reminder_sent.is_(None)),
        table.end_date >= now,
        table.end_date <= now + AHEAD,
    )


def _in_order(tenant_id: str, now: datetime, last: tuple[datetime, str] | None) -> Any:
    table = subscriptions.c
    query = with_users().where(due(tenant_id, now)).order_by(table.end_date, table.id)
    if last is None:
        return query
    end, row_id = last
    return query.where(or_(table.end_date > end, and_(table.end_date == end, table.id > row_id)))


def _would_send(database: Database, now: datetime) -> JobResult:
    """Nothing is claimed, nothing sent."""
    count = 0
    last: tuple[datetime, str] | None = None
    while True:
        query = _in_order(database.tenant_id, now, last).limit(500)
        rows = database.read(lambda connection: connection.execute(query).all())  # noqa: B023
        if not rows:
            break
        for row in rows:
            one = subscription_of(row)
            address = one.address or "(no mail address)"
            print(f"{address}  {one.plan}, renews {iso(one.end)}, subscription {one.reference}")
        count += len(rows)
        last = (rows[-1].end_date, rows[-1].id)
    message = f"would remind {count} subscriptions that renew by {iso(now + AHEAD)} (nothing was sent)"
    print(message)
    return JobResult(processed=count, message=message, details={"dry_run": True})
