"""``subscription-expired-cleanup``: ends the subscriptions whose time is over, and tells their users.

With renewal on, or unsaid, a subscription that ended was not paid again: ``expired``. With renewal off
it was left to end: ``cancelled``. A row and its history row are one transaction. Both are the
template's two code paths in one job.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from jobctl.clock import SystemClock, iso
from jobctl.errors import JobctlError
from jobctl.jobs.mailing import NOT_SENT, Mailing, Tally
from jobctl.jobs.subscriptions import Subscription, found, new_mark, pages, with_users
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.database.session import Database
from jobctl.site.database.tables import subscription_history, subscriptions
from jobctl.site.mail.providers import unmet as unmet_mail

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
    project = ProjectContext.of_worker()
    cleanup = _Cleanup(Database.open(project.environment, project.folder), SystemClock().now())
    tally = Tally()
    if dry_run:
        cleanup.look()
    else:
        with ExitStack() as stack:
            mailing = _mailing(project, stack, tally)
            tally = mailing.tally if mailing else tally
            cleanup.end(mailing)
    number = sum(cleanup.counts.values())
    counts = ", ".join(f"{count} {status}" for status, count in cleanup.counts.items() if count)
    message = f"{'would end' if dry_run else 'ended'} {number} subscriptions" + (
        f": {counts}" if counts else ""
    )
    print(message)
    return JobResult(
        processed=number,
        successful=0 if dry_run else number,
        errors=tuple(tally.errors),
        message=message,
        details={
            **cleanup.counts,
            "mails": tally.sent,
            "affected": cleanup.affected,
            "dry_run": dry_run,
            **tally.details,
        },
    )


def _mailing(project: ProjectContext, stack: ExitStack, tally: Tally) -> Mailing | None:
    """What tells the users, if anything can: trouble with mail is told, and ends no less."""
    missing = unmet_mail(project.environment)
    if missing is not None:
        print(f"nobody is told by mail: {missing}")
        return None
    try:
        return stack.enter_context(Mailing(project, "subscription_ended"))
    except JobctlError as error:
        tally.tell(f"nobody was told by mail: {error.problem}", NOT_SENT)
        return None


@dataclass
class _Cleanup:
    database: Database
    now: datetime
    counts: dict[str, int] = field(default_factory=lambda: {"expired": 0, "cancelled": 0})
    affected: list[dict[str, str]] = field(default_factory=list)
    mail_trouble: bool = False

    def look(self) -> None:
        """What would be done."""
        for page in self._pages():
            self._tell(page)

    def end(self, mailing: Mailing | None) -> None:
        """Page after page, batch after batch, each in one transaction, then its mails."""
        if mailing is not None:
            self._settle(mailing)
        for page in self._pages():
            for start in range(0, len(page), BATCH):
                self._end_and_mail(page[start : start + BATCH], mailing)

    def _pages(self) -> Iterator[list[Subscription]]:
        return pages(self.database, over(self.database.tenant_id, self.now), PAGE)

    def _end_and_mail(self, rows: Sequence[Subscription], mailing: Mailing | None) -> None:
        mark = new_mark(self.now)
        if mailing is not None:
            mailing.journal.claim((one.id for one in rows), mark)
        ended = self._end(rows, mark)
        self._tell(ended)
        if mailing is not None:
            self._mail(mailing, [one.id for one in rows], ended)

    def _end(self, rows: Sequence[Subscription], mark: datetime) -> list[Subscription]:
        """Those that are still over and that nobody else ended meanwhile; each with its history row."""
        statements = {
            status: self._update([one.id for one in rows if status_of(one) == status], status, mark)
            for status in _REASONS
        }
        marked = select(subscriptions.c.id).where(
            subscriptions.c.id.in_([one.id for one in rows]), subscriptions.c.updated_at == mark
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

    def _update(self, ids: list[str], status: str, mark: datetime) -> ReturningUpdate[Any]:
        table = subscriptions.c
        values: dict[str, Any] = {"status": status, "updated_at": mark}
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
        table = subscriptions.c
        for mark, ids in mailing.left_behind().items():
            query = with_users().where(
                table.id.in_(ids), table.updated_at == mark, table.status.in_(("expired", "cancelled"))
            )
            self._mail(mailing, ids, found(self.database, query))

    def _mail(self, mailing: Mailing, claimed: Iterable[str], ended: Sequence[Subscription]) -> None:
        """Tell the users of what was ended. What could not be sent stays in the journal for the next run."""
        unsent = {one.id for one in ended}
        mailing.journal.done(one for one in claimed if one not in unsent)
        handled = []
        for one in ended:
            if self.mail_trouble:
                break
            key = one.key("subscription-ended", self.database.tenant_id)
            try:
                mailing.send(one.id, key, one.address, one.name, {**one.facts(), "status": status_of(one)})
            except JobctlError as error:
                self.mail_trouble = True
                mailing.tally.tell(f"no further mail was sent: {error.problem}", NOT_SENT)
                if mailing.in_doubt != one.id:
                    break
            handled.append(one.id)
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
