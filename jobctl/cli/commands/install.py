"""``jobctl install systemd``: a service that holds the scheduler for good. It says what it writes, and starts nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from jobctl.catalogue.notify_settings import URLS
from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context
from jobctl.cli.program import program
from jobctl.cli.terminal import rows
from jobctl.cli.times import read_span
from jobctl.durations import write_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.export_folder import Fate
from jobctl.files import with_home
from jobctl.managers.local import DEFAULT_GRACE, DEFAULT_WORKERS
from jobctl.model import Command
from jobctl.modes import Mode
from jobctl.settings.variables import VARIABLES
from jobctl.systemd.unit import NAME, SEARCHED, Scope, Service, place, unit
from jobctl.text import quote
from jobctl.trust import SAFE_FOLDERS, acting_for_owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import typer

    from jobctl.cli.parameters import Grace, ServiceName, SystemService, UserService, Workers, Yes


SYSTEM_FOLDER = Path("/etc/systemd/system")


def run(
    context: Context,
    service_manager: Annotated[Literal["systemd"], typer.Argument(metavar="MANAGER", help="systemd.")],
    *,
    user: UserService = False,
    system: SystemService = False,
    name: ServiceName = "jobctl",
    node_env: Annotated[
        Literal["development", "production", "test"], typer.Option("--node-env", help="Its NODE_ENV.")
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
    """Install a service that keeps it running.

    Examples:
        jobctl install systemd
        jobctl install systemd --dry-run
        sudo .venv/bin/jobctl install systemd --system
    """
    del service_manager  # there is only one
    demand_scope(name, user=user, system=system)
    start = with_home(context.common.project or context.process.get("JOBCTL_PROJECT") or ".", "--project")
    # the unit names the owner: what is the owner's decides what the service does, and is trusted for that
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
        hints = list(surprises(service, seen, context))
    text = unit(service)
    home = units_of(service.scope, context)
    file = (Path(output) if output else home) / service.file
    fate = None
    if not dry_run:
        demand_root(file.parent, f"{service.command[0]} install systemd --system")
        if file.parent == SYSTEM_FOLDER:
            confirm(f"Write {file}?", context, yes=yes, command="install")
        fate = place(file, text, force=force)
    steps = list(_steps(service, file, home, fate))
    out = context.output
    for hint in hints:
        out.warn(hint)
    if out.json:
        out.document(
            {
                "name": service.name,
                "scope": service.scope.value,
                "file": str(file),
                "change": fate.value if fate else None,
                "unit": text,
                "next": steps,
            }
        )
    elif fate is None:
        out.raw(text)
    else:
        show(fate, file, steps, context)
    return ExitCode.DONE


def show(fate: Fate, file: Path, steps: Iterable[str], context: Context) -> None:
    """What was done, and the commands to type next."""
    context.output.lines(rows((), [(fate.value, str(file))], header=False))
    context.output.note("next:")
    for step in steps:
        context.output.note(f"  {step}")


def demand_scope(name: str, *, user: bool, system: bool) -> None:
    """Check the service's name and that at most one of ``--user`` and ``--system`` is given.

    Raises:
        UsageError: they are wrong.
    """
    if user and system:
        raise UsageError("--user and --system exclude each other", hint="leave one out")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{quote(name)} is no name for a service", hint="use letters, digits, dashes, underscores"
        )


def scope_of(*, user: bool, system: bool) -> Scope:
    """Whose service is meant: the machine's for root, unless the options say otherwise."""
    return Scope.SYSTEM if system or (os.geteuid() == 0 and not user) else Scope.USER


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except KeyError:
        raise UsageError(
            f"{folder} belongs to user {folder.stat().st_uid}, who has no name here",
            hint="give it to the user whom the service should run as: chown",
        ) from None


def _outside(folder: Path, seen: Context) -> Iterator[Path]:
    """What jobctl and the jobs write to outside the project's folder, as far as settings and links tell."""
    home = os.path.realpath(folder)
    metrics = seen.environment.textfile("JOBCTL_METRICS_FILE")
    named = [
        seen.project.state,
        folder / ".content",
        *([(folder / metrics).parent] if metrics else []),
        *(folder / job.folder for job in seen.catalogue if job.folder),
    ]
    for one in dict.fromkeys(Path(os.path.realpath(each)) for each in named):
        if not one.is_relative_to(home):
            yield one


def units_of(scope: Scope, context: Context) -> Path:
    """Where a service manager looks for units.

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


def demand_root(folder: Path, command: str) -> None:
    """That this process may write to the folder.

    Raises:
        UsageError: only root may.
    """
    if folder == SYSTEM_FOLDER and os.geteuid() != 0:
        raise UsageError(
            f"only root can write to {SYSTEM_FOLDER}",
            hint=f"sudo {command}, or --user",
        )


def _steps(service: Service, file: Path, home: Path, fate: Fate | None) -> Iterator[str]:
    """What is to be typed now."""
    systemctl, name = service.scope.systemctl, service.name
    own = service.scope is Scope.USER
    if file.parent != home:
        yield f"cp {shlex.quote(str(file))} {shlex.quote(str(home))}/"
    yield f"{systemctl} daemon-reload"
    yield f"{systemctl} restart {name}" if fate is Fate.CHANGED else f"{systemctl} enable --now {name}"
    if own:
        yield "loginctl enable-linger     # it then runs while you are not logged in, too"
    yield f"journalctl {'--user ' if own else ''}-u {name} -f"


_GIVEN = (SAFE_FOLDERS, "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""What the service's manager sets too, if to another value, or what the unit says."""
_MEANT_FOR_THIS_CALL = {"NODE_ENV", "JOBCTL_PROJECT"}


def as_service(context: Context, node_env: str) -> Context:
    """The same project, its settings read from the ``.env`` files alone."""
    process = {name: context.process[name] for name in _GIVEN if name in context.process}
    common = context.common._replace(project=str(context.project.folder))
    return Context(common, {**process, "NODE_ENV": node_env}, context.clock, context.output)


def surprises(service: Service, seen: Context, context: Context) -> Iterator[str]:
    """What works in this shell, and will not in the service."""
    for name in sorted(_needed(seen) - _MEANT_FOR_THIS_CALL):
        here = context.environment.value(name)
        if here.source.kind == "process" and here.text != seen.environment.value(name).text:
            yield f"{name} is set in this shell, which the service does not see: write it into an .env file"
    for job in seen.catalogue:
        if isinstance(job.target, Command) and os.sep not in (program := job.target.argv[0]):
            found = shutil.which(program, path=context.process.get("PATH"))
            if found is not None and found != shutil.which(program, path=SEARCHED):
                yield f"{job.id} runs {found}, which the service does not find: write the whole path"
    if service.scope is Scope.USER:
        return
    for folder in service.writable:
        if not folder.exists():
            yield f"{folder} is not there, and the service may not make it: make it first, as {service.user}"
    if service.user == "root":
        yield f"{service.folder} belongs to root, so jobs run as root: better give it to a user of its own"


def _needed(seen: Context) -> set[str]:
    """Every variable that jobctl, its jobs and its notifications are known to read."""
    catalogue = seen.catalogue
    urls = [*(getattr(catalogue.notify, key) for key in URLS), *(job.check_in for job in catalogue)]
    named = {url[1:] for url in urls if url and url.startswith("$")}
    return {*VARIABLES, *named, *(name for job in catalogue for name in job.needs)}
