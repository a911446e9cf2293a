"""What the pool tells of its tasks: turns what came from workers into outcomes and logs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import Clock
from jobctl.execution.link import Current, Link, ending_words
from jobctl.execution.output import RunLog, shown_error
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskOutput, TaskStarted
from jobctl.model import Reason
from jobctl.settings.masking import Mask
from jobctl.store.logs import Kept
from jobctl.text import printable


class Told:
    """Outcomes since the last ``take``, in the order in which they happened."""

    def __init__(self, logs: Path, most_logs: int, mask: Mask, clock: Clock) -> None:
        self._logs = logs
        self._kept = Kept(logs, most_logs)
        self._mask = mask
        self._clock = clock
        self._outcomes: list[Outcome] = []

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def take(self) -> list[Outcome]:
        """All of them; they are then forgotten."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def began(self, link: Link, run_id: str, at: float) -> None:
        """A worker has begun a task that it was sent."""
        task = link.queue.pop(run_id)
        log = RunLog(self._logs, task.job_id, task.run_id, self._mask, task.attempt)
        link.current = Current(task, at, self._wall(at), log)
        self._outcomes.append(TaskStarted(task.run_id, link.pid, link.current.at))

    def printed(self, current: Current, data: bytes) -> None:
        """The task that a worker is on has printed."""
        if data:
            self._lines(current.task, current.log.feed(data, self._clock.now()))

    def ended(
        self,
        link: Link,
        current: Current,
        reason: Reason | None,
        error: str | None,
        *,
        at: float,
        took: float,
        message: Mapping[str, Any],
    ) -> None:
        """The task that a worker was on has ended, with all its processes."""
        task = current.task
        link.current = None
        if reason not in {None, Reason.ERROR} and error:
            self._lines(task, current.log.say(error, self._clock.now()))
        self._lines(task, current.log.close(self._clock.now()))
        self._kept.add(task.job_id, task.run_id, current.log.written)
        self._outcomes.append(
            TaskFinished(
                run_id=task.run_id,
                pid=link.pid,
                started_at=current.at,
                finished_at=self._wall(at),
                duration=timedelta(seconds=took),
                reason=reason,
                error=None if error is None else shown_error(error, self._mask),
                result=self._mask.value(message.get("result")),
                retry=bool(message.get("retry", True)),
            )
        )

    def never_began(
        self, task: Task, reason: Reason, error: str | None = None, *, retry: bool = True
    ) -> None:
        """A task ends without having run."""
        now = self._clock.now()
        words = shown_error(error or ending_words(task, reason), self._mask)
        self._outcomes.append(
            TaskFinished(task.run_id, None, now, now, timedelta(0), reason, words, retry=retry)
        )

    def last_line(self, data: bytes) -> str:
        """The last line of what a worker printed, printable and without secrets: the end of it, where it is long."""
        return printable(self._mask(data.decode("utf-8", "replace")).strip().rpartition("\n")[2][-500:])

    def _lines(self, task: Task, lines: Sequence[str]) -> None:
        if lines:
            self._outcomes.append(TaskOutput(task.run_id, task.job_id, self._clock.now(), lines))

    def _wall(self, steady: float) -> datetime:
        """A time of the steady clock, which all processes of a machine share, on the wall clock."""
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - steady)
