"""``jobctl import crontab``: makes a job of each line of a crontab."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobctl.catalogue.crontab import Crontab, as_toml, local_timezone, read_crontab
from jobctl.catalogue.scaffold import append_to_project_file
from jobctl.cli.context import Context
from jobctl.errors import UsageError, reason_of
from jobctl.files import user_name
from jobctl.text import counted, quote

_LARGEST = 1024 * 1024


def run(
    context: Context,
    kind: Annotated[Literal["crontab"], typer.Argument(metavar="KIND", help="What to import: crontab.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The crontab; - is standard input.", show_default="your own"),
    ] = None,
    *,
    system: Annotated[
        bool, typer.Option("--system", help="Its lines name a user, as in /etc/crontab and /etc/cron.d.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs, and write nothing.")] = False,
) -> int:
    """Make a job of each line of a crontab.

    Examples:
        jobctl import crontab --dry-run
        jobctl import crontab
        jobctl import crontab crontab.txt
    """
    del kind
    user = user_name(os.geteuid())
    found = read_crontab(
        _read(file),
        context.catalogue.jobs,
        timezone=local_timezone(),
        user=user if system else None,
    )
    if not found.jobs:
        first = f": line {found.refused[0].line}, {found.refused[0].reason}" if found.refused else ""
        raise UsageError(f"the crontab has no line that can be a job{first}")
    out = context.output
    location = context.project.location
    if dry_run:
        if not out.json:
            out.line(as_toml(found).rstrip("\n"))
    else:
        name = append_to_project_file(location, lambda prefix: as_toml(found, prefix), found_settings(found))
        out.note(
            f"{name}: {counted(len(found.jobs), 'job')} added: {', '.join(job.job_id for job in found.jobs)}"
        )
    if out.json:
        out.document(
            {
                "jobs": [{"id": job.job_id, "line": job.line, **job.settings} for job in found.jobs],
                "refused": [
                    {"line": each.line, "text": each.text, "reason": each.reason} for each in found.refused
                ],
            }
        )
    _describe(found, context)
    return 0


def found_settings(found: Crontab) -> "dict[str, dict[str, object]]":
    """The settings of the jobs, by id."""
    return {job.job_id: job.settings for job in found.jobs}


def _read(file: str | None) -> str:
    if file is None:
        try:
            done = subprocess.run(
                ["crontab", "-l"], capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise UsageError(
                f"your crontab cannot be read: {reason_of(error)}",
                hint="name a file, or - for standard input",
            ) from None
        if done.returncode:
            problem = done.stderr.decode(errors="replace").strip() or "crontab -l failed"
            raise UsageError(f"your crontab cannot be read: {problem}")
        data = done.stdout
    else:
        try:
            data = sys.stdin.buffer.read(_LARGEST + 1) if file == "-" else _bytes_of(file)
        except OSError as error:
            raise UsageError(f"{quote(file)} cannot be read: {reason_of(error)}") from None
    if len(data) > _LARGEST:
        raise UsageError("the crontab is larger than 1 MiB")
    return data.decode("utf-8", "replace")


def _bytes_of(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(_LARGEST + 1)


def _describe(found: Crontab, context: Context) -> None:
    """What is refused, and what cron does otherwise."""
    out = context.output
    for each in found.refused:
        out.warn(f"line {each.line} was not imported: {each.reason}")
    if found.mail_to:
        addresses = ", ".join(f'"{each}"' for each in found.mail_to)
        out.note(
            f"cron mails what a job prints; to be mailed when one fails, add: notify = {{ mail = [{addresses}] }}"
        )
    out.note(
        "a job does not start while a run of it is unfinished, and what it prints is kept: jobctl logs ID"
    )
    out.note("remove the lines from the crontab, or each job runs twice")
