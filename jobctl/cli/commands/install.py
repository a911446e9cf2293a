"""``jobctl install systemd``: writes a service that keeps the scheduler running, and starts nothing."""

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context
from jobctl.cli.foreground import program
from jobctl.cli.options import (
    Grace,
    ServiceManagerName,
    ServiceName,
    SystemService,
    UserService,
    Workers,
    Yes,
)
from jobctl.cli.terminal import rows
from jobctl.cli.times import read_span
from jobctl.durations import write_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.export_folder import FileChange
from jobctl.files import SAFE_FOLDERS, acting_for_owner, with_home
from jobctl.managers.local import DEFAULT_GRACE, DEFAULT_WORKERS
from jobctl.model import Command
from jobctl.modes import Mode
from jobctl.systemd.unit import NAME, SEARCH_PATH, Scope, Service, unit_text, write_unit
from jobctl.text import quote

SYSTEM_FOLDER = Path("/etc/systemd/system")


def run(
    context: Context,
    service_manager: ServiceManagerName,
    *,
    user: UserService = False,
    system: SystemService = False,
    name: ServiceName = "jobctl",
    node_env: Annotated[
        Literal["development", "production", "test"],
        typer.Option("--node-env", help="NODE_ENV of the service."),
    ] = "production",
    local: Annotated[bool, typer.Option("--local", help="Let it schedule here, whatever the mode.")] = False,
    workers: Workers = DEFAULT_WORKERS,
    grace: Grace = "30s",
    output: Annotated[
        str | None, typer.Option("--output", metavar="DIR", help="Write to this folder instead of systemd's.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a unit that jobctl did not make, or that was edited.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, print the unit.")] = False,
    yes: Yes = False,
) -> int:
    """Install the scheduler as a service; uninstall removes it.

    Examples:
        jobctl install systemd
        jobctl install systemd --dry-run
        sudo .venv/bin/jobctl install systemd --system
    """
    del service_manager  # there is only one
    check_service(name, user=user, system=system)
    start = with_home(context.common.project or context.process.get("JOBCTL_PROJECT") or ".", "--project")
    # the service will run as the project's owner, so that owner's files are trusted
    with acting_for_owner(start), closing(as_service(context, node_env)) as seen:
        command = [*program(), "run"]
        command += ["--local"] if local else []
        command += ["--workers", str(workers)] if workers != DEFAULT_WORKERS else []
        limit = read_span(grace, "--grace")
        command += ["--grace", write_duration(limit)] if limit != DEFAULT_GRACE else []
        if not local and seen.mode is not Mode.LOCAL:
            raise NotRunError(
                f"with NODE_ENV={node_env} the mode is {seen.mode.value}, and the service would have nothing to run",
                hint="jobctl mode shows why; to schedule here all the same: --local",
            )
        scope = scope_of(user=user, system=system)
        folder = seen.project.folder
        service = Service(
            name=name,
            scope=scope,
            command=tuple(command),
            folder=folder,
            node_env=node_env,
            grace=limit + max(job.grace for job in seen.catalogue),
            user=_owner(folder) if scope is Scope.SYSTEM else None,
            safe_folders=seen.process.get(SAFE_FOLDERS),
            writable=tuple(_outside(folder, seen)),
        )
        hints = list(_warnings(service, seen, context))
    text = unit_text(service)
    home = units_folder(service.scope, context)
    file = (Path(output) if output else home) / service.file
    change = None
    if not dry_run:
        require_root(file.parent, f"{service.command[0]} install systemd --system")
        if file.parent == SYSTEM_FOLDER:
            confirm(f"Write {file}?", context, yes=yes, command="install")
        change = write_unit(file, text, force=force)
    steps = list(_steps(service, file, home, change))
    out = context.output
    for hint in hints:
        out.warn(hint)
    if out.json:
        out.document(
            {
                "name": service.name,
                "scope": service.scope.value,
                "file": str(file),
                "change": change.value if change else None,
                "unit": text,
                "next": steps,
            }
        )
    elif change is None:
        out.raw(text)
    else:
        show(change, file, steps, context)
    return ExitCode.DONE


def show(change: FileChange, file: Path, steps: Iterable[str], context: Context) -> None:
    """Report the change, and the commands to type next."""
    context.output.lines(rows((), [(change.value, str(file))], header=False))
    context.output.note("next:")
    for step in steps:
        context.output.note(f"  {step}")


def check_service(name: str, *, user: bool, system: bool) -> None:
    """Check the service's name and that at most one of ``--user`` and ``--system`` is given.

    Raises:
        UsageError: they are not valid.
    """
    if user and system:
        raise UsageError("--user and --system exclude each other", hint="leave one out")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{quote(name)} is not a valid name for a service",
            hint="use letters, digits, dashes, underscores",
        )


def scope_of(*, user: bool, system: bool) -> Scope:
    """The machine's service for root, unless the options say otherwise."""
    return Scope.SYSTEM if system or (os.geteuid() == 0 and not user) else Scope.USER


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except KeyError:
        raise UsageError(
            f"{folder} belongs to user {folder.stat().st_uid}, who has no name here",
            hint="change its owner to the user whom the service should run as: chown",
        ) from None


def _outside(folder: Path, seen: Context) -> Iterator[Path]:
    """Folders outside the project that jobctl and the jobs write to, by settings and links."""
    home = os.path.realpath(folder)
    metrics = seen.environment.textfile("JOBCTL_METRICS_FILE")
    named = [
        seen.project.state,
        folder / ".content",
        *([(folder / metrics).parent] if metrics else []),
        *(folder / job.folder for job in seen.catalogue if job.folder),
    ]
    for path in dict.fromkeys(Path(os.path.realpath(folder)) for folder in named):
        if not path.is_relative_to(home):
            yield path


def units_folder(scope: Scope, context: Context) -> Path:
    """The folder of a service manager's units.

    Raises:
        UsageError: the user has no home folder.
    """
    if scope is Scope.SYSTEM:
        return SYSTEM_FOLDER
    return Path(context.process.get("XDG_CONFIG_HOME") or _home_folder() / ".config") / "systemd/user"


def _home_folder() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError(
            "this user has no home folder, where its services would be", hint="set HOME, or --output DIR"
        ) from None


def require_root(folder: Path, command: str) -> None:
    """Check that this process may write to the folder.

    Raises:
        UsageError: only root may.
    """
    if folder == SYSTEM_FOLDER and os.geteuid() != 0:
        raise UsageError(
            f"only root can write to {SYSTEM_FOLDER}",
            hint=f"sudo {command}, or --user",
        )


def _steps(service: Service, file: Path, home: Path, change: FileChange | None) -> Iterator[str]:
    """The commands to type next."""
    systemctl, name = service.scope.systemctl, service.name
    own = service.scope is Scope.USER
    if file.parent != home:
        yield f"cp {shlex.quote(str(file))} {shlex.quote(str(home))}/"
    yield f"{systemctl} daemon-reload"
    yield (
        f"{systemctl} restart {name}" if change is FileChange.CHANGED else f"{systemctl} enable --now {name}"
    )
    if own:
        yield "loginctl enable-linger     # it then also runs while you are not logged in"
    yield f"journalctl {'--user ' if own else ''}-u {name} -f"


_GIVEN = (SAFE_FOLDERS, "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""Variables that the service manager sets too, perhaps to other values, or that the unit sets."""


def as_service(context: Context, node_env: str) -> Context:
    """The same project as the service will see it: its settings come from the ``.env`` files only."""
    process = {name: context.process[name] for name in _GIVEN if name in context.process}
    common = context.common._replace(project=str(context.project.folder))
    return Context(common, {**process, "NODE_ENV": node_env}, context.clock, context.output)


def _warnings(service: Service, seen: Context, context: Context) -> Iterator[str]:
    """What works in this shell, and will not in the service."""
    for job in seen.catalogue:
        if isinstance(job.target, Command) and os.sep not in (program := job.target.argv[0]):
            found = shutil.which(program, path=context.process.get("PATH"))
            if found is not None and found != shutil.which(program, path=SEARCH_PATH):
                yield f"{job.id} runs {found}, which the service does not find: write its absolute path"
    if service.scope is Scope.USER:
        return
    for folder in service.writable:
        if not folder.exists():
            yield f"{folder} does not exist, and the service may not make it: make it first, as {service.user}"
    if service.user == "root":
        yield f"{service.folder} belongs to root, so jobs run as root: better change its owner to a user of its own"
