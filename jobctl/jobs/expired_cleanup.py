"""``subscription-expired-cleanup``: ends the subscriptions whose time is over, and tells their users.

With renewal on, or unsaid, a subscription that ended was not paid again: ``expired``. With renewal off
it was left to end: ``cancelled``. A row and its history row are one transaction. Both are the
template's two code paths in one job.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from jobctl.clock import iso
from jobctl.database.session import Database
from jobctl.database.tables import subscription_history, subscriptions
from jobctl.errors import JobctlError
from jobctl.jobs.due_subscriptions import Subscription, new_mark, subscription_of, with_users
from jobctl.jobs.here import Here
from jobctl.jobs.mailing import Mailing, may_have_gone
from jobctl.jobs.outgoing import Step
from jobctl.mail.choose import unmet as unmet_mail
from jobctl.model import JobResult

PAGE = 5000
BATCH = 200
_TOLD = 1000
_PRINTED = 100
_REASONS = {
    "expired": "Subscription expired - end date passed without a renewal",
    "cancelled": "Subscription ended with auto-renewal off",
}


def expired_cleanup(*, dry_run: bool = False) -> JobResult:
    """End what is over.

    Args:
        dry_run: say which rows would be ended, and why, and change nothing.

    Raises:
        ServiceError: the database does not answer. What was ended before stays ended.
        PermanentJobError: a login is wrong, a table is missing.
    """
    here = Here.find()
    cleanup = _Cleanup(here.database, here.now())
    if dry_run:
        cleanup.look()
        verb = "would end"
    else:
        with ExitStack() as stack:
            cleanup.end(_mailing(here, stack, cleanup.errors))
        verb = "ended"
    counts = ", ".join(f"{count} {status}" for status, count in cleanup.counts.items() if count)
    message = f"{verb} {sum(cleanup.counts.values())} subscriptions" + (f": {counts}" if counts else "")
    print(message)
    number = sum(cleanup.counts.values())
    return JobResult(
        processed=number,
        successful=0 if dry_run else number,
        errors=tuple(cleanup.errors),
        message=message,
        details={**cleanup.counts, "mails": cleanup.mails, "affected": cleanup.affected, "dry_run": dry_run},
    )


def _mailing(here: Here, stack: ExitStack, errors: list[str]) -> Mailing | None:
    """What tells the users, if anything can: trouble with mail is told, and ends no less."""
    missing = unmet_mail(here.environment)
    if missing is None:
        try:
            return stack.enter_context(Mailing(here, "subscription_ended"))
        except JobctlError as error:
            missing = error.problem
            errors.append(f"nobody was told by mail: {missing}")
    print(f"nobody is told by mail: {missing}")
    return None


@dataclass
class _Cleanup:
    database: Database
    now: datetime
    counts: dict[str, int] = field(default_factory=lambda: {"expired": 0, "cancelled": 0})
    affected: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mails: int = 0

    def __post_init__(self) -> None:
        self._mark = self.now
        self._mail_trouble = False

    def look(self) -> None:
        """What would be done."""
        last: tuple[datetime, str] | None = None
        while rows := self._over(last):
            self._tell(rows)
            last = (rows[-1].end, rows[-1].id)

    def end(self, mailing: Mailing | None) -> None:
        """Page after page, batch after batch, each in one transaction, then its mails."""
        if mailing is not None:
            self._settle(mailing)
        last: tuple[datetime, str] | None = None
        while page := self._over(last):
            last = (page[-1].end, page[-1].id)
            for start in range(0, len(page), BATCH):
                self._end_and_mail(page[start : start + BATCH], mailing)

    def _end_and_mail(self, rows: Sequence[Subscription], mailing: Mailing | None) -> None:
        self._mark = new_mark(self.now)
        if mailing is not None:
            mailing.journal.claim((one.id for one in rows), self._mark)
        ended = self._end(rows)
        self._tell(ended)
        if mailing is not None:
            kept = {one.id for one in ended}
            mailing.journal.done(one.id for one in rows if one.id not in kept)
            self._mail(mailing, ended)

    def _over(self, last: tuple[datetime, str] | None) -> list[Subscription]:
        table = subscriptions.c
        query = with_users().where(over(self.database.tenant_id, self.now))
        if last is not None:
            query = query.where(
                or_(table.end_date > last[0], and_(table.end_date == last[0], table.id > last[1]))
            )
        query = query.order_by(table.end_date, table.id).limit(PAGE)
        rows = self.database.read(lambda connection: connection.execute(query).all())
        return [subscription_of(row) for row in rows]

    def _end(self, rows: Sequence[Subscription]) -> list[Subscription]:
        """Those that are still over and that nobody else ended meanwhile; each with its history row."""
        statements = {
            status: self._update([one.id for one in rows if status_of(one) == status], status)
            for status in _REASONS
        }
        marked = select(subscriptions.c.id).where(
            subscriptions.c.id.in_([one.id for one in rows]), subscriptions.c.updated_at == self._mark
        )

        def end(connection: Connection) -> list[Subscription]:
            changed = {row for one in statements.values() for row in connection.execute(one).scalars()}
            history = [self._history(one) for one in rows if one.id in changed]
            if history:
                connection.execute(insert(subscription_history), history)
            # also what an earlier try has committed whose answer was lost: its history is there
            ended = set(connection.execute(marked).scalars())
            return [one for one in rows if one.id in ended]

        return self.database.transact(end)

    def _update(self, ids: list[str], status: str) -> ReturningUpdate[Any]:
        table = subscriptions.c
        values: dict[str, Any] = {"status": status, "updated_at": self._mark}
        if status == "cancelled":
            values |= {"cancelled_at": self.now, "cancel_reason": _REASONS[status]}
        renewal = table.auto_renewal.is_(False) if status == "cancelled" else table.auto_renewal.is_not(False)
        return (
            update(subscriptions)
            .where(table.id.in_(ids), over(self.database.tenant_id, self.now), renewal)
            .values(**values)
            .returning(table.id)
        )

    def _history(self, one: Subscription) -> dict[str, Any]:
        status = status_of(one)
        return {
            "id": str(uuid4()),
            "subscription_id": one.id,
            "action": f"subscription_{status}",
            "previous_status": "active",
            "new_status": status,
            "previous_plan": one.plan,
            "new_plan": "free",
            "reason": _REASONS[status],
            "metadata": json.dumps(
                {"source": "jobctl", "endDate": iso(one.end), "autoRenewal": one.auto_renewal}
            ),
            "created_at": self.now,
            "tenant_id": self.database.tenant_id,
        }

    def _tell(self, rows: Sequence[Subscription]) -> None:
        for one in rows:
            status = status_of(one)
            self.counts[status] += 1
            if sum(self.counts.values()) <= _PRINTED:
                print(f"{one.id}: {status}, plan {one.plan}, ended {iso(one.end)}: {_REASONS[status]}")
            if len(self.affected) < _TOLD:
                self.affected.append(
                    {
                        "subscriptionId": one.id,
                        "userId": one.user_id,
                        "planId": one.plan,
                        "status": status,
                        "reason": _REASONS[status],
                    }
                )

    # Mails: a failed one is told, and fails nothing

    def _settle(self, mailing: Mailing) -> None:
        """The mails of rows that a killed process had ended."""
        left = mailing.journal.left()
        unsure = {one.id for one in left if one.step is Step.HANDING and not mailing.repeatable}
        self.errors += [may_have_gone(one) for one in sorted(unsure)]
        mailing.journal.done(unsure)
        for mark in {one.mark for one in left if one.id not in unsure}:
            ids = [one.id for one in left if one.mark == mark and one.id not in unsure]
            table = subscriptions.c
            query = with_users().where(
                table.id.in_(ids), table.updated_at == mark, table.status.in_(("expired", "cancelled"))
            )
            rows = self.database.read(lambda connection: connection.execute(query).all())  # noqa: B023
            ended = [subscription_of(row) for row in rows]
            kept = {one.id for one in ended}
            mailing.journal.done(one for one in ids if one not in kept)
            self._mail(mailing, ended)

    def _mail(self, mailing: Mailing, ended: Sequence[Subscription]) -> None:
        """What could not be sent stays in the journal: the next run sends it."""
        before = len(mailing.tally.errors)
        handled = []
        for one in ended:
            if self._mail_trouble:
                break
            key = f"subscription-ended/{self.database.tenant_id}/{one.id}/{one.end:%Y%m%dT%H%M%S}"
            try:
                mailing.send(one.id, key, one.address, one.name, {**one.facts(), "status": status_of(one)})
            except JobctlError as error:
                self._mail_trouble = True
                mailing.tally.tell(f"no further mail was sent: {error.problem}")
                if mailing.in_doubt != one.id:
                    break
            handled.append(one.id)
        self.mails = mailing.tally.sent
        self.errors += mailing.tally.errors[before:]
        mailing.journal.done(handled)


def status_of(one: Subscription) -> str:
    """What a subscription that is over becomes."""
    return "expired" if one.auto_renewal else "cancelled"


def over(tenant_id: str, now: datetime) -> ColumnElement[bool]:
    """Active, and past its end; with renewal off the very instant counts too, as in the template."""
    table = subscriptions.c
    return and_(
        table.tenant_id == tenant_id,
        table.status == "active",
        or_(table.end_date < now, and_(table.auto_renewal.is_(False), table.end_date <= now)),
    )
