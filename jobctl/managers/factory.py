"""Makes the manager for a mode, and keeps the one manager of a process."""

import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from jobctl.clock import Clock, SystemClock
from jobctl.errors import StoreError
from jobctl.modes import Mode
from jobctl.project import describe_outage, wait_for_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobctl.managers.base import NoOpJobManager
    from jobctl.managers.local import LocalJobManager
    from jobctl.model import Job
    from jobctl.project import ProjectContext
    from jobctl.scheduler.single_run import SingleRun
    from jobctl.settings.masking import Mask
    from jobctl.trigger_dev.manager import TriggerDevJobManager

    Manager = LocalJobManager | NoOpJobManager | TriggerDevJobManager

_lock = threading.Lock()
_manager: "Manager | None" = None


def make_manager(
    mode: Mode, project: "ProjectContext", *, clock: Clock | None = None, autostart: bool = False
) -> "Manager":
    """The manager for a mode: no-op where scheduling is disabled, Trigger.dev's in its mode, else the local one.

    In Vercel mode the local manager runs what it is asked to; Vercel Cron keeps the times.

    Raises:
        ConfigurationError: a setting that the manager needs cannot be used.
        ConfigurationError: Trigger.dev does not accept this kind of key.
        StoreError: the run store cannot be opened.
    """
    if mode is Mode.DISABLED:
        from jobctl.managers.base import NoOpJobManager

        return NoOpJobManager(
            project.open_store(),
            "scheduling is disabled (DISABLE_AUTO_SYNC)",
            hint="jobctl mode shows where that is set",
            clock=clock,
        )
    if mode is Mode.TRIGGER_DEV:
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.manager import TriggerDevJobManager

        return TriggerDevJobManager(Account.read(project.environment), project.open_store(), clock=clock)
    idle = "Vercel Cron keeps the times of the jobs (mode vercel)" if mode is Mode.VERCEL else None
    return make_local_manager(project, clock=clock, autostart=autostart, idle=idle)


def make_local_manager(
    project: "ProjectContext",
    *,
    kind: str = "application",
    workers: int | None = None,
    grace: timedelta | None = None,
    clock: Clock | None = None,
    autostart: bool = False,
    idle: str | None = None,
) -> "LocalJobManager":
    """The local manager of a project, whatever the mode; see ``LocalJobManager`` for its arguments.

    Raises:
        ConfigurationError: a setting that the manager needs cannot be used.
        StoreError: the run store cannot be opened.
    """
    from jobctl.managers import local

    return local.LocalJobManager(
        project.open_store(),
        **_surroundings(project),
        kind=kind,
        workers=workers or local.DEFAULT_WORKERS,
        grace=local.DEFAULT_GRACE if grace is None else grace,
        clock=clock,
        autostart=autostart,
        idle=idle,
    )


def make_single_run(project: "ProjectContext", job: "Job", clock: Clock) -> "SingleRun":
    """One run of a job in this process, whatever the mode.

    Raises:
        ConfigurationError: a setting that it needs cannot be used.
        StoreError: the run store cannot be opened.
    """
    from jobctl.scheduler.single_run import SingleRun

    return SingleRun(project.open_store(), job, **_surroundings(project), clock=clock)


class _Surroundings(TypedDict):
    """What runs need of a project; see ``LocalJobManager`` for its entries."""

    project: "Path"
    state: "Path"
    environment: "Mapping[str, str]"
    most_logs: int
    ships_logs: bool
    mask: "Mask"


def _surroundings(project: "ProjectContext") -> _Surroundings:
    from jobctl.memory_limit import MIB
    from jobctl.store import logs

    return {
        "project": project.folder,
        "state": project.state,
        "environment": project.environment.merged(),
        "most_logs": project.environment.number(logs.LIMIT_VARIABLE) * MIB,
        "ships_logs": project.environment.logs_in_store,
        "mask": project.environment.mask,
    }


def get_job_manager() -> "Manager":
    """The one manager of this process, made at the first call from the environment and folder.

    Its scheduler starts with the first job that is scheduled, in a thread. When the process ends, by any way but
    SIGKILL and ``os._exit``, it is shut down gracefully. A forked child has the same manager, without
    its parent's scheduler: see ``LocalJobManager``.

    Raises:
        ConfigurationError: a setting is wrong; says which and where.
        ConfigurationError: Trigger.dev is in charge, and does not accept this kind of key.
        StoreError: the run store cannot be opened.
    """
    global _manager  # noqa: PLW0603 - the one manager of the process is the point
    with _lock:
        if _manager is None:
            _manager = _make_process_manager()
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


def _make_process_manager() -> "Manager":
    from jobctl.managers import process_exit
    from jobctl.modes import resolve
    from jobctl.project import ProjectContext

    project = ProjectContext.find()
    project.environment.require()
    wait_for_store(project.open_store, SystemClock(), _log_outage)
    manager = make_manager(resolve(project.environment), project, autostart=True)
    process_exit.shut_down_at_exit(manager)
    return manager


def _log_outage(error: StoreError) -> None:
    import logging

    logging.getLogger("jobctl").warning("%s", describe_outage(error))
