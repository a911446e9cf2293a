"""``subscription-renewal-reminder``: mails each user once whose subscription renews within 7 days.

A row is claimed first, by setting ``renewal_reminder_sent`` with an ``updated_at`` that only this
claim has; then the mail is sent; what was not sent is released by that same mark. So two processes,
on one machine or on two, never mail the same user, and a killed one loses nobody.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from jobctl.clock import iso
from jobctl.database.session import Database
from jobctl.database.tables import subscriptions
from jobctl.jobs.due_subscriptions import Subscription, new_mark, pages
from jobctl.jobs.here import Here
from jobctl.jobs.mailing import Mailing, may_have_gone
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

    def settle(self) -> None:
        """What a killed process had claimed is given back, so that it is due again."""
        for mark, ids in self._mailing.left_behind().items():
            self._release(ids, mark)

    def send(self) -> None:
        """Batch after batch, by end date, until nobody is left. What is claimed is looked at anew."""
        for page in pages(self._database, due(self._database.tenant_id, self._now), PAGE):
            for start in range(0, len(page), BATCH):
                mark = new_mark(self._now)
                self._send_all(self._claim(page[start : start + BATCH], mark), mark)

    def _claim(self, batch: Sequence[Subscription], mark: datetime) -> list[Subscription]:
        ids = [one.id for one in batch]
        self._mailing.journal.claim(ids, mark)
        table = subscriptions.c
        statement = (
            update(subscriptions)
            .where(table.id.in_(ids), due(self._database.tenant_id, self._now))
            .values(renewal_reminder_sent=True, updated_at=mark)
            .returning(table.id)
        )
        marked = select(table.id).where(table.id.in_(ids), table.updated_at == mark)
        tries = count()

        def claim(connection: Connection) -> set[str]:
            found = set(connection.execute(statement).scalars())
            if next(tries):  # the answer to a commit may have been lost: the mark tells what it claimed
                found |= set(connection.execute(marked).scalars())
            return found

        claimed = self._database.transact(claim)
        others = [one.id for one in batch if one.id not in claimed]
        if others:
            self._mailing.journal.done(others)
        return [one for one in batch if one.id in claimed]

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
                mailing.tally.fail(may_have_gone(doubtful))
                mailing.journal.done([doubtful])
            give_back = [one for one in (*unsent, *waiting) if one != doubtful]
            if give_back:
                self._give_back(give_back, mark)

    def _send(self, one: Subscription) -> bool:
        key = one.key("renewal-reminder", self._database.tenant_id)
        return self._mailing.send(one.id, key, one.address, one.name, one.facts())

    def _give_back(self, ids: list[str], mark: datetime) -> None:
        kept = len(ids) - self._release(ids, mark)
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


def _would_send(database: Database, now: datetime) -> JobResult:
    """Nothing is claimed, nothing sent."""
    count = 0
    for page in pages(database, due(database.tenant_id, now), PAGE):
        for one in page:
            address = one.address or "(no mail address)"
            print(f"{address}  {one.plan}, renews {iso(one.end)}, subscription {one.reference}")
        count += len(page)
    message = f"would remind {count} subscriptions that renew by {iso(now + AHEAD)} (nothing was sent)"
    print(message)
    return JobResult(processed=count, message=message, details={"dry_run": True})
