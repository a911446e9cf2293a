"""The run store's contract, and the SQL that SQLite and Postgres share: each method is one transaction."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from jobctl.clock import SystemClock, to_ms
from jobctl.errors import StoreError, StoreLostError, UsageError
from jobctl.model import (
    Action,
    ActionKind,
    JobMetrics,
    Progress,
    Run,
    RunStatus,
    SentNotification,
    WaitingRun,
)
from jobctl.store import actions, claims, glances, notifications, stops, waiting
from jobctl.store.batch_statement import BatchStatement
from jobctl.store.cached_results import CachedResults
from jobctl.store.connection import Connection
from jobctl.store.counters import Counters
from jobctl.store.glances import JobGlance, RunGlance, SkippedGlance
from jobctl.store.records import (
    Cancellation,
    Claim,
    ClaimOutcome,
    CursorMoved,
    Ending,
    JobRecord,
    Misfires,
    Owner,
    Pruned,
    Registration,
    SlotsOutcome,
    SlotTaken,
)
from jobctl.store.rows import (
    JOB,
    OWNER,
    PREVIOUS_SLOT,
    RUN,
    RUNS_OF_JOB,
    ms_of,
    owner_of,
    progress_text,
    record_of,
    run_of,
    when,
)
from jobctl.store.stored_logs import StoredLogs
from jobctl.text import clauses, counted, is_id_prefix

T = TypeVar("T")
_JOBS = f"SELECT {JOB}, {RUN} FROM jobs j"
_MOST_IDS = 1000
"""In one query; where more are wanted, all are read."""
_REGISTER = BatchStatement(
    """
    INSERT INTO jobs (id, name, schedule, timezone, anchor) VALUES (:id, :name, :schedule, :timezone, :anchor)
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
    """,
    "id name schedule timezone anchor",
)
_SAVE_NEXT_RUN = BatchStatement(
    "UPDATE jobs SET next_run = :next_run {rows} WHERE jobs.id = :id", "next_run id"
)
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


class RunStore(CachedResults, Counters):
    """Runs, job state, owners and cached results. Usable from any thread; never carried over a fork.

    Constraints keep a slot from running twice: a job has at most one unfinished run; a slot has at most one run.

    Every method may raise ``StoreBusyError`` where another process holds the store longer than the busy timeout,
    ``StoreError`` where it cannot be read or written (full disk, read-only), ``StoreDamagedError`` where it holds
    values that cannot be decoded.

    Attributes:
        warning: a sentence about what happened while it was opened, or None.
        read_only: this process can change nothing in it.
        shared: several machines share it: every process that uses it is leased.
        registration_order: the column of ``jobs`` that counts up with each registration.
        last_run_join: behind ``FROM jobs j``, the join of each job's last run as ``r``.
        durations_index: behind ``FROM runs``, the index for the newest durations of a job.
        stored_logs: the logs in the store; None where it keeps none.
    """

    warning: str | None = None
    read_only: bool = False
    shared: bool = False
    registration_order: str
    last_run_join: ClassVar[str] = "LEFT JOIN runs r ON r.seq = j.last_run"
    durations_index: ClassVar[str] = ""
    stored_logs: StoredLogs | None = None

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people: a path or an address without its password."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Idempotent."""

    def demand_present(self) -> None:
        """Check that it is where it was when it was opened, as far as that is seen without a query. Cheap.

        Raises:
            StoreLostError: it was deleted or replaced; ``restore`` opens what is there.
            StoreError: it was moved away, so what is read here is no longer the store.
        """

    def is_lost(self) -> bool:
        """Whether it was deleted or replaced, as far as that is seen without a query. Cheap."""
        try:
            self.demand_present()
        except StoreLostError:
            return True
        except StoreError:
            pass
        return False

    @abstractmethod
    def restore(self) -> str | None:
        """After a ``StoreLostError``: open what is there now, or make an empty store where there is none.

        Returns a sentence about what happened; None where the store was not lost.
        """

    @abstractmethod
    def change_token(self) -> object:
        """A value that differs whenever another process has changed the store. Cheap."""

    def use_manual_checkpoints(self) -> None:
        """From now on only ``checkpoint`` moves the write-ahead log into the main file, never a commit."""

    def use_as_temporary(self) -> None:
        """From now on never wait for the disk: a power cut may damage the store."""

    def checkpoint(self) -> None:
        """Move the write-ahead log into the main file, where the database has one."""

    @abstractmethod
    def _leasing(self) -> AbstractContextManager[Connection]:
        """One short transaction of a lease: no other writer can delay it for long."""

    def _begin_together(
        self, connection: Connection, owner: Owner, rows: Sequence[claims.SlotRow]
    ) -> AbstractSet[str]:
        """Start runs of free slots together; returns the ids of those that started."""
        return claims.begin_together(connection, owner, rows)

    @contextmanager
    def _writing_as(self, owner_id: str | None) -> Iterator[Connection]:
        """One transaction of a process: ``FencedError`` where that process is fenced."""
        with self._writing() as connection:
            if owner_id is not None:
                claims.fence(connection, owner_id)
            yield connection

    # Processes. One whose registration has ended is fenced: nothing it writes is accepted.

    def register_process(self, owner: Owner) -> None:
        """Announce a process before it claims anything. Its id must be new."""
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
        """Whether the process was ever registered, even if it was declared dead since."""
        with self._reading() as connection:
            return bool(connection.execute("SELECT 1 FROM owners WHERE id = ?", (owner_id,)).fetchall())

    def set_leased(self, owner_id: str) -> None:
        """Mark the process as leased from now on."""
        with self._leasing() as connection:
            connection.execute("UPDATE owners SET leased = 1 WHERE id = ?", (owner_id,))

    def observe(self, owner_id: str, observation: str) -> None:
        """Save an observation of a process for the next short-lived one."""
        with self._leasing() as connection:
            connection.execute("UPDATE owners SET observed = ? WHERE id = ?", (observation, owner_id))

    def sign_off(self, owner_id: str, at: datetime) -> None:
        """End the registration."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE owners SET ended = ? WHERE id = ? AND ended IS NULL", (to_ms(at), owner_id)
            )

    def owners(self) -> Sequence[Owner]:
        """Every process that is registered or has unfinished runs, oldest first.

        Where no scheduler or application is registered, also the one that ended last.
        """
        with self._reading() as connection:
            return [owner_of(row) for row in connection.execute(_OWNERS)]

    def fail_lost_runs(self, owner_id: str, at: datetime, heartbeats: int | None = None) -> Sequence[Run]:
        """Declare a process dead: end its registration, and make its unfinished runs ``failed``, reason ``lost``.

        Args:
            heartbeats: where the store has counted others meanwhile, the process lives, and nothing is changed.

        Returns:
            Those runs as they now are.
        """
        with self._writing() as connection:
            connection.execute(
                "UPDATE owners SET ended = ?, killed = 1"
                " WHERE id = ? AND ended IS NULL AND heartbeats = coalesce(?, heartbeats)",
                (to_ms(at), owner_id, heartbeats),
            )
            if claims.is_registered(connection, owner_id):
                return []
            return claims.fail_lost_runs(connection, at, owner_id=owner_id)

    # Jobs

    def register(self, jobs: Sequence[Registration], at: datetime) -> Mapping[str, JobRecord]:
        """Make the jobs' records, or refresh those that differ, and return all. What is up to date is only read."""
        records = self._records(jobs)
        changed = [job for job in jobs if not _is_registered(job, records.get(job.id))]
        if not changed:
            return records
        now = to_ms(at)
        with self._writing() as connection:
            connection.change(
                _REGISTER, [(job.id, job.name, job.schedule, job.timezone, now) for job in changed]
            )
        return self._records(jobs)

    def _records(self, jobs: Sequence[Registration]) -> Mapping[str, JobRecord]:
        """The records of those jobs that have one."""
        if len(jobs) == 1:
            record = self.job(jobs[0].id)
            return {record.id: record} if record else {}
        known = self.jobs()
        return {job.id: known[job.id] for job in jobs if job.id in known}

    def jobs(self, ids: Collection[str] | None = None) -> Mapping[str, JobRecord]:
        """Every job that was ever registered, or those with these ids, in that order."""
        chosen: Collection[str] = ids if ids is not None and len(ids) <= _MOST_IDS else ()
        condition = f"WHERE j.id IN ({', '.join('?' * len(chosen))})" if chosen else ""
        with self._reading() as connection:
            counts = waiting.counts(connection)
            rows = connection.execute(
                f"{_JOBS} {self.last_run_join} {condition} ORDER BY j.{self.registration_order}",
                tuple(chosen),
            )
            return {
                row[0]: record_of(row, counts.get(row[0])) for row in rows if ids is None or row[0] in ids
            }

    def job(self, job_id: str) -> JobRecord | None:
        """A registered job, or None."""
        with self._reading() as connection:
            row = connection.execute(f"{_JOBS} {self.last_run_join} WHERE j.id = ?", (job_id,)).fetchone()
            return record_of(row, waiting.counts(connection, job_id).get(job_id)) if row else None

    def save_next_runs(self, next_runs: Mapping[str, datetime | None], owner_id: str | None = None) -> None:
        """Save the jobs' next due times.

        Raises:
            FencedError: the process ``owner_id`` is fenced.
        """
        with self._writing_as(owner_id) as connection:
            connection.change(
                _SAVE_NEXT_RUN, [(ms_of(next_run), job_id) for job_id, next_run in next_runs.items()]
            )

    def pass_slots(
        self, job_id: str, until: datetime, misfires: Misfires | None, owner_id: str | None = None
    ) -> SlotTaken | CursorMoved | None:
        """Give up the slot ``until``: move the job's cursor there, and count it and the misfires before it; None: no slot was missed.

        Returns None; or why nothing was changed: the cursor, set in the current clock generation, is at or beyond
        ``until`` already, or is not the one that the misfires were counted from.

        Raises:
            FencedError: the process ``owner_id`` is fenced.
        """
        with self._writing_as(owner_id) as connection:
            return claims.pass_slots(connection, job_id, until, misfires)

    def stop(
        self,
        job_ids: Iterable[str],
        at: datetime,
        reason: str | None = None,
        until: datetime | None = None,
        actor: str | None = None,
    ) -> None:
        """Take jobs off their schedules, kept over restarts. Slots that wait to be caught up are given up.

        Args:
            until: when ``start_due`` puts them back; None: never.
            actor: who does it; None keeps no action.
        """
        with self._writing() as connection:
            stops.stop(connection, list(job_ids), at, reason=reason, until=until, actor=actor)

    def start(self, job_ids: Iterable[str], at: datetime | None = None, actor: str | None = None) -> None:
        """Put stopped jobs back on their schedules, without a catch-up of what they missed meanwhile.

        Moves the cursor of a job to ``at`` (None: now), or its anchor where it has no cursor yet.

        Args:
            actor: who does it; None keeps no action.
        """
        with self._writing() as connection:
            stops.start(connection, job_ids, at or SystemClock().now(), actor)

    def stopped_jobs(self) -> Mapping[str, datetime | None]:
        """The jobs that are off their schedules: until when; None: for good."""
        with self._reading() as connection:
            return stops.stopped(connection)

    def start_due(self, at: datetime) -> None:
        """``start`` the jobs that were stopped until then, or until earlier, each as of the end of its pause.

        So a slot between that end and this call is late or missed, as any other, and never left out silently.
        """
        with self._reading() as connection:  # nearly always there is none, and no transaction is needed
            if not stops.is_one_due(connection, at):
                return
        with self._writing() as connection:
            stops.start_due(connection, at)

    def set_failure_notified(self, job_id: str, *, failing: bool) -> bool:
        """Note that people are notified of a job's failure, or recovery; False where they were, by any process."""
        with self._writing() as connection:
            values = (int(failing), job_id, int(failing))
            done = connection.execute("UPDATE jobs SET told = ? WHERE id = ? AND told <> ?", values)
            return done.rowcount > 0

    def set_late_notified(self, job_id: str, since: datetime | None) -> bool:
        """Note that people are notified that a job is late, or on time again; False where they were, by any process."""
        condition = "late IS NOT NULL" if since is None else "late IS NULL"
        with self._writing() as connection:
            values = (ms_of(since), job_id)
            done = connection.execute(f"UPDATE jobs SET late = ? WHERE id = ? AND {condition}", values)
            return done.rowcount > 0

    def keep_notifications(self, sent: Iterable[SentNotification]) -> None:
        """Keep which notifications were delivered, and which were not."""
        with self._writing() as connection:
            notifications.record(connection, sent)

    def notifications(self, job_id: str, *, limit: int = 10) -> Sequence[SentNotification]:
        """The newest notifications about a job, newest first."""
        with self._reading() as connection:
            return notifications.newest(connection, job_id, limit)

    # The clock: each time it is set back by much, a new clock generation begins.

    def clock_generation(self) -> int:
        """The current clock generation, from 1."""
        with self._reading() as connection:
            return claims.clock_generation(connection)

    def newest_cursor(self) -> datetime | None:
        """The furthest cursor of any job in the current clock generation."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT max(cursor) FROM jobs WHERE cursor_epoch >= ?", (claims.clock_generation(connection),)
            )
            return when(found.fetchone()[0])

    def next_clock_generation(self, known: int, owner_id: str | None = None) -> int:
        """Begin the generation after ``known``, unless another process has; returns the current one.

        Raises:
            FencedError: the process ``owner_id`` is fenced.
        """
        with self._writing_as(owner_id) as connection:
            connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'epoch' AND value = ?", (known + 1, known)
            )
        return self.clock_generation()

    # Runs

    def claim(self, owner: Owner, wanted: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """Try to start runs, all in one transaction; an outcome each, in order.

        A slot at or before the job's cursor is ``SlotTaken``, unless the claim's clock generation is newer than the
        cursor's; so is one that has a run. A claim of an older generation than the store's counts as one of the
        store's: the caller may not know yet that the clock was set back, and a slot must not have two keys.

        Raises:
            FencedError: the process is not registered, or no longer.
            UnknownToStoreError: a job is not registered.
        """
        with self._writing() as connection:
            return claims.claim_all(connection, owner, wanted, self._begin_together)

    def skip_excluded(self, owner: Owner, wanted: Sequence[tuple[Claim, str]]) -> Sequence[Run | None]:
        """Record slots on excluded dates as skipped; None for one that has a run already.

        The cursor stays where it is, so that an older slot that waits is not lost. Of each slot a claim is ``wanted``, and why.

        Raises:
            FencedError: the process is not registered, or no longer.
        """
        with self._writing() as connection:
            return claims.skip_excluded(connection, owner, wanted)

    def enqueue_slots(
        self, claim: Claim, slots: Sequence[datetime], limit: int, owner_id: str
    ) -> SlotsOutcome:
        """Put due slots of a job among the waiting runs, and move its cursor to the last of them.

        Args:
            claim: of the last slot, with the misfires before ``slots``.
            slots: ascending.
            limit: how many slots of the job may wait; older ones are given up, and counted as missed.

        Raises:
            FencedError: the process ``owner_id`` is fenced.
            UnknownToStoreError: the job is not registered.
        """
        with self._writing_as(owner_id) as connection:
            return claims.enqueue_slots(connection, claim, slots, limit)

    # Runs that are kept for later

    def keep(self, runs: Sequence[WaitingRun], action: Action | None = None) -> None:
        """Keep runs for later, and the action that asked for them."""
        with self._writing() as connection:
            waiting.add(connection, runs)
            actions.record(connection, [action] if action else [])

    def first_waiting(self) -> datetime | None:
        """When the first of the waiting runs begins; None where none waits."""
        with self._reading() as connection:
            return when(waiting.first_time(connection))

    def due_waiting(self, at: datetime, jobs: Mapping[str, str | None], most: int) -> Sequence[WaitingRun]:
        """The first waiting run of each of the ``jobs``, which have a group or None, that has one due; ``most`` at most.

        Those that wait longest come first; of a job, runs of a backfill last. Of a group there is one run, and none
        of jobs and groups with an unfinished run.
        """
        with self._reading() as connection:
            return waiting.due(connection, at, jobs, most)

    def bring_slots_forward(self, at: datetime) -> None:
        """The clock was set back to ``at``: past slots that wait to be run begin then, not when it is where it was."""
        with self._writing() as connection:
            waiting.bring_slots_forward(connection, at)

    def give_up_slots(self, job_ids: Iterable[str]) -> None:
        """Count the slots of jobs that wait to be caught up as missed."""
        with self._writing() as connection:
            waiting.give_up_slots(connection, job_ids)

    def waiting(
        self, job_id: str | None = None, *, batch: str | None = None, limit: int | None = None
    ) -> Sequence[WaitingRun]:
        """The runs that are kept for later, soonest first: all, of a job, or of backfills whose id begins with ``batch``."""
        with self._reading() as connection:
            return waiting.listed(connection, job_id=job_id, batch=batch, limit=limit)

    def waiting_run(self, run_id: str) -> WaitingRun | None:
        """The waiting run with this id or unique prefix of at least four characters; None where there is none.

        Raises:
            UsageError: several have the prefix.
        """
        if not is_id_prefix(run_id):
            return None
        with self._reading() as connection:
            found = waiting.listed(connection, prefix=run_id, limit=2)
        return _only(found, run_id)

    def actions(
        self, job_id: str | None = None, *, since: datetime | None = None, limit: int | None = 20
    ) -> Sequence[Action]:
        """What people and programs did to jobs and runs, newest first."""
        with self._reading() as connection:
            return actions.newest(connection, job_id, since, limit)

    def refused(self, wanted: Sequence[Claim]) -> Mapping[str, ClaimOutcome]:
        """The claims, of several different jobs, that the records of their jobs refuse, by run id. One query, no lock."""
        with self._reading() as connection:
            return claims.sort_out(connection, wanted)[0]

    def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        """Record how runs ended, all in one transaction; False for one that had ended already."""
        with self._writing() as connection:
            return claims.finish_all(connection, endings)

    def update_run(
        self,
        run_id: str,
        *,
        pid: int | None = None,
        attempt: int | None = None,
        retry_at: datetime | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Save what has changed of an unfinished run.

        Args:
            pid: of the worker.
            retry_at: when the next attempt starts.
        """
        shown = None if progress is None else progress_text(progress)
        changes = {"pid": pid, "attempt": attempt, "retry_at": ms_of(retry_at), "progress": shown}
        known: dict[str, int | str | None] = {name: new for name, new in changes.items() if new is not None}
        if attempt is not None:
            known["retry_at"] = None  # it has begun
        assigned = ", ".join(f"{name} = ?" for name in known)
        with self._writing() as connection:
            connection.execute(
                f"UPDATE runs SET {assigned} WHERE id = ? AND status = 'running'", (*known.values(), run_id)
            )

    def cancel(self, cancellation: Cancellation, at: datetime, *, first: bool = False) -> bool:
        """Ask the process of an unfinished run to end it, or end the wait of one that is kept for later.

        Returns False where the run has ended.

        Args:
            first: do nothing, and return False, where it was asked already. Else the new request replaces that one,
                and is kept as an action.
        """
        by, reason, run_id = cancellation.by, cancellation.reason, cancellation.run_id
        unless_asked = "AND cancelled_by IS NULL" if first else ""
        with self._writing() as connection:
            found = connection.execute(
                "UPDATE runs SET cancelled_by = ?, cancel_reason = ?, cancel_now = ?"
                f" WHERE id = ? AND status = 'running' {unless_asked} RETURNING job_id",
                (by, reason, int(cancellation.now), run_id),
            ).fetchone()
            job_id = found[0] if found else waiting.cancel(connection, cancellation, at)
            if job_id is not None and not first:
                actions.record(connection, [Action(ActionKind.CANCEL, at, by, job_id, run_id, reason)])
            return job_id is not None

    def cancel_batch(self, batch: str, at: datetime, actor: str, reason: str | None = None) -> int:
        """End the wait of all runs of a backfill; returns how many waited."""
        with self._writing() as connection:
            left = waiting.listed(connection, batch=batch)
            waiting.drop_batch(connection, batch)
            if left:
                why = clauses(f"{counted(len(left), 'run')} of a backfill", reason)
                job_id = left[0].job_id
                actions.record(connection, [Action(ActionKind.CANCEL, at, actor, job_id, batch, why)])
            return len(left)

    def cancellations(self, owner_id: str) -> Sequence[Cancellation]:
        """The requests to end runs of a process."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, cancelled_by, cancel_reason, cancel_now FROM runs"
                " WHERE status = 'running' AND cancelled_by IS NOT NULL AND owner = ?",
                (owner_id,),
            )
            return [Cancellation(run_id, by, reason, bool(now)) for run_id, by, reason, now in rows]

    def run(self, run_id: str) -> Run | None:
        """The run with this id or unique prefix of at least four characters; None where there is none.

        Raises:
            UsageError: several runs have the prefix.
        """
        if not is_id_prefix(run_id):
            return None
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {RUN} FROM runs r WHERE id >= ? AND id < ? LIMIT 2", (run_id, run_id + "g")
            ).fetchall()
        return _only([run_of(row) for row in rows], run_id)

    def previous_slot(self, job_id: str, slot: datetime) -> datetime | None:
        """The newest slot of a job before ``slot`` whose run has completed."""
        with self._reading() as connection:
            return when(connection.execute(PREVIOUS_SLOT, {"job": job_id, "slot": to_ms(slot)}).fetchone()[0])

    def runs(
        self,
        job_id: str | None = None,
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Run]:
        """Runs, newest first; of all statuses where none is given."""
        conditions = ["true"]
        values: dict[str, Any] = {"job": job_id}
        if wanted := [status.value for status in statuses]:
            # constants, not parameters: only then can SQLite use the partial index of failed runs
            conditions.append(" OR ".join(f"r.status = '{status}'" for status in wanted).join("()"))
        if since is not None:
            conditions.append("r.started_at >= :since")
            values["since"] = to_ms(since)
        source = "SELECT {columns} FROM runs r WHERE {condition}" if job_id is None else RUNS_OF_JOB
        selected = source.format(columns=RUN, condition=" AND ".join(conditions))
        most = "" if limit is None else f"LIMIT {limit:d}"
        with self._reading() as connection:
            rows = connection.execute(f"{selected} ORDER BY seq DESC {most}", values).fetchall()
        return [run_of(row) for row in rows]

    def runs_of_slots(self, job_id: str, begin: datetime, end: datetime) -> Sequence[Run]:
        """The runs of a job that have claimed its slots from ``begin`` to ``end``, and all its reruns; oldest first."""
        condition = "(r.scheduled_for BETWEEN :begin AND :end OR r.rerun_of IS NOT NULL)"
        selected = RUNS_OF_JOB.format(columns=RUN, condition=condition)
        with self._reading() as connection:
            values = {"job": job_id, "begin": to_ms(begin), "end": to_ms(end)}
            return [run_of(row) for row in connection.execute(f"{selected} ORDER BY seq", values)]

    def job_glances(self) -> Sequence[JobGlance]:
        """Every job that was ever registered, in a few columns: for lists of thousands."""
        with self._reading() as connection:
            return glances.jobs(connection, self.last_run_join)

    def latest_runs(self, job_ids: Iterable[str], most: int = 20) -> Mapping[str, Sequence[RunGlance]]:
        """The newest executions of each of these jobs, oldest first; ``most`` for each."""
        with self._reading() as connection:
            return glances.latest_runs(connection, job_ids, most, self.durations_index)

    def skipped_runs(
        self, job_ids: Iterable[str], since: datetime, most: int = 50
    ) -> Mapping[str, Sequence[SkippedGlance]]:
        """The skipped runs of each of these jobs since then, newest first; ``most`` for each."""
        with self._reading() as connection:
            return glances.skipped_runs(connection, job_ids, since, most)

    def unfinished(self, job_id: str | None = None) -> Sequence[tuple[Run, Owner]]:
        """Runs that have not ended, with the process that runs each."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {OWNER}, {RUN} FROM runs r JOIN owners o ON o.id = r.owner"
                f" WHERE r.status = 'running' {'AND r.job_id = ?' if job_id else ''}",
                (job_id,) if job_id else (),
            ).fetchall()
        width = OWNER.count(",") + 1
        return [(run_of(row[width:]), owner_of(row[:width])) for row in rows]

    def metrics(self, job_id: str | None = None) -> JobMetrics:
        """Totals from counters that are kept with each job, never by a scan over all runs."""
        from jobctl.store import metrics

        with self._reading() as connection:
            return metrics.metrics(connection, job_id, self.registration_order, self.durations_index)

    def prune(
        self,
        now: datetime,
        keep: timedelta,
        keep_per_job: int,
        before_delete: Callable[[str, str], object] = lambda _job_id, _run_id: None,
    ) -> Pruned:
        """Remove finished runs that are both older than ``keep`` and beyond the newest ``keep_per_job`` of their job.

        A job's last run stays, and so do the totals. Removes actions and notifications older than ``keep``, but for
        each job's last notification. Sets ``last_cleanup``.

        Args:
            before_delete: removes what else belongs to a run; called before the run is deleted, so that a kill
                leaves no file without a run.
        """
        from jobctl.store import pruning

        removed = pruning.prune(self._reading, self._writing, to_ms(now - keep), keep_per_job, before_delete)
        with self._writing() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'last_cleanup'", (to_ms(now),))
            connection.execute("DELETE FROM actions WHERE at < ?", (to_ms(now - keep),))
            notifications.prune(connection, to_ms(now - keep))
            connection.execute(f"DELETE FROM owners WHERE id NOT IN (SELECT id FROM ({_OWNERS}) AS kept)")
        return Pruned(removed)


def _is_registered(job: Registration, record: JobRecord | None) -> bool:
    return record is not None and job == Registration(
        record.id, record.name, record.schedule, record.timezone
    )


def _only(found: Sequence[T], prefix: str) -> T | None:
    if len(found) > 1:
        raise UsageError(f'several runs begin with "{prefix}"', hint="type more of its characters")
    return found[0] if found else None
