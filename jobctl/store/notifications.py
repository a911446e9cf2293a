"""The list of notifications that were sent. Each function works inside the caller's transaction."""

from collections.abc import Iterable

from jobctl.clock import to_ms
from jobctl.model import SentNotification
from jobctl.store.connection import Connection
from jobctl.store.rows import notification_of

_COLUMNS = "at, job_id, run_id, event, channel, receiver, error"


def record(connection: Connection, sent: Iterable[SentNotification]) -> None:
    """Add notifications."""
    connection.executemany(
        f"INSERT INTO notifications ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (to_ms(each.at), each.job_id, each.run_id, each.event, each.channel, each.receiver, each.error)
            for each in sent
        ],
    )


def newest(connection: Connection, job_id: str, limit: int) -> list[SentNotification]:
    """Those about a job, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM notifications WHERE job_id = ? ORDER BY id DESC LIMIT {limit:d}", (job_id,)
    )
    return [notification_of(row) for row in rows]


def prune(connection: Connection, before: int) -> None:
    """Remove those from before ``before`` (ms since 1970). The last of each job stays."""
    connection.execute(
        "DELETE FROM notifications WHERE at < ?"
        " AND id < (SELECT max(id) FROM notifications AS newest WHERE newest.job_id = notifications.job_id)",
        (before,),
    )
