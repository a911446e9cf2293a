"""Which manager follows from the mode, and the one manager of a process."""

import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.clock import Clock
from jobctl.errors import NotRunError
from jobctl.events import Bus
from jobctl.modes import Mode

if TYPE_CHECKING:
    from jobctl.managers.local import LocalJobManager
    from jobctl.managers.noop import NoOpJobManager
    from jobctl.runs.store import RunStore

_lock = threading.Lock()
_managers: dict[int, "LocalJobManager | NoOpJobManager"] = {}


def make_manager(
    mode: Mode,
    *,
    store: "RunStore",
    project: Path,
    state: Path,
    environment: Mapping[str, str],
    secrets: Iterable[str] = (),
    kind: str = "application",
    workers: int | None = None,
    grace: timedelta | None = None,
    clock: Clock | None = None,
    bus: Bus | None = None,
    autostart: bool = False,
) -> "LocalJobManager | NoOpJobManager":
    """The manager for a mode: no-op where scheduling is disabled, else the local one.

    In Vercel mode the local manager runs what it is asked to; Vercel Cron keeps the times.

    Raises:
        NotRunError: Trigger.dev is in charge, which this version cannot drive yet.
    """
    if mode is Mode.DISABLED:
        from jobctl.managers.noop import NoOpJobManager

        return NoOpJobManager(
            store,
            "scheduling is disabled (DISABLE_AUTO_SYNC)",
            hint="jobctl mode shows where that is set",
            clock=clock,
        )
    if mode is Mode.TRIGGER_DEV:
        raise NotRunError(
            "Trigger.dev is in charge, and this version of jobctl cannot drive it yet",
            hint="run jobs here with --local, or unset TRIGGER_DEV_ENABLED",
        )
    from jobctl.managers import local

    return local.LocalJobManager(
        store,
        project=project,
        state=state,
        environment=environment,
        secrets=secrets,
        kind=kind,
        workers=workers or local.DEFAULT_WORKERS,
        grace=local.DEFAULT_GRACE if grace is None else grace,
        clock=clock,
        bus=bus,
        autostart=autostart and mode is Mode.LOCAL,
    )


def get_job_manager() -> "LocalJobManager | NoOpJobManager":
    """The one manager of this process, made at the first call from the environment and folder.

    Its scheduler begins with the first job that is scheduled, in a thread, and is shut down when the
    process ends. A forked child gets its own.

    Raises:
        ConfigurationError: a setting is wrong; says which and where.
        NotRunError: Trigger.dev is in charge, which this version cannot drive yet.
        StoreError: the run store cannot be opened.
    """
    with _lock:
        manager = _managers.get(os.getpid())
        if manager is None:
            _managers.clear()
            manager = _managers[os.getpid()] = _from_surroundings()
        return manager


def reset_job_manager() -> None:
    """Shut the process's manager down and forget it; the next ``get_job_manager`` makes another."""
    with _lock:
        manager = _managers.pop(os.getpid(), None)
    if manager is None:
        return
    shutdown = getattr(manager, "shutdown", None)
    if shutdown is not None:
        shutdown()
    if manager.store is not None:
        manager.store.close()


def _from_surroundings() -> "LocalJobManager | NoOpJobManager":
    from jobctl.managers.surroundings import Surroundings
    from jobctl.modes import resolve

    around = Surroundings.find()
    environment = around.environment
    mode = resolve(environment)
    manager = make_manager(
        mode,
        store=around.open_store(),
        project=around.folder,
        state=around.state,
        environment=environment.merged(),
        secrets=environment.secret_texts(),
        autostart=True,
    )
    atexit.register(reset_job_manager)
    return manager
