"""How ``trigger``, ``rerun`` and ``report`` run a job: in the foreground until it ends, or in another jobctl; and how to start that."""

import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl import thread_start
from jobctl.cli.context import Context
from jobctl.cli.error_output import discard_output
from jobctl.cli.output import LAST_S
from jobctl.cli.views.runs import ending
from jobctl.durations import format_duration
from jobctl.errors import ExitCode, JobctlError
from jobctl.events import (
    EndNotRecorded,
    Event,
    NotificationFailed,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    StoreUnavailable,
    TracesNotSent,
)
from jobctl.files import actor_here
from jobctl.model import Run, RunStatus, Trigger, short_id
from jobctl.project import wait_for_store
from jobctl.signals import DETACHED_MARK, OWNER_MARK, WORKER_MARK, Stop

if TYPE_CHECKING:
    from jobctl.scheduler.single_run import SingleRun

TRIGGERED_BY = "_JOBCTL_TRIGGER"
"""Set by an exported worker: what started the run, ``schedule`` or ``manual``."""
SCHEDULED_FOR = "TRIGGER_SCHEDULED_FOR"
"""Set by an exported worker: the due time of the run, in ISO 8601."""
TICK_S = 0.2


class ForegroundResult(NamedTuple):
    """A run as it ended, the exit code, and whether another attempt might have helped.

    Attributes:
        stuck: what it printed was not read, and a signal ended the wait for that.
    """

    run: Run
    code: int
    retry: bool
    stuck: bool


def run_in_foreground(
    context: Context,
    single: "SingleRun",
    arguments: dict[str, Any],
    timeout: timedelta | None = None,
    *,
    slot: datetime | None = None,
    rerun_of: str | None = None,
) -> ForegroundResult:
    """Run a job, show what it prints, and wait for its end. The first signal ends the run, the next one at once.

    Args:
        slot: the due time that it runs for, without a claim of it.
        rerun_of: the id of the run that it repeats.
    """
    printer = _RunPrinter(context)
    single.bus.subscribe(printer)
    trigger = Trigger(context.process.get(TRIGGERED_BY) or Trigger.MANUAL)
    actor = None
    if trigger is not Trigger.SCHEDULE:
        actor = actor_here()
    else:
        slot = _slot(context.process.get(SCHEDULED_FOR, ""))
    with Stop(again=single.end_now) as stop, printer.showing(stop):
        try:
            if trigger is Trigger.SCHEDULE and slot is not None and single.excludes(slot):
                due = slot
                skipped = wait_for_store(
                    lambda: single.skip_excluded(due),
                    context.clock,
                    context.warn_of_store_error,
                    pause=lambda seconds: _exit_if_stopped(stop, seconds),
                )
                return ForegroundResult(skipped, ExitCode.DONE, retry=False, stuck=printer.stuck)
            started = wait_for_store(
                lambda: single.start(trigger, arguments, timeout, slot=slot, rerun_of=rerun_of, actor=actor),
                context.clock,
                context.warn_of_store_error,
                pause=lambda seconds: _exit_if_stopped(stop, seconds),
            )
            with context.output.working(f"{started.job_id} is running"):
                ended = single.wait(started.id, lambda: stop.signal is not None)
        finally:
            single.close()
    if ended.status is RunStatus.COMPLETED:
        return ForegroundResult(ended, ExitCode.DONE, retry=True, stuck=printer.stuck)
    code = ExitCode.JOB_FAILED if stop.signal is None else stop.exit_code
    return ForegroundResult(ended, code, printer.retry, printer.stuck)


def _slot(text: str) -> datetime | None:
    """A time in ISO 8601, in UTC; None where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _exit_if_stopped(stop: Stop, seconds: float) -> None:
    if stop.wait(seconds):
        raise SystemExit(stop.exit_code)


def report_end(run: Run, context: Context, *, retry: bool = True) -> None:
    """How a run ended: the document with ``--json``, else a line on standard error."""
    out = context.output
    if out.json:
        if not context.is_detached:
            from jobctl.json_documents import trigger_document

            failed = run.status is RunStatus.FAILED
            out.document({**trigger_document(run), "retry": retry if failed else None})
    elif run.status is RunStatus.COMPLETED:
        out.note(ending(run))
    elif run.status is not RunStatus.RUNNING:
        out.message(ending(run))


class _RunPrinter:
    """Shows a run while it happens: what it prints as it is, messages of jobctl on standard error.

    A thread writes, so that the run is recorded even where nothing reads the output. Nothing is left out, for
    the output of a run is bounded.
    """

    def __init__(self, context: Context) -> None:
        self.retry = True
        self.stuck = self._is_over = False
        self._is_detached = context.is_detached
        self._out = context.output.for_thread()
        self._is_mute = False
        self._run_id = ""
        self._events: SimpleQueue[Event | None] = SimpleQueue()

    @contextmanager
    def showing(self, stop: Stop) -> Iterator[None]:
        """Show what is published; at the end wait until it is read, at most ``LAST_S`` seconds after a signal."""
        thread = threading.Thread(target=self._main, name="jobctl-output", daemon=True)
        thread_start.start(thread)
        try:
            yield
        finally:
            self._events.put(None)
            while thread.is_alive() and stop.signal is None:
                thread.join(TICK_S)
            thread.join(LAST_S)
            self.stuck = thread.is_alive()
            self._is_over = True

    def __call__(self, event: Event) -> None:
        """Take an event, from any thread."""
        if isinstance(event, RunStarted):
            self._run_id = event.run.id
        elif isinstance(event, RunFinished) and event.run.id == self._run_id:  # not a lost run of another job
            self.retry = event.retry
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
        except Exception:  # the reader is gone, or its disk is full: the run goes on to its end
            self._is_mute = True
            discard_output()

    def _write(self, event: Event) -> None:
        out = self._out
        if isinstance(event, RunStarted):
            if self._is_detached:
                from jobctl.json_documents import trigger_document

                out.document(trigger_document(event.run))
                discard_output()
            out.note(f"{event.run.job_id}: started, run {event.run.short_id}")
        elif isinstance(event, RunOutput) and out.json:
            out.message(event.line)
        elif isinstance(event, RunOutput) and not self._is_mute:
            out.line(event.line)
        elif isinstance(event, RunRetrying):
            out.note(f"{event.run.job_id}: {event.error}; again in {format_duration(event.delay)}")
        elif isinstance(event, NotificationFailed | TracesNotSent | EndNotRecorded):
            from jobctl.cli.views.events import sentence

            out.warn(sentence(event))
        elif isinstance(event, StoreUnavailable):
            out.warn(f"the run has ended, and its end cannot be recorded yet: {event.problem}")


def report_start(run: dict[str, Any], context: Context) -> int:
    """What ``start_detached`` has started: the document with ``--json``, and a line on standard error."""
    if context.output.json:
        context.output.document(run)
    context.output.note(f"{run['job_id']}: started, run {short_id(str(run['run_id']))}")
    return ExitCode.DONE


def start_detached(context: Context, given: bytes = b"") -> dict[str, Any]:
    """For ``--no-wait``: start another jobctl, in a session of its own, that does what this one was called for.

    Returns the run that it has started.

    In a job it leaves the job's processes, and so outlives them: see ``jobctl.execution.process_tree``.

    Args:
        given: what it reads from standard input.

    Raises:
        JobctlError: as that process refused.
    """
    import json
    import subprocess
    from tempfile import TemporaryFile

    words = [
        word
        for word in sys.argv[1:]
        if word not in {"--no-wait", "--json", "-q", "--quiet", "-v", "--verbose"}
    ]
    kept = {name: value for name, value in context.process.items() if name not in {OWNER_MARK, WORKER_MARK}}
    # the settings from .env files are passed on: such a file may be a pipe, which was read here
    settings = {
        name: value for name, value in context.environment.merged().items() if name not in context.process
    }
    with TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "jobctl", *words, "--json", "--quiet"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**settings, **kept, DETACHED_MARK: "1"},
            start_new_session=True,
        )
    if process.stdout is None:
        raise JobctlError("the background process has no output")
    with process.stdout as output:
        line = output.readline()
    try:
        document: dict[str, Any] = json.loads(line)
    except ValueError:
        code = process.wait()
        raise JobctlError(f"the background process ended with {code} and started nothing") from None
    refusal = document["error"]
    if isinstance(refusal, dict):
        process.wait()
        error = JobctlError(refusal["message"], hint=refusal["hint"])
        error.code, error.exit_code = refusal["code"], ExitCode(refusal["exit_code"])
        raise error
    process.returncode = 0  # it outlives this process
    return document


def program() -> list[str]:
    """The command and its arguments, with the whole path."""
    called = Path(sys.argv[0])
    beside = Path(sys.executable).with_name("jobctl")
    for file in (called, beside):
        if file.name == "jobctl" and file.is_file() and os.access(file, os.X_OK):
            return [str(file.absolute())]
    return [sys.executable, "-m", "jobctl"]


def typed() -> str:
    """The command to type in a shell: ``jobctl`` if that name finds this program."""
    words = program()
    found = shutil.which("jobctl")
    same = found is not None and os.path.realpath(found) == os.path.realpath(words[0])
    return "jobctl" if same else shlex.join(words)
