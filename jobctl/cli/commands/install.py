"""``jobctl install systemd``: a service that holds the scheduler for good. What it writes it tells; it starts nothing."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from jobctl.cli.as_service import as_service, surprises
from jobctl.cli.commands.run import MOST_WORKERS
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.terminal import rows
from jobctl.cli.times import read_span
from jobctl.cli.words import NAMES
from jobctl.durations import write_duration
from jobctl.errors import ExitCode, NotRunError, UsageError
from jobctl.exports.folder import Fate
from jobctl.exports.systemd import NAME, Scope, Service, place, unit
from jobctl.managers.local import DEFAULT_GRACE
from jobctl.modes import Mode
from jobctl.settings.paths import with_home
from jobctl.text import quote, suggestion
from jobctl.trust import SAFE_FOLDERS, acting_for_owner

_SYSTEM_FOLDER = Path("/etc/systemd/system")


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


def run(options: Options, context: Context) -> int:
    """Write the unit, and say what comes next."""
    _demand(options)
    start = with_home(context.common.project or context.process.get("JOBCTL_PROJECT") or ".", "--project")
    # the unit names the owner: what is the owner's decides what the service does, and is trusted for that
    with acting_for_owner(start), closing(as_service(context, options.node_env)) as seen:
        service = _service(options, seen)
        hints = list(surprises(service, seen, context))
    text = unit(service)
    home = _home(service, context)
    file = (Path(options.output) if options.output else home) / service.file
    fate = None
    if not options.dry_run:
        _demand_root(service, file.parent)
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
        out.lines(rows((), [(fate.value, str(file))], header=False))
        out.note("next:")
        for step in steps:
            out.note(f"  {step}")
    return ExitCode.DONE


def _demand(options: Options) -> None:
    known = NAMES["service"]
    if options.manager is None:
        raise UsageError("install needs a service manager", hint="jobctl install systemd")
    if options.manager not in known:
        raise UsageError(
            f"there is no service manager {quote(options.manager)} that jobctl knows",
            hint=suggestion(options.manager, known, f"all: {', '.join(known)}"),
        )
    if options.user and options.system:
        raise UsageError("--user and --system exclude each other", hint="leave one out")
    if not NAME.fullmatch(options.name):
        raise UsageError(
            f"{quote(options.name)} is no name for a service", hint="use letters, digits, dashes, underscores"
        )


def _service(options: Options, seen: Context) -> Service:
    if not options.local and seen.mode is not Mode.LOCAL:
        raise NotRunError(
            f"with NODE_ENV={options.node_env} the mode is {seen.mode.value}, and the service would have"
            " nothing to run",
            hint="jobctl mode shows why; to schedule here all the same: --local",
        )
    grace = read_span(options.grace, "--grace") if options.grace else DEFAULT_GRACE
    words = [*_program(), "run"]
    words += ["--local"] if options.local else []
    words += ["--workers", str(options.workers)] if options.workers else []
    words += ["--grace", write_duration(grace)] if options.grace else []
    system = options.system or (os.geteuid() == 0 and not options.user)
    folder = seen.project.folder
    return Service(
        name=options.name,
        scope=Scope.SYSTEM if system else Scope.USER,
        command=tuple(words),
        folder=folder,
        node_env=options.node_env,
        grace=grace + max(job.grace for job in seen.catalogue),
        user=_owner(folder) if system else None,
        safe_folders=seen.process.get(SAFE_FOLDERS),
        writable=tuple(_outside(folder, seen)),
    )


def _program() -> list[str]:
    """The jobctl that runs now, by its whole path."""
    called = Path(sys.argv[0])
    beside = Path(sys.executable).with_name("jobctl")
    for one in (called, beside):
        if one.name == "jobctl" and one.is_file() and os.access(one, os.X_OK):
            return [str(one.absolute())]
    return [sys.executable, "-m", "jobctl"]


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
        seen.state_folder(),
        folder / ".content",
        *([(folder / metrics).parent] if metrics else []),
        *(folder / job.folder for job in seen.catalogue if job.folder),
    ]
    for one in dict.fromkeys(Path(os.path.realpath(each)) for each in named):
        if not one.is_relative_to(home):
            yield one


def _home(service: Service, context: Context) -> Path:
    """Where the service's manager looks for units."""
    if service.scope is Scope.SYSTEM:
        return _SYSTEM_FOLDER
    return Path(context.process.get("XDG_CONFIG_HOME") or _home_folder() / ".config") / "systemd/user"


def _home_folder() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError(
            "this user has no home folder, where its services would be", hint="set HOME, or --output DIR"
        ) from None


def _demand_root(service: Service, folder: Path) -> None:
    if folder == _SYSTEM_FOLDER and os.geteuid() != 0:
        raise UsageError(
            f"only root can write to {_SYSTEM_FOLDER}",
            hint=f"sudo {service.command[0]} install systemd --system; or --user, or --output DIR",
        )


def _steps(service: Service, file: Path, home: Path, fate: Fate | None) -> Iterator[str]:
    """What is to be typed now."""
    systemctl, name = service.systemctl, service.name
    own = service.scope is Scope.USER
    if file.parent != home:
        yield f"cp {shlex.quote(str(file))} {shlex.quote(str(home))}/"
    yield f"{systemctl} daemon-reload"
    yield f"{systemctl} restart {name}" if fate is Fate.CHANGED else f"{systemctl} enable --now {name}"
    if own:
        yield "loginctl enable-linger     # it then runs while you are not logged in, too"
    yield f"journalctl {'--user ' if own else ''}-u {name} -f"
