"""The manager of disabled mode: it runs nothing, says so, and still shows what was recorded."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from jobctl.clock import Clock
from jobctl.errors import NotRunError
from jobctl.managers.base import StoreBackedManager
from jobctl.model import Run
from jobctl.store.base import RunStore


class NoOpJobManager(StoreBackedManager):
    """Accepts definitions, so that an application starts as usual, and runs none of them.

    Args:
        store: what was recorded before is still shown.
        reason: why nothing runs; part of the error of ``trigger_job``.
        hint: what to do about it.
    """

    def __init__(
        self, store: RunStore, reason: str, *, hint: str | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(store, clock, idle=reason)
        self.reason = reason
        self.hint = hint

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> Run:
        """Never runs anything.

        Raises:
            NotRunError: always; no run is skipped silently.
        """
        del arguments, timeout
        raise NotRunError(f"{id} was not run: {self.reason}", hint=self.hint)

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """The run as recorded, if it has ended: nothing runs here.

        Raises:
            TimeoutError: it has not ended.
        """
        del timeout
        run = self.store.run(run_id)
        if run is None or run.finished_at is None:
            raise TimeoutError(f"run {run_id} has not ended")
        return run
