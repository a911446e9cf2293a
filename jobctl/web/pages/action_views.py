"""The views that change something: each is kept with who asked and why, and says what it did."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from jobctl.arguments import Schema
from jobctl.durations import parse_duration
from jobctl.errors import JobctlError, ScheduleError, UsageError
from jobctl.model import Action, ActionKind, Job, Run, RunStatus, WaitingRun, short_id
from jobctl.modes import Mode
from jobctl.settings.masking import Mask, secret_texts
from jobctl.store.records import Cancellation, registration
from jobctl.text import quote
from jobctl.web.pages.argument_form import DRY_RUN, fields_of, takes_others, texts_of
from jobctl.web.pages.rendering import dated
from jobctl.web.pages.run_view import find
from jobctl.web.pages.visit import Visit


def run_form(visit: Visit) -> Response:
    """What a run needs: its arguments, and why."""
    job = _job(visit)
    return _form(visit, job, visit.page.functions.schema(job))


def run_now(visit: Visit) -> Response:
    """Run a job."""
    job = _job(visit)
    visit.page.starter.check(job)
    functions = visit.page.functions
    schema = functions.schema(job)
    dry = {"dry_run": True} if visit.field(DRY_RUN) and _takes_dry_run(job, schema) else {}
    try:
        arguments = functions.check(job, dry, texts_of(schema, visit.form))
        run_id = visit.page.starter.run(job, arguments, visit.actor, visit.reason)
    except UsageError as error:
        return _form(visit, job, schema, error)
    words = "A dry run of" if dry else "A run of"
    return visit.done(f"/runs/{run_id}", f"{words} {job.id} was started: {short_id(run_id)}.")


def rerun(visit: Visit) -> Response:
    """Run a job again as in an earlier run."""
    before = find(visit.page.reader, visit.request.path_params["id"])
    job = _known(visit, before.job_id)
    visit.page.starter.check(job)
    run_id = visit.page.starter.rerun(before.id, job, visit.actor, visit.reason)
    return visit.done(f"/runs/{run_id}", f"{job.id} runs again as in run {before.short_id}.")


def cancel(visit: Visit) -> Response:
    """Ask a run to end, wherever it runs."""
    reader = visit.page.reader
    run = find(reader, visit.request.path_params["id"])
    if not _cancel(visit, run, is_now=bool(visit.field("now"))):
        last = find(reader, run.id)
        state = last.status.value if isinstance(last, Run) else "waiting"
        return visit.done(f"/runs/{run.id}", f"Nothing was done: the run has ended, {state}.")
    waits = isinstance(run, WaitingRun)
    notice = "The run was taken off the list before it began." if waits else "The run was asked to end."
    return visit.done(f"/runs/{run.id}", notice)


def cancel_of_job(visit: Visit) -> Response:
    """Ask the run of a job to end that is in progress."""
    reader = visit.page.reader
    job_id = _job(visit).id
    going = reader.runs(job_id, [RunStatus.RUNNING], 1)
    if not going:
        return visit.done(f"/jobs/{job_id}", f"Nothing was done: {job_id} is not running.")
    _cancel(visit, going[0], is_now=False)
    return visit.done(f"/runs/{going[0].id}", "The run was asked to end.")


def pause(visit: Visit) -> Response:
    """Take a job off its schedule, for a time or until it is resumed."""
    job, reader = _job(visit), visit.page.reader
    until = _end(visit.field("until"), reader.clock.now())
    if reader.mode is Mode.TRIGGER_DEV:
        reader.trigger_dev.stop_job(job.id, until=until)
        _keep_action(visit, ActionKind.STOP, job.id)
        return visit.done(
            f"/jobs/{job.id}", f"{job.id} is off its schedule at Trigger.dev until it is resumed."
        )
    store = reader.store()
    store.register([registration(job)], reader.clock.now())
    store.stop([job.id], reader.clock.now(), visit.reason, until, visit.actor)
    end = f"until {dated(until)}" if until else "until it is resumed"
    return visit.done(f"/jobs/{job.id}", f"{job.id} is off its schedule {end}. A run in progress goes on.")


def resume(visit: Visit) -> Response:
    """Put a job back on its schedule."""
    job, reader = _job(visit), visit.page.reader
    if reader.mode is Mode.TRIGGER_DEV:
        reader.trigger_dev.start_job(job.id)
        _keep_action(visit, ActionKind.START, job.id)
        return visit.done(f"/jobs/{job.id}", f"{job.id} is back on its schedule at Trigger.dev.")
    store = reader.store()
    store.register([registration(job)], reader.clock.now())
    store.start([job.id], reader.clock.now(), visit.actor)
    return visit.done(f"/jobs/{job.id}", f"{job.id} is back on its schedule.")


def _cancel(visit: Visit, run: Run | WaitingRun, *, is_now: bool) -> bool:
    """Ask a run to end; False where it has ended."""
    reader = visit.page.reader
    if not (reader.mode is Mode.TRIGGER_DEV and run.id.startswith("run_")):
        cancellation = Cancellation(run.id, visit.actor, visit.reason, is_now)
        return reader.store().cancel(cancellation, reader.clock.now())
    is_asked = reader.trigger_dev.cancel_run(run.id)
    if is_asked:
        _keep_action(visit, ActionKind.CANCEL, run.job_id, run.id)
    return is_asked


def _keep_action(visit: Visit, kind: ActionKind, job_id: str, run_id: str | None = None) -> None:
    """Keep who did what at Trigger.dev, which knows only the key."""
    reader = visit.page.reader
    action = Action(kind, reader.clock.now(), visit.actor, job_id, run_id, visit.reason)
    reader.store().keep([], action)


def _job(visit: Visit) -> Job:
    return _known(visit, visit.request.path_params["id"])


def _known(visit: Visit, job_id: str) -> Job:
    """A job of the catalogue.

    Raises:
        UnknownJobError: there is none.
    """
    catalogue = visit.page.reader.project.catalogue
    return catalogue.get(job_id, lambda job_id: visit.page.reader.store().job(job_id) is not None)


def _end(text: str, now: datetime) -> datetime | None:
    """When a pause ends; None: when it is resumed.

    Raises:
        UsageError: the text is no duration and no time, or the time is past.
    """
    if not text:
        return None
    try:
        end = now + parse_duration(text)
    except (ScheduleError, OverflowError):
        try:
            read = datetime.fromisoformat(text)
            # a browser's field has no zone: it means that of this machine, as every time on the page
            end = read.astimezone(UTC)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{quote(text)} is no time",
                hint="write how long, such as 2d, or a time such as 2027-03-27T02:30",
            ) from None
    if end - now < timedelta(seconds=1):
        raise UsageError(f"{quote(text)} is past", hint="write a later time, or how long such as 2d")
    return end


def _takes_dry_run(job: Job, schema: Schema) -> bool:
    return job.dry_run or DRY_RUN in schema.get("properties", {})


def _form(visit: Visit, job: Job, schema: Schema, error: JobctlError | None = None) -> Response:
    mask = visit.page.reader.project.environment.mask
    given: dict[str, Any] = Mask(secret_texts(job.arguments)).value(mask.value(dict(job.arguments)))
    shown = {
        "job": job,
        "fields": fields_of(schema, given, visit.form),
        "takes_others": takes_others(schema),
        "others": visit.field("others"),
        "takes_dry_run": _takes_dry_run(job, schema),
        "is_dry": bool(visit.field(DRY_RUN)),
        "reason": visit.reason or "",
        "error": mask(str(error)) if error else None,
        "hint": mask(error.hint) if error and error.hint else None,
    }
    return visit.show("run_form.html", shown, status=400 if error else 200)
