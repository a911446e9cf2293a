"""Which manager follows from the mode, and the one manager of a process."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.clock import Clock, SystemClock
from jobctl.errors import StoreError
from jobctl.managers.store_outage import RIDE_OUT_S, ride_out
from jobctl.modes import Mode

if TYPE_CHECKING:
    from jobctl.managers.disabled import NoOpJobManager
    from jobctl.managers.local import LocalJobManager
    from jobctl.settings.environment import Environment
    from jobctl.store.base import RunStore
    from jobctl.trigger_dev.manager import TriggerDevJobManager

    Manager = LocalJobManager | NoOpJobManager | TriggerDevJobManager

_lock = threading.Lock()
_manager: "Manager | None" = None


def make_manager(
    mode: Mode,
    *,
    store: "RunStore",
    project: Path,
    state: Path,
    environment: "Environment",
    kind: str = "application",
    workers: int | None = None,
    grace: timedelta | None = None,
    clock: Clock | None = None,
    autostart: bool = False,
) -> "Manager":
    """The manager for a mode: no-op where scheduling is disabled, Trigger.dev's in its mode, else the local one.

    In Vercel mode the local manager runs what it is asked to; Vercel Cron keeps the times.

    Raises:
        ConfigurationError: a setting that the manager needs cannot be used.
        ServiceError: the key is none that Trigger.dev takes.
    """
    if mode is Mode.DISABLED:
        from jobctl.managers.disabled import NoOpJobManager

        return NoOpJobManager(
            store,
            "scheduling is disabled (DISABLE_AUTO_SYNC)",
            hint="jobctl mode shows where that is set",
            clock=clock,
        )
    if mode is Mode.TRIGGER_DEV:
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.manager import TriggerDevJobManager

        return TriggerDevJobManager(Account.read(environment), store, clock=clock)
    from jobctl.managers import local
    from jobctl.memory import MIB
    from jobctl.store import logs

    return local.LocalJobManager(
        store,
        project=project,
        state=state,
        environment=environment.merged(),
        most_logs=environment.number(logs.VARIABLE) * MIB,
        mask=environment.mask,
        kind=kind,
        workers=workers or local.DEFAULT_WORKERS,
        grace=local.DEFAULT_GRACE if grace is None else grace,
        clock=clock,
        autostart=autostart,
        idle="Vercel Cron keeps the times of the jobs (mode vercel)" if mode is Mode.VERCEL else None,
    )


def get_job_manager() -> "Manager":
    """The one manager of this process, made at the first call from the environment and folder.

    Its scheduler begins with the first job that is scheduled, in a thread. When the process ends, by whatever
    way but SIGKILL and ``os._exit``, it is shut down gracefully. A forked child has the same manager, without
    its parent's scheduler: see ``LocalJobManager``.

    Raises:
        ConfigurationError: a setting is wrong; says which and where.
        ServiceError: Trigger.dev is in charge, and its key is none that it takes.
        StoreError: the run store cannot be opened.
    """
    global _manager  # noqa: PLW0603 - the one manager of the process is the point
    with _lock:
        if _manager is None:
            _manager = _from_surroundings()
        return _manager


def reset_job_manager() -> None:
    """Shut the process's manager down and forget it; the next ``get_job_manager`` makes another."""
    global _manager
    with _lock:
        manager, _manager = _manager, None
    if manager is None:
        return
    from jobctl.managers import process_exit

    try:
        manager.shutdown()
    finally:
        process_exit.forget(manager)
        if manager.store is not None:
            manager.store.close()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _log_trouble(error: StoreError) -> None:
    import logging

    logging.getLogger("jobctl").warning("%s; trying again for %.0f s", error.problem, RIDE_OUT_S)


def _from_surroundings() -> "Manager":
    from jobctl.modes import resolve
    from jobctl.project import ProjectContext

    project = ProjectContext.find()
    environment = project.environment
    environment.require()
    mode = resolve(environment)
    manager = make_manager(
        mode,
        store=ride_out(project.open_store, SystemClock(), _log_trouble),
        project=project.folder,
        state=project.state,
        environment=environment,
        autostart=True,
    )
    from jobctl.managers import process_exit

    process_exit.watch(manager)
    return manager
