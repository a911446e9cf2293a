"""``jobctl trigger`` where Trigger.dev is in charge: the run is started there and followed to its end."""

from datetime import timedelta
from typing import Any

from jobctl.cli.context import Context
from jobctl.errors import ExitCode, ServiceError
from jobctl.managers.trigger_dev import TriggerDevJobManager
from jobctl.model import Run, RunStatus
from jobctl.modes import Mode
from jobctl.signals import Stop
from jobctl.trigger_dev.runs import as_run
from jobctl.trigger_dev.statuses import meaning

_CODES = {
    RunStatus.FAILED: ExitCode.JOB_FAILED,
    RunStatus.CANCELLED: ExitCode.JOB_FAILED,
    RunStatus.SKIPPED: ExitCode.ALREADY_RUNNING,
}


class _StoppedError(Exception):
    """A signal came while waiting."""


def trigger_there(
    context: Context,
    job_id: str,
    arguments: dict[str, Any],
    timeout: timedelta | None,
    *,
    wait: bool,
    retry: bool,
) -> tuple[Run, int]:
    """Start it, tell how it goes, and answer with the run as it last stood and the exit code.

    A signal ends the waiting, not the run.
    """
    out = context.output
    manager = context.manager(Mode.TRIGGER_DEV, kind="trigger", workers=1)
    if not isinstance(manager, TriggerDevJobManager):
        raise TypeError("Trigger.dev mode has Trigger.dev's manager")
    manager.add([context.job(job_id)])
    try:
        started = manager.trigger_job(job_id, arguments=arguments, timeout=timeout, retry=retry)
        out.note(f"{job_id}: started at Trigger.dev, run {started.id}")
        if not wait:
            return started, ExitCode.DONE
        with Stop(again=_give_up) as stop:

            def pause(seconds: float) -> None:
                if stop.wait(seconds):
                    raise _StoppedError

            last = started
            try:
                for remote in manager.follow(started.id, pause):
                    last = as_run(remote)
                    if last.status is RunStatus.RUNNING:
                        out.note(f"{job_id}: {meaning(remote.status).words}")
            except _StoppedError:
                out.message(f"{job_id}: no longer waited for; run {started.id} goes on at Trigger.dev")
                out.note("cancel it in Trigger.dev's dashboard; how it ended: jobctl status " + job_id)
                return last, stop.exit_code
            except ServiceError:
                out.message(f"{job_id}: run {started.id} was started, and may still go on at Trigger.dev")
                raise
        return last, _CODES.get(last.status, ExitCode.DONE)
    finally:
        manager.shutdown()


def _give_up() -> None:
    """A second signal: do not even wait for an answer that is on its way."""
    raise KeyboardInterrupt
