"""``subscription-expired-cleanup``: ends subscriptions that are past their end date, and mails their users.

With auto-renewal on or unset, the subscription was not paid again: it becomes ``expired``. With auto-renewal
off it becomes ``cancelled``. The subscription and its history row change in the same transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from jobctl.clock import SystemClock, local
from jobctl.errors import JobctlError
from jobctl.jobs.mailing import NOT_SENT, Mailing, MailTally
from jobctl.jobs.subscriptions import Subscription, fetch, new_mark, subscription_pages, with_users
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.run_context import progress_if_any
from jobctl.site.database.session import Database
from jobctl.site.database.tables import subscription_history, subscriptions
from jobctl.site.mail.providers import unmet as unmet_mail
from jobctl.text import counted

PAGE = 5000
BATCH = 200
_MOST_AFFECTED = 1000
_MOST_PRINTED = 100
_REASONS = {
    "expired": "Subscription expired - end date passed without a renewal",
    "cancelled": "Subscription ended with auto-renewal off",
}


def expired_cleanup(*, dry_run: bool = False) -> JobResult:
    """End the subscriptions that are past their end date.

    Args:
        dry_run: print which ones would be ended and why, and change nothing.

    Raises:
        ServiceError: the database does not answer. What was ended before stays ended.
        PermanentJobError: a login is wrong, a table is missing.
    """
    project = ProjectContext.of_worker()
    cleanup = Cleanup(Database.open(project.environment, project.folder), SystemClock().now())
    tally = MailTally()
    if dry_run:
        cleanup.dry_run()
    else:
        with ExitStack() as stack:
            mailing = _open_mailing(project, stack, tally)
            tally = mailing.tally if mailing else tally
            cleanup.run(mailing)
    number = sum(cleanup.counts.values())
    counts = ", ".join(f"{count} {status}" for status, count in cleanup.counts.items() if count)
    message = f"{'would end' if dry_run else 'ended'} {counted(number, 'subscription')}" + (
        counts and f": {counts}"
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


def _open_mailing(project: ProjectContext, stack: ExitStack, tally: MailTally) -> Mailing | None:
    """Mail errors are reported and never stop the cleanup."""
    missing = unmet_mail(project.environment)
    if missing is not None:
        print(f"users are not notified by mail: {missing}")
        return None
    try:
        return stack.enter_context(Mailing(project, "subscription_ended"))
    except JobctlError as error:
        tally.report(f"users were not notified by mail: {error.problem}", NOT_SENT)
        return None


@dataclass
class Cleanup:
    """One run of the job.

    Attributes:
        counts: ended subscriptions, by their new status.
        affected: at most 1,000 of them, in the fields of the site's own job.
    """

    database: Database
    now: datetime
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_REASONS, 0))
    affected: list[dict[str, str]] = field(default_factory=list)
    _mail_failed: bool = False

    def dry_run(self) -> None:
        """Print and count what would be ended."""
        for page in self._pages():
            self._report(page)

    def run(self, mailing: Mailing | None) -> None:
        """End all, batch by batch: one transaction, then its mails."""
        if mailing is not None:
            self._send_left_behind(mailing)
        for page in self._pages():
            for start in range(0, len(page), BATCH):
                self._end_and_mail(page[start : start + BATCH], mailing)

    def _pages(self) -> Iterator[list[Subscription]]:
        return subscription_pages(self.database, is_over(self.database.tenant_id, self.now), PAGE)

    def _end_and_mail(self, batch: Sequence[Subscription], mailing: Mailing | None) -> None:
        mark = new_mark(self.now)
        if mailing is not None:
            mailing.journal.claim((subscription.id for subscription in batch), mark)
        ended = self._end(batch, mark)
        self._report(ended)
        progress_if_any(sum(self.counts.values()), note="subscriptions ended")
        if mailing is not None:
            self._mail(mailing, [subscription.id for subscription in batch], ended)

    def _end(self, batch: Sequence[Subscription], mark: datetime) -> list[Subscription]:
        """End those that still match and that no other process ended meanwhile, each with its history row."""
        statements = [
            self._update(
                [subscription.id for subscription in batch if status_of(subscription) == status], status, mark
            )
            for status in _REASONS
        ]
        marked = select(subscriptions.c.id).where(
            subscriptions.c.id.in_([subscription.id for subscription in batch]),
            subscriptions.c.updated_at == mark,
        )

        def end(connection: Connection) -> list[Subscription]:
            changed = {row for update_ in statements for row in connection.execute(update_).scalars()}
            history = [
                self._history_row(subscription) for subscription in batch if subscription.id in changed
            ]
            if history:
                connection.execute(insert(subscription_history), history)
            # includes the rows of an earlier try that was committed but whose answer was lost
            ended = set(connection.execute(marked).scalars())
            return [subscription for subscription in batch if subscription.id in ended]

        return self.database.transact(end)

    def _update(self, ids: list[str], status: str, mark: datetime) -> ReturningUpdate[Any]:
        table = subscriptions.c
        values: dict[str, Any] = {"status": status, "updated_at": mark}
        renewal = table.auto_renewal.is_not(False)
        if status == "cancelled":
            values |= {"cancelled_at": self.now, "cancel_reason": _REASONS[status]}
            renewal = table.auto_renewal.is_(False)
        still_over = is_over(self.database.tenant_id, self.now)
        return (
            update(subscriptions)
            .where(table.id.in_(ids), still_over, renewal)
            .values(**values)
            .returning(table.id)
        )

    def _history_row(self, subscription: Subscription) -> dict[str, Any]:
        status = status_of(subscription)
        return subscription.history_row(
            self.database.tenant_id, f"subscription_{status}", self.now, _REASONS[status],
            status=status, plan="free", autoRenewal=subscription.auto_renewal,
        )  # fmt: skip

    def _report(self, rows: Sequence[Subscription]) -> None:
        for subscription in rows:
            status = status_of(subscription)
            self.counts[status] += 1
            if sum(self.counts.values()) <= _MOST_PRINTED:
                print(
                    f"{subscription.id}: {status}, plan {subscription.plan}, ended {local(subscription.end)}: {_REASONS[status]}"
                )
            if len(self.affected) < _MOST_AFFECTED:
                self.affected.append(
                    {
                        "subscriptionId": subscription.id,
                        "userId": subscription.user_id,
                        "planId": subscription.plan,
                        "status": status,
                        "reason": _REASONS[status],
                    }
                )

    def _send_left_behind(self, mailing: Mailing) -> None:
        """Send the mails for subscriptions that a killed process ended."""
        table = subscriptions.c
        for mark, ids in mailing.left_behind().items():
            query = with_users().where(
                table.id.in_(ids), table.updated_at == mark, table.status.in_(tuple(_REASONS))
            )
            self._mail(mailing, ids, self.database.read(partial(fetch, query=query)))

    def _mail(self, mailing: Mailing, claimed: Iterable[str], ended: Sequence[Subscription]) -> None:
        """Notify the users. A mail that cannot be sent stays in the journal for the next run."""
        unsent = {subscription.id for subscription in ended}
        mailing.journal.done(row_id for row_id in claimed if row_id not in unsent)
        handled = []
        for subscription in ended:
            if self._mail_failed:
                break
            key = subscription.key("subscription-ended", self.database.tenant_id)
            try:
                mailing.send(
                    subscription.id,
                    key,
                    subscription.address,
                    subscription.name,
                    {**subscription.facts(), "status": status_of(subscription)},
                )
            except JobctlError as error:
                self._mail_failed = True
                mailing.tally.report(f"no further mail was sent: {error.problem}", NOT_SENT)
                if mailing.in_doubt != subscription.id:
                    break
            handled.append(subscription.id)
        mailing.journal.done(handled)


def status_of(subscription: Subscription) -> str:
    """The status of a subscription after its end."""
    return "expired" if subscription.auto_renewal else "cancelled"


def is_over(tenant_id: str, now: datetime) -> ColumnElement[bool]:
    """Active and past its end; with auto-renewal off also at the very instant, as in the Ever Works Template."""
    table = subscriptions.c
    return and_(
        table.tenant_id == tenant_id,
        table.status == "active",
        or_(table.end_date < now, and_(table.auto_renewal.is_(False), table.end_date <= now)),
    )
