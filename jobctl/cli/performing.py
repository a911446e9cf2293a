"""A run in this process for a command: what it prints is shown, its end waited for and told."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.detach import DETACHED
from jobctl.cli.failures import forsake_output
from jobctl.cli.views.events import sentence
from jobctl.cli.views.runs import ending
from jobctl.documents import trigger_document
from jobctl.durations import format_duration
from jobctl.errors import ExitCode
from jobctl.events import (
    Event,
    NotTold,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    StoreRecovered,
    StoreTrouble,
    TracesNotTaken,
)
from jobctl.managers.local import LocalJobManager
from jobctl.managers.stop_signals import Stop
from jobctl.model import Run, RunStatus, Trigger

ASKED_BY = "_JOBCTL_TRIGGER"
"""Set by an exported worker: what asked for the run, ``schedule`` or ``manual``."""
TICK = 0.2
PATIENCE_S = 30.0
"""How long an end that cannot be recorded is waited for."""


class Performed(NamedTuple):
    """A run as it ended, the exit code, and whether another attempt might have helped."""

    run: Run
    code: int
    retry: bool


def perform(
    context: Context,
    manager: LocalJobManager,
    job_id: str,
    arguments: dict[str, Any],
    timeout: timedelta | None = None,
) -> Performed:
    """Run a job that the manager has, show what it prints, and wait for its end."""
    teller = _Teller(context)
    manager.bus.subscribe(teller)
    by = Trigger(context.process.get(ASKED_BY) or Trigger.MANUAL)
    with Stop(again=manager.end_now) as stop:
        try:
            started = manager.trigger_job(job_id, trigger=by, arguments=arguments, timeout=timeout)
            ended = _wait(manager, started.id, stop, teller)
        finally:
            manager.shutdown(timedelta(0))
    ended = ended or context.store.run(started.id) or started
    if ended.status is RunStatus.COMPLETED:
        return Performed(ended, ExitCode.DONE, retry=True)
    code = ExitCode.JOB_FAILED if stop.signal is None else stop.exit_code
    return Performed(ended, code, teller.retry)


def _wait(manager: LocalJobManager, run_id: str, stop: Stop, teller: "_Teller") -> Run | None:
    while stop.signal is None and not teller.is_out_of_patience:
        try:
            return manager.wait(run_id, TICK)
        except TimeoutError:
            continue
    return None


def tell_ended(run: Run, context: Context, *, retry: bool = True) -> None:
    """How it ended: the document with ``--json``, else a line on standard error."""
    out = context.output
    if out.json:
        if DETACHED not in os.environ:
            failed = run.status is RunStatus.FAILED
            out.document({**trigger_document(run), "retry": retry if failed else None})
    elif run.status is RunStatus.COMPLETED:
        out.note(ending(run))
    elif run.status is RunStatus.RUNNING:
        return
    else:
        out.message(ending(run))


@dataclass(slots=True)
class _Teller:
    """Shows a run while it happens: its lines raw, ours on standard error."""

    context: Context
    mute: bool = False
    retry: bool = True
    troubled: float | None = None

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the run store could not be written for too long; it is written to when a run has ended."""
        return self.troubled is not None and self.context.clock.monotonic() - self.troubled > PATIENCE_S

    def __call__(self, event: Event) -> None:
        out = self.context.output
        try:
            if isinstance(event, RunStarted):
                if DETACHED in os.environ:
                    out.document(trigger_document(event.run))
                    out.flush()
                    forsake_output()
                out.note(f"{event.run.job_id}: started, run {event.run.short_id}")
            elif isinstance(event, RunOutput) and out.json:
                out.message(event.line)
            elif isinstance(event, RunOutput) and not self.mute:
                out.line(event.line)
                out.flush()
            elif isinstance(event, RunRetrying):
                out.note(f"{event.run.job_id}: {event.error}; again in {format_duration(event.delay)}")
            elif isinstance(event, RunFinished):
                self.retry = event.retry
            else:
                self._tell_trouble(event)
        except Exception:  # the reader has gone, or its disk is full: the job must still end well
            self.mute = True
            forsake_output()

    def _tell_trouble(self, event: Event) -> None:
        if isinstance(event, NotTold | TracesNotTaken):
            self.context.output.warn(sentence(event))
        elif isinstance(event, StoreTrouble):
            self.troubled = self.troubled or self.context.clock.monotonic()
            self.context.output.warn(f"the run has ended, which cannot be recorded: {event.problem}")
        elif isinstance(event, StoreRecovered):
            self.troubled = None
