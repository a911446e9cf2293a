"""A definition from the arguments of ``schedule_job`` and ``schedule_cron_job``, checked."""

from jobctl.errors import UsageError
from jobctl.model import Command, Job, Schedule, Target
from jobctl.store.records import Registration
from jobctl.text import ID_HINT, is_job_id, quote


def define(job_id: str, name: str, target: Target, schedule: Schedule) -> Job:
    """A job of the application's own.

    A function that a worker process can import by name is kept as that name, so that it runs
    there; any other runs in a thread of this process.

    Raises:
        UsageError: a bad id, or a target that is no function, import text or command.
    """
    if isinstance(target, str):
        module, colon, function = target.partition(":")
        if not (colon and module and function):
            raise UsageError(f"{quote(target)} is not an import text", hint="write package.module:function")
    elif callable(target):
        from jobctl.execution.threads import importable

        target = importable(target) or target
    elif not isinstance(target, Command):
        raise UsageError(f"a job is a function or an import text, not {type(target).__name__}")
    if not is_job_id(job_id):
        raise UsageError(f"{quote(job_id)} is not a job id", hint=ID_HINT)
    return Job(job_id, name or job_id, schedule, target)


def registration(job: Job) -> Registration:
    """The job as it is announced to the run store."""
    schedule = job.schedule
    return Registration(
        job.id, job.name, schedule.text if schedule else "", schedule.timezone if schedule else "UTC"
    )
