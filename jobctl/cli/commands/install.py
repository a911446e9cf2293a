"""``jobctl install systemd``: a service that holds the scheduler for good. It says what it writes, and starts nothing."""

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from jobctl.catalogue.notify_settings import URLS
from jobctl.cli.commands.run import MOST_WORKERS
from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.program import program
from jobctl.cli.terminal import rows
from jobctl.cli.times import read_span
from jobctl.cli.words import NAMES
from jobctl.durations import write_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.export_folder import Fate
from jobctl.files import with_home
from jobctl.managers.local import DEFAULT_GRACE
from jobctl.model import Command
from jobctl.modes import Mode
from jobctl.settings.variables import VARIABLES
from jobctl.systemd.unit import NAME, SEARCHED, Scope, Service, place, unit
from jobctl.text import quote, suggestion
from jobctl.trust import SAFE_FOLDERS, acting_for_owner

SYSTEM_FOLDER = Path("/etc/systemd/system")


class NodeEnv(StrEnum):
    """What ``NODE_ENV`` may be."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class Options(NamedTuple):
    """Which service, and where it goes."""

    manager: Annotated[str | None, argument("|".join(NAMES["service"]))] = None
    user: Annotated[bool, option("install", "--user")] = False
    system: Annotated[bool, option("install", "--system")] = False
    name: Annotated[str, option("install", "--name")] = "jobctl"
    node_env: Annotated[NodeEnv, option("install", "--node-env")] = NodeEnv.PRODUCTION
    local: Annotated[bool, option("install", "--local")] = False
    workers: Annotated[int | None, option("install", "--workers", min=1, max=MOST_WORKERS)] = None
    grace: Annotated[str | None, option("install", "--grace")] = None
    output: Annotated[str | None, option("install", "--output")] = None
    force: Annotated[bool, option("install", "--force")] = False
    dry_run: Annotated[bool, option("install", "--dry-run")] = False
    yes: Annotated[bool, option("install", "--yes")] = False


def run(options: Options, context: Context) -> int:
    """Write the unit, and say what comes next."""
    demand_manager("install", options.manager, options.name, user=options.user, system=options.system)
    start = with_home(context.common.project or context.process.get("JOBCTL_PROJECT") or ".", "--project")
    # the unit names the owner: what is the owner's decides what the service does, and is trusted for that
    with acting_for_owner(start), closing(as_service(context, options.node_env)) as seen:
        service = _service(options, seen)
        hints = list(surprises(service, seen, context))
    text = unit(service)
    home = units_of(service.scope, context)
    file = (Path(options.output) if options.output else home) / service.file
    fate = None
    if not options.dry_run:
        demand_root(file.parent, f"{service.command[0]} install systemd --system")
        if file.parent == SYSTEM_FOLDER:
            confirm(f"Write {file}?", context, yes=options.yes, command="install")
        fate = place(file, text, force=options.force)
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


def demand_manager(command: str, manager: str | None, name: str, *, user: bool, system: bool) -> None:
    """That a service manager that jobctl knows is named, and how the service may be named.

    Raises:
        UsageError: it is not.
    """
    known = NAMES["service"]
    if manager is None:
        raise UsageError(f"{command} needs a service manager", hint=f"jobctl {command} systemd")
    if manager not in known:
        raise UsageError(
            f"there is no service manager {quote(manager)} that jobctl knows",
            hint=suggestion(manager, known, f"all: {', '.join(known)}"),
        )
    if user and system:
        raise UsageError("--user and --system exclude each other", hint="leave one out")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{quote(name)} is no name for a service", hint="use letters, digits, dashes, underscores"
        )


def scope_of(*, user: bool, system: bool) -> Scope:
    """Whose service is meant: the machine's for root, unless the options say otherwise."""
    return Scope.SYSTEM if system or (os.geteuid() == 0 and not user) else Scope.USER


def _service(options: Options, seen: Context) -> Service:
    if not options.local and seen.mode is not Mode.LOCAL:
        raise NotRunError(
            f"with NODE_ENV={options.node_env} the mode is {seen.mode.value}, and the service would have"
            " nothing to run",
            hint="jobctl mode shows why; to schedule here all the same: --local",
        )
    grace = read_span(options.grace, "--grace") if options.grace else DEFAULT_GRACE
    words = [*program(), "run"]
    words += ["--local"] if options.local else []
    words += ["--workers", str(options.workers)] if options.workers else []
    words += ["--grace", write_duration(grace)] if options.grace else []
    scope = scope_of(user=options.user, system=options.system)
    folder = seen.project.folder
    return Service(
        name=options.name,
        scope=scope,
        command=tuple(words),
        folder=folder,
        node_env=options.node_env,
        grace=grace + max(job.grace for job in seen.catalogue),
        user=_owner(folder) if scope is Scope.SYSTEM else None,
        safe_folders=seen.process.get(SAFE_FOLDERS),
        writable=tuple(_outside(folder, seen)),
    )


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
