"""A run in this process for a command: what it prints is shown, its end waited for and told."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from queue import SimpleQueue
from typing import Any, NamedTuple

from jobctl import threads
from jobctl.cli.context import Context
from jobctl.cli.error_output import discard_output
from jobctl.cli.reporter import LAST_S
from jobctl.cli.views.events import sentence
from jobctl.cli.views.runs import ending
from jobctl.documents import trigger_document
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, JobctlError, StoreError
from jobctl.events import (
    EndNotRecorded,
    Event,
    NotificationFailed,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    StoreRecovered,
    StoreTrouble,
    TracesNotSent,
)
from jobctl.execution.process_tree import DETACHED_MARK, OWNER_MARK, WORKER_MARK
from jobctl.managers.local import LocalJobManager
from jobctl.managers.store_outage import ride_out
from jobctl.model import Run, RunStatus, Trigger
from jobctl.signals import Stop

ASKED_BY = "_JOBCTL_TRIGGER"
"""Set by an exported worker: what asked for the run, ``schedule`` or ``manual``."""
TICK = 0.2
PATIENCE_S = 30.0
"""How long an end that cannot be recorded is waited for."""


class Performed(NamedTuple):
    """A run as it ended, the exit code, and whether another attempt might have helped.

    ``stuck``: what it printed was not read, and a signal ended the wait for that.
    """

    run: Run
    code: int
    retry: bool
    stuck: bool


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
    with Stop(again=manager.end_now) as stop, teller.showing(stop):
        try:
            started = ride_out(
                lambda: manager.trigger_job(job_id, trigger=by, arguments=arguments, timeout=timeout),
                context.clock,
                context.warn_of_store_error,
                pause=lambda seconds: _give_up_at(stop, seconds),
            )
            with context.output.working(f"{job_id} is running"):
                ended = _wait(manager, started.id, stop, teller)
        finally:
            manager.shutdown(timedelta(0))
    ended = ended or context.store.run(started.id) or started
    if ended.status is RunStatus.COMPLETED:
        return Performed(ended, ExitCode.DONE, retry=True, stuck=teller.stuck)
    code = ExitCode.JOB_FAILED if stop.signal is None else stop.exit_code
    return Performed(ended, code, teller.retry, teller.stuck)


def _wait(manager: LocalJobManager, run_id: str, stop: Stop, teller: "_Teller") -> Run | None:
    while stop.signal is None and not teller.is_out_of_patience:
        try:
            return manager.wait(run_id, TICK)
        except TimeoutError:
            continue
        except StoreError:  # the run is not here, and the store is away: neither says that the run has ended
            stop.wait(TICK)
    return None


def _give_up_at(stop: Stop, seconds: float) -> None:
    if stop.wait(seconds):
        raise SystemExit(stop.exit_code)


def tell_ended(run: Run, context: Context, *, retry: bool = True) -> None:
    """How it ended: the document with ``--json``, else a line on standard error."""
    out = context.output
    if out.json:
        if not context.is_detached:
            failed = run.status is RunStatus.FAILED
            out.document({**trigger_document(run), "retry": retry if failed else None})
    elif run.status is RunStatus.COMPLETED:
        out.note(ending(run))
    elif run.status is RunStatus.RUNNING:
        return
    else:
        out.message(ending(run))


class _Teller:
    """Shows a run while it happens: its lines raw, ours on standard error.

    A thread writes: where the output is not read, the run is recorded all the same. Nothing is left out, for
    what a run prints is bounded.
    """

    def __init__(self, context: Context) -> None:
        self.retry = True
        self.stuck = self._is_over = False
        self._clock = context.clock
        self._is_detached = context.is_detached
        self._out = context.output.for_thread()
        self._mute = False
        self._troubled: float | None = None
        self._events: SimpleQueue[Event | None] = SimpleQueue()

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the run store could not be written for too long; it is written to when a run has ended."""
        return self._troubled is not None and self._clock.monotonic() - self._troubled > PATIENCE_S

    @contextmanager
    def showing(self, stop: Stop) -> Iterator[None]:
        """Show what is published; at the end wait until it was read, or ``LAST_S`` seconds after a signal."""
        thread = threading.Thread(target=self._main, name="jobctl-output", daemon=True)
        threads.start(thread)
        try:
            yield
        finally:
            self._events.put(None)
            while thread.is_alive() and stop.signal is None:
                thread.join(TICK)
            thread.join(LAST_S)
            self.stuck = thread.is_alive()
            self._is_over = True

    def __call__(self, event: Event) -> None:
        """Take an event, from any thread."""
        if isinstance(event, RunFinished):
            self.retry = event.retry
        elif isinstance(event, StoreTrouble):
            self._troubled = self._troubled or self._clock.monotonic()
        elif isinstance(event, StoreRecovered):
            self._troubled = None
        if not self._is_over:
            self._events.put(event)
        elif not self.stuck:
            self._show(event)

    def _main(self) -> None:
        while (event := self._events.get()) is not None:
            self._show(event)

    def _show(self, event: Event) -> None:
        try:
            self._write(event)
        except Exception:  # the reader has gone, or its disk is full: the job must still end well
            self._mute = True
            discard_output()

    def _write(self, event: Event) -> None:
        out = self._out
        if isinstance(event, RunStarted):
            if self._is_detached:
                out.document(trigger_document(event.run))
                discard_output()
            out.note(f"{event.run.job_id}: started, run {event.run.short_id}")
        elif isinstance(event, RunOutput) and out.json:
            out.message(event.line)
        elif isinstance(event, RunOutput) and not self._mute:
            out.line(event.line)
        elif isinstance(event, RunRetrying):
            out.note(f"{event.run.job_id}: {event.error}; again in {format_duration(event.delay)}")
        elif isinstance(event, NotificationFailed | TracesNotSent | EndNotRecorded):
            out.warn(sentence(event))
        elif isinstance(event, StoreTrouble):
            out.warn(f"the run has ended, and its end cannot be recorded yet: {event.problem}")


def detached(context: Context) -> dict[str, Any]:
    """Start it with the words of this call, and answer with its run as recorded.

    Inside a job it leaves the job's processes, and so outlives them: see ``jobctl.execution.process_tree``.

    Raises:
        JobctlError: as the other one refused.
    """
    import json

    words = [
        word
        for word in sys.argv[1:]
        if word not in {"--no-wait", "--json", "-q", "--quiet", "-v", "--verbose"}
    ]
    kept = {name: value for name, value in context.process.items() if name not in {OWNER_MARK, WORKER_MARK}}
    # what the .env files say goes along: one of them may be a pipe, which was read here
    said = {
        name: value for name, value in context.environment.merged().items() if name not in context.process
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jobctl", *words, "--json", "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**said, **kept, DETACHED_MARK: "1"},
        start_new_session=True,
    )
    if process.stdout is None:
        raise JobctlError("the background process has no output")
    with process.stdout as told:
        line = told.readline()
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        code = process.wait()
        raise JobctlError(f"the background process ended with {code} and started nothing") from None
    refusal = answer["error"]
    if isinstance(refusal, dict):
        process.wait()
        raise _as_told(refusal)
    process.returncode = 0  # it goes on without us: nobody waits for it
    return answer


def _as_told(error: dict[str, Any]) -> JobctlError:
    told = JobctlError(error["message"], hint=error["hint"])
    told.code = error["code"]
    told.exit_code = ExitCode(error["exit_code"])
    return told
