"""Reads a crontab, and makes a job of each of its lines; see crontab(5) of Debian's cron."""

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobctl.catalogue.job_keys import build_job
from jobctl.errors import ConfigurationErrors, ScheduleError, UsageError
from jobctl.model import Job
from jobctl.schedules import Cron
from jobctl.text import MAX_ID, printable, quote

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
_FIELDS = 5
_UTC = {"UTC", "Etc/UTC", "Etc/UCT", "Zulu", "GMT", "Etc/GMT"}
_NEEDS_SHELL = re.compile(r"[|&;<>()$`\\\"'*?\[\]{}~#=!]")
_INTERPRETERS = frozenset(
    [
        "bash",
        "cd",
        "dash",
        "env",
        "flock",
        "ionice",
        "nice",
        "node",
        "nohup",
        "perl",
        "php",
        "python",
        "python3",
        "ruby",
        "sh",
        "sudo",
        "test",
        "timeout",
        "zsh",
    ]
)
_STDIN_END = "END_OF_STDIN"


@dataclass(slots=True)
class CrontabJob:
    """A line that is a job now.

    Attributes:
        line: its number, from 1.
        comments: the lines above it, without ``#``.
        settings: as in the project file.
    """

    line: int
    text: str
    job_id: str
    comments: list[str]
    settings: dict[str, Any]


@dataclass(slots=True)
class RefusedLine:
    """A line that cannot be a job, and why."""

    line: int
    text: str
    reason: str


@dataclass(slots=True)
class Crontab:
    """All of a crontab.

    Attributes:
        mail_to: the addresses of ``MAILTO``.
    """

    jobs: list[CrontabJob] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    mail_to: list[str] = field(default_factory=list)


def read_crontab(text: str, known: Iterable[Job], *, timezone: str, user: str | None = None) -> Crontab:
    """Make a job of each line.

    Args:
        known: the jobs that exist already; a line that is the same as one of them is refused.
        timezone: of this machine, in which cron reads the times.
        user: for a crontab of the system, whose sixth field names a user: the one that jobctl runs as.
    """
    reader = _CrontabReader(known, timezone, user)
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(number, line.strip())
    return reader.found


class _CrontabReader:
    """Keeps what the lines before have set."""

    def __init__(self, known: Iterable[Job], timezone: str, user: str | None) -> None:
        self.found = Crontab()
        self._known = {(job.schedule, job.target): job.id for job in known}
        self._taken = set(self._known.values())
        self._timezone = timezone
        self._user = user
        self._shell = "/bin/sh"
        self._home = "~"
        self._environment: dict[str, str] = {}
        self._comments: list[str] = []

    def read(self, number: int, line: str) -> None:
        """Take a line in."""
        if line.startswith("#"):
            self._comments.append(line.lstrip("#").strip())
        elif (assigned := _ASSIGNMENT.fullmatch(line)) is not None:
            self._assign(assigned[1], _unquoted(assigned[2]))
        else:
            if line:
                self._add(number, line)
            self._comments = []

    def _assign(self, name: str, value: str) -> None:
        if name == "MAILTO":
            self.found.mail_to += dict.fromkeys(filter(None, re.split(r"[,\s]+", value)))
        elif name in {"CRON_TZ", "TZ"}:
            self._timezone = value
        elif name == "SHELL":
            self._shell = value
        elif name == "HOME":
            self._home = value
        elif name not in {"MAILFROM", "LOGNAME", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING"}:
            self._environment[name] = value

    def _add(self, number: int, line: str) -> None:
        try:
            job_id, settings = self._job(line)
        except UsageError as error:
            self.found.refused.append(RefusedLine(number, line, error.problem))
            return
        self._taken.add(job_id)
        self.found.jobs.append(CrontabJob(number, line, job_id, self._comments, settings))

    def _job(self, line: str) -> tuple[str, dict[str, Any]]:
        """The id and the settings of a job.

        Raises:
            UsageError: the line cannot be a job.
        """
        schedule, rest = _schedule_and_rest(line)
        if self._user is not None:
            owner, _, rest = rest.partition(" ")
            if owner != self._user:
                raise UsageError(f"it runs as {quote(owner)}, and jobctl runs as {self._user}")
        command, stdin = _without_percent(rest.strip())
        if not command:
            raise UsageError("it has no command")
        try:
            Cron(schedule, self._timezone)
        except ScheduleError as error:
            raise UsageError(error.problem) from None
        settings: dict[str, Any] = {"cron": schedule}
        if self._timezone not in _UTC:
            settings["timezone"] = self._timezone
        settings |= {"command": _argv(command, stdin, self._shell), "folder": self._home}
        if self._environment:
            settings["environment"] = dict(self._environment)
        job_id = _free_id(command, self._taken)
        try:
            job = build_job(job_id, settings, lambda key: key)
        except ConfigurationErrors as error:
            raise UsageError(error.problems[0].problem) from None
        if (same := self._known.get((job.schedule, job.target))) is not None:
            raise UsageError(f"the job {same} does the same already")
        return job_id, settings


def _schedule_and_rest(line: str) -> tuple[str, str]:
    parts = line.split(None, 1 if line.startswith("@") else _FIELDS)
    if parts[0].lower() == "@reboot":
        raise UsageError("no schedule is due at the start of a machine; start it by its service manager")
    if len(parts) < 2 or not (line.startswith("@") or len(parts) > _FIELDS):
        raise UsageError("it is neither a variable nor five fields and a command")
    return " ".join(parts[:-1]), parts[-1]


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _without_percent(command: str) -> tuple[str, str | None]:
    """The command, and its standard input: cron ends the command at the first ``%``, and each further one is a new line."""
    parts = [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", command)]
    return parts[0].strip(), "\n".join(parts[1:]) if len(parts) > 1 else None


def _argv(command: str, stdin: str | None, shell: str) -> list[str]:
    if stdin is not None:
        return [shell, "-c", f"{{ {command}\n}} <<'{_STDIN_END}'\n{stdin}\n{_STDIN_END}"]
    return [shell, "-c", command] if _NEEDS_SHELL.search(command) else command.split()


def _free_id(command: str, taken: Collection[str]) -> str:
    """An id from the name of the program, or of the script that it runs."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    named = (
        Path(word).name.partition(".")[0]
        for word in words
        if not word.startswith("-") and "=" not in word and Path(word).name not in _INTERPRETERS
    )
    slug = next(
        filter(None, (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in named)), "cron-job"
    )
    base = slug[: MAX_ID - 4].strip("-")
    return next(each for each in _numbered(base) if each not in taken)


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


def as_toml(crontab: Crontab, prefix: str = "") -> str:
    """The jobs as tables of a project file, each below its comments; refused lines as comments at the end.

    Args:
        prefix: of the tables' names: ``tool.jobctl.`` in ``pyproject.toml``.
    """
    import json

    blocks = []
    for job in crontab.jobs:
        lines = [f"# {comment}".rstrip() for comment in job.comments]
        lines.append(f"# line {job.line} of the crontab: {printable(job.text)}")
        lines.append(f"[{prefix}jobs.{job.job_id}]")
        for key, value in job.settings.items():
            shown = json.dumps(value, ensure_ascii=False)
            if isinstance(value, dict):
                pairs = ", ".join(
                    f"{name} = {json.dumps(each, ensure_ascii=False)}" for name, each in value.items()
                )
                shown = f"{{ {pairs} }}"
            lines.append(f"{key} = {shown}")
        blocks.append("\n".join(lines))
    if crontab.refused:
        refused = (
            f"# line {each.line} was not imported: {printable(each.reason)}\n#   {printable(each.text)}"
            for each in crontab.refused
        )
        blocks.append("\n".join(refused))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def local_timezone() -> str:
    """The name of this machine's time zone; ``UTC`` where it is not known."""
    if named := os.environ.get("TZ", "").lstrip(":"):
        return named
    try:
        target = str(Path("/etc/localtime").readlink())
    except OSError:
        return "UTC"
    return target.partition("zoneinfo/")[2] or "UTC"
