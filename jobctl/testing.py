"""For the tests of your jobs: ``running()`` lets them find a run, as they do in a worker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from jobctl import run_context
from jobctl.clock import SystemClock
from jobctl.model import Progress, Trigger
from jobctl.run_context import Controls, RunContext


class TestControls(Controls):
    """Keeps what a run reports.

    Attributes:
        reported: each progress.
    """

    __test__ = False  # for pytest

    def __init__(self, previous_slot: datetime | None) -> None:
        super().__init__()
        self.reported: list[Progress] = []
        self.answer_slot(previous_slot)

    def report(self, progress: Progress) -> None:
        """Keep it."""
        self.reported.append(progress)

    def cancel(self) -> None:
        """Make ``cancelled`` true."""
        self.cancelled = True


@contextmanager
def running(
    *,
    job_id: str = "job",
    slot: datetime | None = None,
    previous_slot: datetime | None = None,
    attempt: int = 1,
    attempts: int = 1,
    timeout: timedelta = timedelta(hours=1),
    arguments: Mapping[str, Any] | None = None,
) -> Iterator[TestControls]:
    """In it, ``current_run()`` is a run with these values.

    ::

        with running(slot=datetime(2026, 11, 1, tzinfo=UTC)) as controls:
            report()
        assert controls.reported[-1].done == 100

    Args:
        slot: the due time, aware; None for a manual run.
        previous_slot: the newest due time before it that completed.
        timeout: of the attempt, from now.
    """
    controls = TestControls(previous_slot)
    run = RunContext(
        run_id="0" * 16,
        job_id=job_id,
        trigger=Trigger.MANUAL if slot is None else Trigger.SCHEDULE,
        slot=slot,
        attempt=attempt,
        attempts=attempts,
        deadline=SystemClock().now() + timeout,
        arguments=arguments or {},
        controls=controls,
    )
    with run_context.running(run):
        yield controls
