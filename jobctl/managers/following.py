"""A run at Trigger.dev looked at again and again, until it has ended or no worker there will begin it."""

from collections.abc import Callable, Iterator
from itertools import chain, repeat

from jobctl.errors import ServiceError
from jobctl.managers.registering import unknown_task
from jobctl.model import RunStatus
from jobctl.trigger_dev.api import TriggerDev
from jobctl.trigger_dev.statuses import meaning
from jobctl.trigger_dev.wire import RemoteRun

PAUSES_S = (1.0, 2.0, 3.0, 5.0)
"""Between two looks at a run; the last one again and again."""
UNDEPLOYED_S = 15.0
"""How long a run may wait for a version of the worker that has its task."""


def looks(api: TriggerDev, run_id: str, wait: Callable[[float], object]) -> Iterator[RemoteRun]:
    """The run at each look that finds it.

    Args:
        wait: between two looks; takes seconds.

    Raises:
        ServiceError: nobody knows it, no worker has its task, or Trigger.dev does not answer.
    """
    waited = 0.0
    for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        run = api.run(run_id)
        if run is not None:
            yield run
            if meaning(run.status).run is not RunStatus.RUNNING:
                return
        if waited >= UNDEPLOYED_S:
            _demand_worker(api, run_id, run)
        waited += pause
        wait(pause)


def _demand_worker(api: TriggerDev, run_id: str, run: RemoteRun | None) -> None:
    if run is None:
        raise ServiceError(f"Trigger.dev does not know the run {run_id}")
    if run.status == "PENDING_VERSION":
        text, hint = unknown_task(run.task, api.account)
        raise ServiceError(f"{text}; run {run_id} waits there for one", hint=hint)
