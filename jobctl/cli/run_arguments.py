"""The arguments of a run as typed: ``NAME=VALUE`` words, and ``--arguments`` with a JSON object."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobctl.cli.context import Context
from jobctl.errors import UsageError, reason_of
from jobctl.model import Job
from jobctl.text import quote

_MOST_READ = 1024 * 1024


def read_arguments(
    context: Context, job: Job, words: Sequence[str], file: str | None, *, dry_run: bool
) -> dict[str, Any]:
    """The arguments for a run of the job, as JSON values, checked against its function.

    Secrets among them are masked from now on in everything that this process shows or keeps.

    Args:
        words: ``NAME=VALUE`` each; they replace those of the file.
        file: its path, or ``-`` for standard input.
        dry_run: with the argument ``dry_run``.

    Raises:
        UsageError: they cannot be read, or are not what the job takes.
        ConfigurationError: the job's function cannot be imported.
    """
    asked = {"dry_run": True} if dry_run else {}
    if not words and file is None and (job.dry_run or not dry_run):
        return asked
    from jobctl.catalogue.discovery import Functions

    environment = context.environment
    functions = Functions(context.project.folder, environment.merged(), environment.mask)
    if dry_run and not functions.takes(job, "dry_run"):
        able = ", ".join(job.id for job in context.catalogue if job.dry_run)
        raise UsageError(
            f"{job.id} does not support --dry-run", hint=f"jobs that do: {able}" if able else None
        )
    texts = []
    for word in words:
        name, assigned, text = word.partition("=")
        if not assigned:
            raise UsageError(
                f"{quote(word)} is not an argument", hint="an argument is NAME=VALUE, such as keep=7"
            )
        texts.append((name, text))
    values = {} if file is None else _read_object(file)
    return functions.check(job, {**values, **asked}, texts)


def _read_object(file: str) -> dict[str, Any]:
    import json

    place = "standard input" if file == "-" else file
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST_READ)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(_MOST_READ)
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {reason_of(error)}") from None
    try:
        found = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} holds no JSON object: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(
            f"{place} holds no JSON object, but {type(found).__name__}", hint='write {"name": value}'
        )
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
