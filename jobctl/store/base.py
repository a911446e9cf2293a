"""The run store's contract in SQL; each method one transaction."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any

from jobctl.clock import SystemClock, to_ms
from jobctl.errors import UsageError
from jobctl.model import JobMetrics, Run, RunStatus
from jobctl.store import claims, metrics, pruning
from jobctl.store.connection import Connection, Dialect
from jobctl.store.records import (
    Answer,
    CachedResult,
    Claim,
    Ending,
    JobRecord,
    LetGo,
    Missed,
    Owner,
    Passed,
    Pruned,
    Registration,
)
from jobctl.store.rows import JOB, OWNER, RUN, cached_of, ms_of, owner_of, record_of, run_of, when

_JOBS = f"SELECT {JOB}, {RUN} FROM jobs j LEFT JOIN runs r ON r.seq = j.last_run"
_REGISTER = """
INSERT INTO jobs (id, name, schedule, timezone, anchor) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  name = excluded.name,
  anchor = CASE WHEN jobs.schedule = excluded.schedule AND jobs.timezone = excluded.timezone
    THEN jobs.anchor ELSE excluded.anchor END,
  cursor = CASE WHEN jobs.schedule = excluded.schedule AND jobs.timezone = excluded.timezone
    THEN jobs.cursor ELSE NULL END,
  next_run = CASE WHEN jobs.schedule = excluded.schedule AND jobs.timezone = excluded.timezone
    THEN jobs.next_run ELSE NULL END,
  schedule = excluded.schedule,
  timezone = excluded.timezone
"""
_REGISTER_PROCESS = """
INSERT INTO owners (id, kind, host, pid, start, boot, since, leased) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_OWNERS = f"""
SELECT {OWNER} FROM owners o
WHERE ended IS NULL OR id IN (SELECT owner FROM runs WHERE status = 'running')
   OR id = (
     SELECT id FROM owners WHERE kind <> 'trigger' ORDER BY ended IS NOT NULL, ended DESC, since DESC LIMIT 1
   )
ORDER BY since
"""
_START = """
UPDATE jobs SET
  stopped = NULL, stop_reason = NULL, anchor = CASE WHEN cursor IS NULL THEN :now ELSE anchor END,
  cursor = CASE WHEN cursor < :now THEN :now ELSE cursor END
WHERE id = :job AND stopped IS NOT NULL
"""
_CACHE = """
INSERT INTO cache (key, value, computed_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
  value = excluded.value, computed_at = excluded.computed_at, expires_at = excluded.expires_at
"""
_ADD = """
INSERT INTO counters (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
"""


class SQLRunStore(ABC):
    """Runs, job state, owners and cached results in tables. Where they are, its children know.

    Attributes:
        warning: what opening it had to tell.
        read_only: nothing in it can be changed from here.
        shared: several machines share it.
        dialect: where this database differs.
    """

    warning: str | None = None
    read_only = False
    shared = False
    dialect: Dialect

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people."""

    @abstractmethod
    def close(self) -> None:
        """Let go of every connection. Idempotent."""

    @abstractmethod
    def change_token(self) -> object:
        """Differs whenever another process has changed something."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """Statements that only look."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """One transaction, one writer at a time."""

    @abstractmethod
    def _leasing(self) -> AbstractContextManager[Connection]:
        """One short transaction of a lease: no other writer can hold it up for long."""

    def is_lost(self) -> bool:
        """Whether it was deleted or replaced, as far as that is seen without asking it."""
        return False

    @abstractmethod
    def restore(self) -> str | None:
        """Open what is there now, or make an empty store where there is none."""

    def checkpoint_by_hand(self) -> None:  # noqa: B027 - what a server sees to itself needs no word
        """From now on only ``checkpoint`` folds what was written, never a commit in passing."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Fold what was written into the main file; nothing, where the engine has no such thing."""

    @contextmanager
    def _writing_as(self, owner_id: str | None) -> Iterator[Connection]:
        """One transaction of a process: refused where it is fenced."""
        with self._writing() as connection:
            if owner_id is not None:
                claims.fence(connection, owner_id)
            yield connection

    # Processes

    def register_process(self, owner: Owner) -> None:
        """Announce a process before it claims anything."""
        row = (owner.id, owner.kind, owner.host, owner.pid, owner.start, owner.boot, to_ms(owner.since))
        with self._writing() as connection:
            connection.execute(_REGISTER_PROCESS, (*row, int(owner.leased)))

    def heartbeat(self, owner_id: str) -> bool:
        """Count a heartbeat; False where the process is fenced."""
        with self._leasing() as connection:
            done = connection.execute(
                "UPDATE owners SET heartbeats = heartbeats + 1 WHERE id = ? AND ended IS NULL", (owner_id,)
            )
            return done.rowcount > 0

    def is_registered(self, owner_id: str) -> bool:
        """Whether the process is registered and not fenced."""
        with self._reading() as connection:
            return claims.is_registered(connection, owner_id)

    def is_known(self, owner_id: str) -> bool:
        """Whether the process was registered, be it declared dead since."""
        with self._reading() as connection:
            return connection.execute("SELECT 1 FROM owners WHERE id = ?", (owner_id,)).fetchone() is not None

    def set_leased(self, owner_id: str) -> None:
        """Note that the process is leased from now on."""
        with self._leasing() as connection:
            connection.execute("UPDATE owners SET leased = 1 WHERE id = ?", (owner_id,))

    def observe(self, owner_id: str, observation: str) -> None:
        """Keep an observation of a process."""
        with self._leasing() as connection:
            connection.execute("UPDATE owners SET observed = ? WHERE id = ?", (observation, owner_id))

    def sign_off(self, owner_id: str, at: datetime) -> None:
        """End the registration."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE owners SET ended = ? WHERE id = ? AND ended IS NULL", (to_ms(at), owner_id)
            )

    def owners(self) -> Sequence[Owner]:
        """Processes that matter, oldest first."""
        with self._reading() as connection:
            return [owner_of(row) for row in connection.execute(_OWNERS)]

    def fail_lost_runs(self, owner_id: str, at: datetime, heartbeats: int | None = None) -> Sequence[Run]:
        """Declare a process dead, unless it has sent a heartbeat since ``heartbeats`` were counted."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE owners SET ended = ?, killed = 1"
                " WHERE id = ? AND ended IS NULL AND heartbeats = coalesce(?, heartbeats)",
                (to_ms(at), owner_id, heartbeats),
            )
            if claims.is_registered(connection, owner_id):
                return []
            return claims.lose(connection, at, claims.unfinished_of(connection, owner_id))

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
            return {
                row[0]: record_of(row)
                for row in connection.execute(f"{_JOBS} ORDER BY j.{self.dialect.order}")
            }

    def job(self, job_id: str) -> JobRecord | None:
        """One of them."""
        with self._reading() as connection:
            row = connection.execute(f"{_JOBS} WHERE j.id = ?", (job_id,)).fetchone()
            return record_of(row) if row else None

    def plan(self, next_runs: Mapping[str, datetime | None], owner_id: str | None = None) -> None:
        """Keep the jobs' next due times."""
        with self._writing_as(owner_id) as connection:
            connection.executemany(
                "UPDATE jobs SET next_run = ? WHERE id = ?",
                [(ms_of(next_run), job_id) for job_id, next_run in next_runs.items()],
            )

    def pass_slots(
        self, job_id: str, until: datetime, missed: Missed, owner_id: str | None = None
    ) -> Passed | None:
        """Give up a slot and what was missed before it, unless somebody has dealt with it."""
        with self._writing_as(owner_id) as connection:
            return claims.pass_slots(connection, job_id, until, missed)

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
            connection.executemany(_START, [{"now": now, "job": job_id} for job_id in job_ids])

    def tell(self, job_id: str, *, failing: bool) -> bool:
        """Note what people are told of a job, unless they were told so last."""
        with self._writing() as connection:
            values = (int(failing), job_id, int(failing))
            done = connection.execute("UPDATE jobs SET told = ? WHERE id = ? AND told <> ?", values)
            return done.rowcount > 0

    # The clock

    def epoch(self) -> int:
        """The current clock epoch."""
        with self._reading() as connection:
            return claims.current_epoch(connection)

    def newest_cursor(self) -> datetime | None:
        """The furthest one of the current epoch."""
        with self._reading() as connection:
            epoch = claims.current_epoch(connection)
            found = connection.execute("SELECT max(cursor) FROM jobs WHERE cursor_epoch >= ?", (epoch,))
            return when(found.fetchone()[0])

    def begin_epoch(self, held: int, owner_id: str | None = None) -> int:
        """Begin the epoch after ``held`` unless somebody has."""
        with self._writing_as(owner_id) as connection:
            connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'epoch' AND value = ?", (held + 1, held)
            )
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

    def progress(
        self,
        run_id: str,
        *,
        pid: int | None = None,
        attempt: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        """Note the worker's pid, a further attempt, or when one will begin."""
        changes = {"pid": pid, "attempt": attempt, "retry_at": ms_of(retry_at)}
        noted: dict[str, int | None] = {one: new for one, new in changes.items() if new is not None}
        if attempt is not None:
            noted["retry_at"] = None  # it has begun
        assigned = ", ".join(f"{name} = ?" for name in noted)
        with self._writing() as connection:
            connection.execute(
                f"UPDATE runs SET {assigned} WHERE id = ? AND status = 'running'", (*noted.values(), run_id)
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
        most = "" if limit is None else f"LIMIT {limit:d}"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {RUN} FROM runs r {condition} ORDER BY seq DESC {most}", values
            ).fetchall()
        return [run_of(row) for row in rows]

    def unfinished(self, job_id: str | None = None) -> Sequence[tuple[Run, Owner]]:
        """Runs that have not ended, with who runs them."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {OWNER}, {RUN} FROM runs r JOIN owners o ON o.id = r.owner"
                f" WHERE r.status = 'running' {'AND r.job_id = ?' if job_id else ''}",
                (job_id,) if job_id else (),
            ).fetchall()
        width = OWNER.count(",") + 1
        return [(run_of(row[width:]), owner_of(row[:width])) for row in rows]

    def metrics(self, job_id: str | None = None) -> JobMetrics:
        """Totals from kept rows."""
        with self._reading() as connection:
            return metrics.metrics(connection, self.dialect, job_id)

    def prune(
        self, now: datetime, keep: timedelta, keep_per_job: int, let_go: LetGo = lambda *_: None
    ) -> Pruned:
        """Remove old runs in short transactions, and owners that nobody asks for any more."""
        removed = pruning.prune(self._reading, self._writing, to_ms(now - keep), keep_per_job, let_go)
        with self._writing() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'last_cleanup'", (to_ms(now),))
            connection.execute(f"DELETE FROM owners WHERE id NOT IN (SELECT id FROM ({_OWNERS}) AS kept)")
        return Pruned(removed)

    # Cached results

    def cache_put(self, values: Mapping[str, Any], computed_at: datetime, expires_at: datetime) -> None:
        """Keep JSON values, all or none."""
        import json

        times = (to_ms(computed_at), to_ms(expires_at))
        rows = [(key, json.dumps(value), *times) for key, value in values.items()]
        with self._writing() as connection:
            connection.executemany(_CACHE, rows)

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
            connection.executemany(_ADD, list(changes.items()))

    def counters(self) -> Mapping[str, int]:
        """All of them."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT name, value FROM counters").fetchall())

    def reset_counters(self) -> None:
        """Begin anew."""
        with self._writing() as connection:
            connection.execute("DELETE FROM counters")

    def _cached(self, condition: str, *values: str) -> list[CachedResult]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT key, value, computed_at, expires_at FROM cache {condition}", values
            ).fetchall()
        return [cached_of(row) for row in rows]
