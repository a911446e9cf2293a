"""The options that every command takes, and those that several take, declared for Typer."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

import typer

MAX_COUNT = 2**31 - 1
"""A larger count fits neither a database nor a list."""
MAX_WORKERS = 256

_common = partial(typer.Option, rich_help_panel="Common")
COMMON_OPTIONS = {
    "json": _common("--json", help="Print one JSON document on standard output."),
    "quiet": _common("--quiet", "-q", help="Print only results and errors."),
    "verbose": _common("--verbose", "-v", help="Print more, and the traceback of an internal error."),
    "color": _common("--color", metavar="WHEN", help="When to use colours: auto, always or never."),
    "project": _common(
        "--project",
        metavar="DIR",
        help="The project's folder.",
        show_default="the nearest upward with a project file, or this one",
    ),
}
"""The option of each field of ``Common``."""


def job_ids(incomplete: str) -> Iterable[tuple[str, str]]:
    """The ids and names of the project's jobs that begin with ``incomplete``."""
    from jobctl.cli.completion import matching_jobs

    return matching_jobs(incomplete, [])


def job_arguments(incomplete: str) -> Iterable[str]:
    """Nothing: ``cli.completion`` answers, since it knows the job on the line."""
    del incomplete
    return ()


JobId = Annotated[
    str, typer.Argument(metavar="ID", help="A job; jobctl status lists them.", autocompletion=job_ids)
]
OptionalJobId = Annotated[
    str | None, typer.Argument(metavar="ID", help="A job; jobctl status lists them.", autocompletion=job_ids)
]
JobOrRunId = Annotated[
    str | None,
    typer.Argument(
        metavar="ID|RUN",
        help="A job, or a run by its id or the beginning of it; jobctl runs lists them.",
        autocompletion=job_ids,
    ),
]
JobOrSchedule = Annotated[
    str,
    typer.Argument(
        metavar="ID|CRON",
        help='A job, a cron expression in quotes, or an interval such as "every 90m".',
        autocompletion=job_ids,
    ),
]
ScheduleTimezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="Time zone of the schedule.",
        show_default="the job's own, or UTC",
    ),
]
JobArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=VALUE...",
        help="Arguments for the job's function or program.",
        autocompletion=job_arguments,
    ),
]
ArgumentsFile = Annotated[
    str | None,
    typer.Option("--arguments", metavar="FILE", help="A JSON object of arguments; - is standard input."),
]
RunningJobOrRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN|ID",
        help="A run's id, or the beginning of it; or the job whose run shall end.",
        autocompletion=job_ids,
    ),
]
AllJobs = Annotated[bool, typer.Option("--all", help="Every job.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Leave out the header line when piped.")]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", min=1, max=MAX_WORKERS, help="Jobs that may run at the same time."
    ),
]
Grace = Annotated[
    str,
    typer.Option(
        "--grace", metavar="DURATION", help="Time that running jobs have to end after a stop signal."
    ),
]
ServiceManagerName = Annotated[Literal["systemd"], typer.Argument(metavar="MANAGER", help="systemd.")]
UserService = Annotated[
    bool, typer.Option("--user", help="Your own service manager; the default unless you are root.")
]
SystemService = Annotated[bool, typer.Option("--system", help="The service manager of the machine.")]
ServiceName = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the service.")]
