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


def read_arguments(context: Context, job: Job, words: Sequence[str], file: str | None) -> dict[str, Any]:
    """The arguments for a run of the job, as JSON values, checked against its function.

    Secrets among them are masked from now on in everything that this process shows or keeps.

    Args:
        words: ``NAME=VALUE`` each; they replace those of the file.
        file: its path, or ``-`` for standard input.

    Raises:
        UsageError: they cannot be read, or are not what the job takes.
        ConfigurationError: the job's function cannot be imported.
    """
    if not words and file is None:
        return {}
    from jobctl.catalogue.discovery import Functions

    texts = []
    for word in words:
        name, assigned, text = word.partition("=")
        if not assigned:
            raise UsageError(
                f"{quote(word)} is not an argument", hint="write the name of a parameter: NAME=VALUE"
            )
        texts.append((name, text))
    environment = context.environment
    functions = Functions(context.project.folder, environment.merged(), environment.mask)
    return functions.check(job, {} if file is None else _read_object(file), texts)


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
