"""Logs that the run store keeps, for ``JOBCTL_LOGS=store``: each is a copy of its log file, made piece by piece."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from jobctl.store.pruning import Transaction

if TYPE_CHECKING:
    from jobctl.store.connection import Connection

_BUFFER = 256 * 1024
_NEWEST = "SELECT {} FROM logs l WHERE l.run_id = {} ORDER BY l.position DESC LIMIT 1"
_END = _NEWEST.format("l.position + octet_length(l.data)", "{}")
_APPEND = f"""
INSERT INTO logs (run_id, position, data, ends_attempt)
SELECT p.run_id, p.position, p.data, p.attempt
FROM unnest(CAST(? AS text[]), CAST(? AS bigint[]), CAST(? AS bytea[]), CAST(? AS int[]))
  AS p (run_id, position, data, attempt) JOIN runs r ON r.id = p.run_id
WHERE octet_length(p.data) > 0 AND p.position = coalesce(({_END.format("p.run_id")}), 0)
ON CONFLICT DO NOTHING
"""
_MARK_END = f"""
UPDATE logs SET ends_attempt = p.attempt
FROM unnest(CAST(? AS text[]), CAST(? AS int[])) AS p (run_id, attempt)
WHERE logs.run_id = p.run_id AND logs.position = ({_NEWEST.format("l.position", "p.run_id")})
"""
_ENDS = f"""
SELECT r.id, coalesce(({_END.format("r.id")}), 0), ({_NEWEST.format("l.ends_attempt", "r.id")})
FROM runs r WHERE r.id = ANY(CAST(? AS text[]))
"""
_FROM = """
SELECT substring(data FROM CAST(greatest(:position - position, 0) + 1 AS int)) FROM logs
WHERE run_id = :run AND position >= coalesce(
  (SELECT max(position) FROM logs WHERE run_id = :run AND position <= :position), 0
) AND position < :position + :size AND position + octet_length(data) > :position
ORDER BY position
"""
_TRIM = """
DELETE FROM logs WHERE run_id IN (
  SELECT id FROM (
    SELECT r.id, r.status, sum(kept.size) OVER (ORDER BY r.seq DESC) AS size
    FROM runs r JOIN (SELECT run_id, sum(octet_length(data)) AS size FROM logs GROUP BY run_id) AS kept
      ON kept.run_id = r.id
    WHERE r.job_id = ?
  ) AS summed WHERE size > ? AND status <> 'running'
)
"""


class LogPiece(NamedTuple):
    """A part of a run's log file.

    Attributes:
        position: where it begins in the file, in bytes.
        ends_attempt: the number of the attempt whose output ends with it; None: more may follow.
    """

    run_id: str
    position: int
    data: bytes
    ends_attempt: int | None = None


class LogEnd(NamedTuple):
    """How much of a log the store has.

    Attributes:
        position: the end, in bytes.
        attempt: the attempt whose output is whole; None: more may follow.
    """

    position: int
    attempt: int | None


class StoredLogs:
    """The table of logs. Its transactions wait for no other writer, and none waits for them.

    Every method may raise ``StoreError``.

    Args:
        reading: begins a transaction that reads.
        appending: begins a short one that may be repeated when its commit is in doubt.
    """

    def __init__(self, reading: Transaction, appending: Transaction) -> None:
        self._reading = reading
        self._appending = appending

    def append(self, pieces: Sequence[LogPiece]) -> Mapping[str, LogEnd]:
        """Add pieces, one a run; one that does not begin where its log ends is left out, as that is sent elsewhere too.

        Returns:
            How much the store has of each log now; without the runs that the store does not know.
        """
        filled = [piece for piece in pieces if piece.data]
        ended = [piece for piece in pieces if not piece.data and piece.ends_attempt is not None]
        with self._appending() as connection:
            if filled:
                connection.execute(_APPEND, [list(column) for column in zip(*filled, strict=True)])
            if ended:
                marks = [[piece.run_id for piece in ended], [piece.ends_attempt for piece in ended]]
                connection.execute(_MARK_END, marks)
            return _ends(connection, [piece.run_id for piece in pieces])

    def ends(self, run_ids: Iterable[str]) -> Mapping[str, LogEnd]:
        """How much the store has of each log; without the runs that it does not know."""
        with self._reading() as connection:
            return _ends(connection, list(run_ids))

    def attempts(self, run_ids: Iterable[str]) -> Mapping[str, int | None]:
        """The last attempt of each run, None while it is running; without the runs that the store does not know."""
        statement = (
            "SELECT id, CASE WHEN status <> 'running' THEN attempt END FROM runs"
            " WHERE id = ANY(CAST(? AS text[]))"
        )
        with self._reading() as connection:
            return dict(connection.execute(statement, [list(run_ids)]).fetchall())

    def open(self, run_id: str) -> BinaryIO | None:
        """A log, to be read as its file would be; None where the store has nothing of it."""
        if not self.size(run_id):
            return None
        return cast("BinaryIO", io.BufferedReader(_StoredLog(self, run_id), _BUFFER))

    def read(self, run_id: str, position: int, size: int) -> bytes:
        """At most ``size`` bytes of a log from a position on; fewer only at its end."""
        values = {"run": run_id, "position": position, "size": size}
        with self._reading() as connection:
            found = connection.execute(_FROM, values).fetchall()
        return b"".join(data for (data,) in found)[:size]

    def size(self, run_id: str) -> int:
        """How much the store has of a log, in bytes."""
        end = self.ends([run_id]).get(run_id)
        return end.position if end is not None else 0

    def trim(self, job_id: str, limit: int) -> None:
        """Delete the oldest logs of a job beyond ``limit`` bytes, but none of a run in progress."""
        with self._appending() as connection:
            connection.execute(_TRIM, (job_id, limit))


class _StoredLog(io.RawIOBase):
    """Reads a log of the store as a file."""

    def __init__(self, logs: StoredLogs, run_id: str) -> None:
        super().__init__()
        self._logs = logs
        self._run_id = run_id
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (self._logs.size(self._run_id) if begin is None else begin)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read what follows, as much as there is room for."""
        view = memoryview(buffer)
        data = self._logs.read(self._run_id, self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read all that follows."""
        return b"".join(iter(lambda: self.read(_BUFFER) or b"", b""))


def _ends(connection: "Connection", run_ids: list[str]) -> dict[str, LogEnd]:
    return {row[0]: LogEnd(row[1], row[2]) for row in connection.execute(_ENDS, [run_ids])}
