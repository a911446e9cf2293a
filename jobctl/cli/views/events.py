"""Events of ``run`` as lines: for a terminal, for a log, and as JSON."""

from datetime import datetime, timedelta
from typing import Any

from jobctl.cli.views.runs import ending
from jobctl.clock import iso
from jobctl.durations import format_duration, milliseconds, short
from jobctl.errors import JobctlError
from jobctl.events import (
    ClockJumped,
    ClocksDiffer,
    EndNotRecorded,
    Event,
    JobLate,
    JobOnTime,
    JobsChanged,
    JobsLeftOut,
    JobsRefused,
    LinesNotShown,
    MetricsNotWritten,
    NotificationFailed,
    RegistrationRenewed,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    SchedulerStarted,
    SchedulerStopped,
    SchedulerStopping,
    SlotsMissed,
    StoreRecovered,
    StoreUnavailable,
    TracesNotSent,
)
from jobctl.model import Reason, RunStatus
from jobctl.subscribers.notification import missed
from jobctl.text import counted, printable

_NAMES = {
    SchedulerStarted: "scheduler_started",
    SchedulerStopping: "scheduler_stopping",
    SchedulerStopped: "scheduler_stopped",
    RegistrationRenewed: "registration_renewed",
    EndNotRecorded: "end_not_recorded",
    RunStarted: "run_started",
    RunOutput: "run_output",
    RunRetrying: "run_retrying",
    RunFinished: "run_finished",
    SlotsMissed: "slots_missed",
    JobLate: "job_late",
    JobOnTime: "job_on_time",
    ClockJumped: "clock_jumped",
    ClocksDiffer: "clocks_differ",
    StoreUnavailable: "store_trouble",
    StoreRecovered: "store_recovered",
    JobsChanged: "jobs_changed",
    JobsLeftOut: "jobs_left_out",
    JobsRefused: "jobs_refused",
    NotificationFailed: "not_told",
    TracesNotSent: "traces_not_taken",
    MetricsNotWritten: "metrics_not_written",
    LinesNotShown: "lines_not_shown",
}
_WARNINGS = (
    SlotsMissed
    | JobLate
    | ClockJumped
    | ClocksDiffer
    | RunRetrying
    | JobsLeftOut
    | NotificationFailed
    | TracesNotSent
    | MetricsNotWritten
    | LinesNotShown
)


def moment(event: Event, now: datetime) -> datetime:
    """When the event happened."""
    if isinstance(event, RunStarted):
        return event.run.started_at
    if isinstance(event, RunFinished | EndNotRecorded):
        return event.run.finished_at or now
    if isinstance(event, RunRetrying):
        return now
    return event.at


def job_of(event: Event) -> str | None:
    """The event's job; None for the scheduler."""
    if isinstance(event, RunStarted | RunFinished | RunRetrying | EndNotRecorded):
        return event.run.job_id
    return (
        event.job_id
        if isinstance(
            event, RunOutput | SlotsMissed | JobLate | JobOnTime | NotificationFailed | LinesNotShown
        )
        else None
    )


def level(event: Event) -> str | None:
    """``error``, ``warning`` or None."""
    if isinstance(event, RunFinished) and event.run.status is RunStatus.FAILED:
        return "error"
    if isinstance(event, StoreUnavailable | JobsRefused | RegistrationRenewed | EndNotRecorded):
        return "error"
    if isinstance(event, RunFinished) and event.run.status is RunStatus.SKIPPED:
        return None if event.run.reason is Reason.EXCLUDED else "warning"
    return "warning" if isinstance(event, _WARNINGS) else None


def sentence(event: Event) -> str:
    """What happened, without time and job."""
    return _of_run(event) or _of_job(event) or _of_scheduler(event) or _of_files(event)


def _of_run(event: Event) -> str:
    match event:
        case RunStarted():
            return f"started, run {event.run.short_id}"
        case RunOutput():
            return event.line or " "
        case RunRetrying():
            return (
                f"attempt {event.run.attempt} failed: {event.error}; again in {format_duration(event.delay)}"
            )
        case RunFinished():
            return ending(event.run).removeprefix(f"{event.run.job_id}: ")
        case EndNotRecorded():
            return f"the run store does not know run {event.run.short_id} any more: its end is not recorded"
        case LinesNotShown():
            return _not_shown(event)
    return ""


def _of_job(event: Event) -> str:
    match event:
        case NotificationFailed():
            return f"{event.receiver} was not notified: {event.problem}"
        case SlotsMissed():
            return missed(event)
        case JobLate():
            return f"late: {event.why}"
        case JobOnTime():
            return "on time again"
    return ""


def _not_shown(event: LinesNotShown) -> str:
    what, where = "event", "jobctl runs"
    if event.is_output:
        what, where = "line", f"jobctl logs {event.job_id or 'JOB'}"
    return f"{counted(event.count, what)} not shown; {where} has them"


def _changes(event: JobsChanged) -> str:
    kinds = {"new": event.added, "changed": event.changed, "gone": event.removed}
    return "; ".join(f"{', '.join(ids)} {word}" for word, ids in kinds.items() if ids) or "no job has changed"


def _of_scheduler(event: Event) -> str:
    match event:
        case SchedulerStarted():
            return f"started: {counted(event.jobs, 'job')}, {counted(event.workers, 'worker')}"
        case SchedulerStopping():
            return _stopping(event)
        case SchedulerStopped():
            return f"stopped, {event.interrupted} interrupted"
        case ClockJumped():
            if event.by < timedelta(0):
                then = "wait for their next slots" if event.waits else "go on from now"
                return f"the clock was set back by {short(-event.by)}; jobs {then}"
            return f"the clock jumped {short(event.by)} forward, or the machine slept"
        case ClocksDiffer():
            return (
                f"another scheduler on this run store has a clock {short(event.by)} ahead of this one;"
                " the jobs that it runs wait here until then: set both clocks"
            )
        case StoreUnavailable():
            return f"the run store cannot be written, so nothing starts: {event.problem}"
        case StoreRecovered():
            return "the run store can be written again"
        case RegistrationRenewed():
            ended = f"; {counted(event.runs, 'run')} ended as lost" if event.runs else ""
            return f"{event.reason}{ended}. Registered again, jobs go on"
    return ""


def _of_files(event: Event) -> str:
    match event:
        case JobsChanged():
            return f"the project file was edited: {_changes(event)}"
        case JobsLeftOut():
            return event.problem
        case JobsRefused():
            odd = "" if isinstance(event.error, JobctlError) else f"{type(event.error).__name__}: "
            problem = odd + " ".join(str(event.error).split())
            return f"the edited project file is not used, the jobs go on as before: {problem}"
        case TracesNotSent():
            return f"traces of runs are lost: {printable(event.problem)}"
        case MetricsNotWritten():
            return f"the metrics file {printable(str(event.file))} cannot be written: {event.problem}"
    return ""


def terminal_line(event: Event, now: datetime) -> str:
    """``09:10:00 [repository-sync] completed in 1.2 s``, in local time."""
    job = job_of(event)
    about = f"[{job}]" if job else "scheduler"
    return f"{moment(event, now).astimezone():%H:%M:%S} {about} {sentence(event)}"


def log_line(event: Event, now: datetime) -> str:
    """``2026-11-23T09:10:00+01:00 [repository-sync] completed run=3f2a91 took=1204ms``."""
    at = moment(event, now).astimezone().isoformat(timespec="seconds")
    job = f"[{job_of(event)}]" if job_of(event) else "scheduler"
    if isinstance(event, RunOutput):
        return f"{at} {job} {event.line}"
    grave = level(event)
    words = [at, *([grave] if grave else []), job]
    if isinstance(event, RunStarted):
        slot = event.run.scheduled_for
        words += ["started", f"run={event.run.short_id}", *([f"slot={iso(slot)}"] if slot else [])]
    elif isinstance(event, RunFinished):
        run = event.run
        words += [run.status.value, f"run={run.short_id}"]
        words += [f"took={milliseconds(run.duration)}ms"] if run.duration is not None else []
        words += [f"reason={run.reason.value}"] if run.reason else []
        words += [sentence(event).partition(": ")[2]] if run.error else []
    else:
        words.append(sentence(event))
    return " ".join(words)


def document(event: Event, now: datetime) -> dict[str, Any]:
    """The event for programs; a field that does not apply is null."""
    run = event.run if isinstance(event, RunStarted | RunFinished | RunRetrying | EndNotRecorded) else None
    run_id = event.run_id if isinstance(event, RunOutput) else (run.id if run else None)
    return {
        "ts": iso(moment(event, now)),
        "event": _NAMES[type(event)],
        "level": level(event) or "info",
        "job": job_of(event),
        "run": run_id,
        "slot": iso(run.scheduled_for) if run and run.scheduled_for else None,
        "status": run.status.value if run else None,
        "reason": run.reason.value if run and run.reason else None,
        "duration_ms": milliseconds(run.duration) if run else None,
        "message": sentence(event),
    }


def _stopping(event: SchedulerStopping) -> str:
    if not event.running:
        return "stopping: nothing is running"
    count = len(event.running)
    who = ", ".join(event.running[:5]) + (", …" if count > 5 else "")
    runs = "1 run has" if count == 1 else f"{count} runs have"
    it = "it" if count == 1 else "them"
    return f"stopping: {runs} {format_duration(event.grace)} to end ({who}). Ctrl-C again ends {it} now"
