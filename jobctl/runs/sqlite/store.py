"""The run store's contract on SQLite; each method one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import SystemClock, from_ms, to_ms
from jobctl.errors import UsageError
from jobctl.model import JobMetrics, Run, RunStatus
from jobctl.runs.sqlite import claims, pruning, totals
from jobctl.runs.sqlite.connect import Access, Connections
from jobctl.runs.sqlite.rows import JOB, OWNER, RUN, ms_of, owner_of, record_of, run_of
from jobctl.runs.store import (
    Answer,
    CachedResult,
    Claim,
    Ending,
    JobRecord,
    Owner,
    Pruned,
    Registration,
)

_JOBS = f"SELECT {JOB}, {RUN} FROM jobs j LEFT JOIN runs r ON r.seq = j.last_run"
_REGISTER = """
INSERT INTO jobs (id, name, schedule, timezone, anchor) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  name = excluded.name,
  anchor = iif(schedule = excluded.schedule AND timezone = excluded.timezone, anchor, excluded.anchor),
  cursor = iif(schedule = excluded.schedule AND timezone = excluded.timezone, cursor, NULL),
  next_run = iif(schedule = excluded.schedule AND timezone = excluded.timezone, next_run, NULL),
  schedule = excluded.schedule,
  timezone = excluded.timezone
"""
_OWNERS = f"""
SELECT {OWNER} FROM owners o
WHERE ended IS NULL OR id IN (SELECT owner FROM runs WHERE status = 'running')
   OR id = (SELECT id FROM owners WHERE kind <> 'trigger' ORDER BY since DESC LIMIT 1)
ORDER BY since
"""
_MOVE_ON = """
UPDATE jobs SET cursor = ?1, missed = missed + ?2, cursor_epoch = max(cursor_epoch, epoch)
FROM (SELECT value AS epoch FROM meta WHERE name = 'epoch')
WHERE id = ?3 AND (
  cursor IS NULL OR cursor < ?1 OR cursor_epoch < epoch
  OR cursor = ?1 AND EXISTS (SELECT 1 FROM runs WHERE job_id = ?3 AND scheduled_for = ?1)
)
"""
_START = """
UPDATE jobs SET
  stopped = NULL, stop_reason = NULL,
  anchor = iif(cursor IS NULL, ?1, anchor), cursor = iif(cursor IS NULL, NULL, max(cursor, ?1))
WHERE id = ?2 AND stopped IS NOT NULL
"""


class SQLiteRunStore:
    """Runs, job state, owners and cached results in one file.

    Args:
        path: the file; it exists and is sound (see ``opening.open_file``).
        warning: what opening it had to tell: a damaged file that was set aside.
    """

    def __init__(
        self,
        path: Path,
        busy_timeout: timedelta,
        access: Access = Access.WRITE,
        *,
        warning: str | None = None,
    ) -> None:
        self.warning = warning
        self.read_only = access is not Access.WRITE
        self._connections = Connections(path, busy_timeout, access)
        self._reading = self._connections.reading
        self._writing = self._connections.writing

    @property
    def place(self) -> str:
        """The file's path."""
        return self._connections.place

    def checkpoint_by_hand(self) -> None:
        """From now on only ``checkpoint`` folds the log into the file, never a commit in passing."""
        self._connections.manual_checkpoints = True

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    # Owners

    def enrol(self, owner: Owner) -> None:
        """Announce a process before it claims anything."""
        with self._writing() as connection:
            claims.enrol(connection, owner)

    def beat(self, owner_id: str, at: datetime) -> None:
        """Say that the owner lives."""
        with self._writing() as connection:
            connection.execute("UPDATE owners SET beat = ? WHERE id = ?", (to_ms(at), owner_id))

    def retire(self, owner_id: str, at: datetime) -> None:
        """Say goodbye."""
        with self._writing() as connection:
            connection.execute("UPDATE owners SET beat = ?1, ended = ?1 WHERE id = ?2", (to_ms(at), owner_id))

    def owners(self) -> Sequence[Owner]:
        """Owners that matter, oldest first."""
        with self._reading() as connection:
            return [owner_of(row) for row in connection.execute(_OWNERS)]

    def disown(self, owner_id: str, at: datetime) -> Sequence[Run]:
        """Make every unfinished run of a dead owner ``lost``, and mark it killed."""
        with self._writing() as connection:
            lost = claims.lose(connection, owner_id, at)
            connection.execute(
                "UPDATE owners SET ended = ?, killed = 1 WHERE id = ? AND ended IS NULL",
                (to_ms(at), owner_id),
            )
            return lost

    # Jobs

    def register(self, jobs: Sequence[Registration], at: datetime) -> Mapping[str, JobRecord]:
        """Make or refresh the jobs' records."""
        now = to_ms(at)
        with self._writing() as connection:
            connection.executemany(
                _REGISTER, [(job.id, job.name, job.schedule, job.timezone, now) for job in jobs]
            )
        if len(jobs) == 1:
            record = self.job(jobs[0].id)
            return {record.id: record} if record else {}
        wanted = {job.id for job in jobs}
        return {job_id: record for job_id, record in self.jobs().items() if job_id in wanted}

    def jobs(self) -> Mapping[str, JobRecord]:
        """Every job that was ever registered."""
        with self._reading() as connection:
            return {row[0]: record_of(row) for row in connection.execute(f"{_JOBS} ORDER BY j.rowid")}

    def job(self, job_id: str) -> JobRecord | None:
        """One of them."""
        with self._reading() as connection:
            row = connection.execute(f"{_JOBS} WHERE j.id = ?", (job_id,)).fetchone()
            return record_of(row) if row else None

    def plan(self, next_runs: Mapping[str, datetime | None]) -> None:
        """Keep the jobs' next due times."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE jobs SET next_run = ? WHERE id = ?",
                [(ms_of(next_run), job_id) for job_id, next_run in next_runs.items()],
            )

    def pass_slots(self, job_id: str, until: datetime, missed: int) -> bool:
        """Move a job's cursor forward and count what was missed, unless somebody has."""
        with self._writing() as connection:
            return connection.execute(_MOVE_ON, (to_ms(until), missed, job_id)).rowcount > 0

    def stop(self, job_ids: Iterable[str], at: datetime, reason: str | None = None) -> None:
        """Take jobs off their schedules."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE jobs SET stopped = coalesce(stopped, ?), stop_reason = ?, next_run = NULL"
                " WHERE id = ?",
                [(to_ms(at), reason, job_id) for job_id in job_ids],
            )

    def start(self, job_ids: Iterable[str], at: datetime | None = None) -> None:
        """Put jobs back on their schedules; what they missed meanwhile is passed over."""
        now = to_ms(at or SystemClock().now())
        with self._writing() as connection:
            connection.executemany(_START, [(now, job_id) for job_id in job_ids])

    def change_token(self) -> object:
        """SQLite's own count of what others committed."""
        with self._reading() as connection:
            return connection.execute("PRAGMA data_version").fetchone()[0]

    # The clock

    def epoch(self) -> int:
        """The current clock epoch."""
        with self._reading() as connection:
            return int(connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0])

    def begin_epoch(self, held: int) -> int:
        """Begin the epoch after ``held`` unless somebody has."""
        with self._writing() as connection:
            connection.execute("UPDATE meta SET value = ?1 + 1 WHERE name = 'epoch' AND value = ?1", (held,))
        return self.epoch()

    # Runs

    def claim(self, owner: Owner, wanted: Sequence[Claim]) -> Sequence[Answer]:
        """Try to start runs, an answer each."""
        with self._writing() as connection:
            return claims.claim_all(connection, owner, wanted)

    def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        """Record how runs ended."""
        with self._writing() as connection:
            return [claims.finish(connection, ending) for ending in endings]

    def progress(self, run_id: str, *, pid: int | None = None, attempt: int | None = None) -> None:
        """Note the worker's pid, or a further attempt."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE runs SET pid = coalesce(?, pid), attempt = coalesce(?, attempt)"
                " WHERE id = ? AND status = 'running'",
                (pid, attempt, run_id),
            )

    def run(self, run_id: str) -> Run | None:
        """The run with this id or unique prefix."""
        if len(run_id) < 4 or not set(run_id) <= set("0123456789abcdef"):
            return None
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {RUN} FROM runs r WHERE id >= ? AND id < ? LIMIT 2", (run_id, run_id + "g")
            ).fetchall()
        if len(rows) > 1:
            raise UsageError(f'several runs begin with "{run_id}"', hint="give more of its characters")
        return run_of(rows[0]) if rows else None

    def runs(
        self,
        job_id: str | None = None,
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Run]:
        """Runs, newest first."""
        where: list[str] = []
        values: list[Any] = []
        if job_id is not None:
            where.append("job_id = ?")
            values.append(job_id)
        if wanted := [status.value for status in statuses]:
            # one status is written as a constant, so that the index of failed runs can serve
            where.append(" OR ".join(f"status = '{status}'" for status in wanted).join("()"))
        if since is not None:
            where.append("started_at >= ?")
            values.append(to_ms(since))
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {RUN} FROM runs r {condition} ORDER BY seq DESC LIMIT ?",
                (*values, -1 if limit is None else limit),
            ).fetchall()
        return [run_of(row) for row in rows]

    def unfinished(self, job_id: str | None = None) -> Sequence[tuple[Run, Owner]]:
        """Runs that have not ended, with who runs them."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {OWNER}, {RUN} FROM runs r JOIN owners o ON o.id = r.owner"
                " WHERE r.status = 'running' AND (?1 IS NULL OR r.job_id = ?1)",
                (job_id,),
            ).fetchall()
        width = OWNER.count(",") + 1
        return [(run_of(row[width:]), owner_of(row[:width])) for row in rows]

    def metrics(self, job_id: str | None = None) -> JobMetrics:
        """Totals from kept rows."""
        with self._reading() as connection:
            return totals.metrics(connection, job_id)

    def prune(self, now: datetime, keep: timedelta, keep_per_job: int) -> Pruned:
        """Remove old runs in short transactions, and owners that nobody asks for any more."""
        removed = pruning.prune(self._connections, to_ms(now - keep), keep_per_job)
        with self._writing() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'last_cleanup'", (to_ms(now),))
            connection.execute(f"DELETE FROM owners WHERE id NOT IN (SELECT id FROM ({_OWNERS}))")
        return Pruned(removed)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, as far as nobody is in the way."""
        with self._reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    # Cached results

    def cache_put(self, values: Mapping[str, Any], computed_at: datetime, expires_at: datetime) -> None:
        """Keep JSON values, all or none."""
        import json

        times = (to_ms(computed_at), to_ms(expires_at))
        rows = [(key, json.dumps(value), *times) for key, value in values.items()]
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?)", rows)

    def cache_get(self, key: str, now: datetime) -> CachedResult | None:
        """A value that has not expired."""
        found = [one for one in self._cached("WHERE key = ?", key) if one.expires_at > now]
        return found[0] if found else None

    def cached(self) -> Sequence[CachedResult]:
        """Every value, also the expired ones."""
        return self._cached("ORDER BY key")

    def cache_purge(self, now: datetime) -> int:
        """Remove what has expired."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM cache WHERE expires_at <= ?", (to_ms(now),)).rowcount

    # Counters

    def count(self, changes: Mapping[str, int]) -> None:
        """Add to counters."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                list(changes.items()),
            )

    def counters(self) -> Mapping[str, int]:
        """All of them."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT name, value FROM counters").fetchall())

    def reset_counters(self) -> None:
        """Begin anew."""
        with self._writing() as connection:
            connection.execute("DELETE FROM counters")

    def _cached(self, condition: str, *values: str) -> list[CachedResult]:
        import json

        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT key, value, computed_at, expires_at FROM cache {condition}", values
            ).fetchall()
        return [
            CachedResult(key, json.loads(value), from_ms(at), from_ms(end)) for key, value, at, end in rows
        ]
