"""The table under the log of ``run``: what is running, what failed, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal
from jobctl.cli.views.metrics import share
from jobctl.cli.views.status import state_of
from jobctl.cli.views.times import ago, short, took, until
from jobctl.events import Event, RunFinished, RunStarted
from jobctl.model import JobStatus, Run, RunStatus, Status, rate
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import Group, OverflowMethod, RenderableType


@dataclass(slots=True)
class Tally:
    """What has happened since the start, counted from events."""

    completed: int = 0
    failed: int = 0
    running: dict[str, Run] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Count it."""
        if isinstance(event, RunStarted):
            self.running[event.run.job_id] = event.run
        elif isinstance(event, RunFinished):
            now = self.running.get(event.run.job_id)
            if now is not None and now.id == event.run.id:
                del self.running[event.run.job_id]
            self.completed += event.run.status is RunStatus.COMPLETED
            self.failed += event.run.status is RunStatus.FAILED


def rows(statuses: Sequence[JobStatus], now: datetime, most: int, terminal: Terminal) -> list[list[Any]]:
    """The jobs that matter most now: running, then failed, then the next due ones; ``most`` in all."""
    running = [one for one in statuses if one.status is Status.RUNNING]
    failed = [one for one in statuses if one.status is Status.FAILED]
    taken = {one.id for one in (*running, *failed)}
    due = [one for one in statuses if one.next_run is not None and one.id not in taken]
    due.sort(key=lambda one: one.next_run or now)
    return [_row(one, now, terminal) for one in [*running, *failed, *due][:most]]


def panel(
    statuses: Sequence[JobStatus], tally: Tally, now: datetime, terminal: Terminal, height: int
) -> "Group":
    """The whole of it, at most a third of the terminal's height, for Rich to draw."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    parts: list[RenderableType] = [Rule(characters="─" if terminal.unicode else "-", style="dim")]
    shown = rows(statuses, now, max(1, height // 3 - 4), terminal)
    if shown:
        columns = [*map(Column, ("JOB", "STATE", "LAST", "NEXT")), Column("TOOK", right=True)]
        parts.append(terminal.table(columns, shown))
    ended = tally.completed + tally.failed
    counts = (
        f"{counted(len(statuses), 'job')}, {len(tally.running)} running"
        f"      since start: {counted(ended, 'run')}, {share(rate(tally.completed, ended))} completed"
    )
    overflow: OverflowMethod = "ellipsis" if terminal.unicode else "crop"
    parts.append(Text(counts, style="dim", no_wrap=True, overflow=overflow))
    return Group(*parts)


def _row(job: JobStatus, now: datetime, terminal: Terminal) -> list[Any]:
    running = job.status is Status.RUNNING
    spent = short(now - job.last_run) if running and job.last_run else took(job.duration)
    return [
        job.id,
        state_of(job, now, terminal),
        "now" if running else ago(job.last_run, now),
        until(job.next_run, now),
        spent,
    ]
