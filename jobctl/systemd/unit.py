"""A systemd unit that keeps ``jobctl run`` running: supervised, and with no more rights than jobs need.

Settings: systemd.service(5), systemd.exec(5) and systemd.kill(5) of version 245; an older systemd ignores those that
it does not know. Quoting: systemd.syntax(7).
"""

import hashlib
import os
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import UsageError, reason_of
from jobctl.export_folder import FileChange
from jobctl.files import write_whole
from jobctl.text import quote

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of a service, as systemd is built on most systems."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - to stay out of them
_AFTER_GRACE = timedelta(seconds=30)
"""After the grace time: 10 s to record the runs, 15 s to send notifications."""

_MADE = re.compile(r'# Made by "jobctl install systemd" \(([0-9a-f]{16})\)[^\n]*\n')
_ABOUT = """\
# Service of the project in {project}.
# If a job needs more rights, add them in a file of your own: {systemctl} edit {name}

[Unit]
Description=Background jobs of {title} (jobctl)
"""
_ONLINE = """\
Wants=network-online.target
After=network-online.target
"""
_SERVICE = """
[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
WorkingDirectory={folder}
Environment=NODE_ENV={node_env}
"""
_LIFE = """
# a scheduler that hangs is killed and started again
WatchdogSec=2min
# restarted whenever it fails, except after a wrong setting (2) or where there is nothing to run here (4)
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 4
# a stop that had to end runs is a success
SuccessExitStatus=130 143
# only the scheduler gets SIGTERM, so that runs get their grace time; whatever is left is killed
KillMode=mixed
TimeoutStopSec={stop}
# if a job takes all memory, only that job is killed
OOMPolicy=continue
"""
_EVERYWHERE = """
# limits of memory and processes, if your jobs need them
#MemoryMax=2G
#TasksMax=512
# a core dump would contain secrets
LimitCORE=0
UMask=0077
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
_SYSTEM = """\
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome=read-only
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
"""
_INSTALL = """
[Install]
WantedBy={target}.target
"""


class Scope(StrEnum):
    """The machine's service manager, or the user's own, which can restrict fewer rights."""

    SYSTEM = "system"
    USER = "user"

    @property
    def systemctl(self) -> str:
        """The command that controls this manager."""
        return "systemctl" if self is Scope.SYSTEM else "systemctl --user"


class Service(NamedTuple):
    """The contents of a unit.

    Attributes:
        command: the program's absolute path, and its arguments.
        folder: the project's.
        user: whom the machine's manager runs it as; None for the user's own manager.
        writable: folders outside the project that jobs write to.
        safe_folders: ``JOBCTL_SAFE_FOLDERS``, which is read from the process environment only.
        grace: the longest that a stop waits for runs to end.
    """

    name: str
    scope: Scope
    command: tuple[str, ...]
    folder: Path
    node_env: str
    grace: timedelta
    user: str | None = None
    safe_folders: str | None = None
    writable: tuple[Path, ...] = ()

    @property
    def file(self) -> str:
        """The unit's file name."""
        return f"{self.name}.service"


def unit_text(service: Service) -> str:
    """The unit's text.

    Raises:
        UsageError: systemd does not support a path.
    """
    folder = _whole_line(service.folder)
    system = service.scope is Scope.SYSTEM
    parts = [
        _ABOUT.format(
            project=service.folder,
            systemctl=service.scope.systemctl,
            name=service.name,
            title=_whole_line(Path(service.folder.name or "/")),
        ),
        _ONLINE if system else "",
        _SERVICE.format(command=_command(service.command), folder=folder, node_env=service.node_env),
        f"Environment={_quoted(f'JOBCTL_SAFE_FOLDERS={service.safe_folders}')}\n"
        if service.safe_folders
        else "",
        f"User={service.user}\n" if service.user else "",
        _LIFE.format(stop=round((service.grace + _AFTER_GRACE).total_seconds())),
        _EVERYWHERE,
        _SYSTEM.format(writable=" ".join(map(_quoted, _writable(service)))) if system else "",
        # it maps root and the service's user only; no use for root itself
        "PrivateUsers=yes\n" if system and service.user not in {None, "root"} else "",
        "PrivateTmp=yes\n" if system and not _uses_temporary_folder(service) else "",
        _INSTALL.format(target="multi-user" if system else "default"),
    ]
    text = "".join(parts)
    return f'# Made by "jobctl install systemd" ({_digest(text)}), which replaces it unless it was edited.\n{text}'


def write_unit(file: Path, text: str, *, force: bool = False) -> FileChange:
    """Write the unit.

    Raises:
        UsageError: it cannot be written; or without ``force``, the existing unit was edited, was not made by jobctl,
            or is another project's.
    """
    try:
        existing = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else None
        change = (
            FileChange.UNCHANGED
            if existing == text
            else FileChange.CREATED
            if existing is None
            else FileChange.CHANGED
        )
        if existing is not None and change is FileChange.CHANGED and not force:
            _require_own(file, existing, _folder(text))
        if change is not FileChange.UNCHANGED:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, text.encode(), mode=0o644)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {reason_of(error)}") from error
    return change


def remove_unit(file: Path, folder: Path, *, force: bool = False) -> FileChange:
    """Remove a project's unit, and the links by which systemd starts it.

    Raises:
        UsageError: it cannot be removed; or without ``force``, it was edited, was not made by jobctl, or is another
            project's.
    """
    try:
        if not file.exists():
            return FileChange.UNCHANGED
        if not force:
            _require_own(file, file.read_text(encoding="utf-8", errors="surrogateescape"), str(folder))
        for link in file.parent.glob(f"*.wants/{file.name}"):
            if link.is_symlink() and link.resolve() == file.resolve():
                link.unlink()
        file.unlink()
    except OSError as error:
        raise UsageError(f"{file} cannot be removed: {reason_of(error)}") from error
    return FileChange.REMOVED


def _require_own(file: Path, existing: str, folder: str) -> None:
    made = _MADE.match(existing)
    if made is None or made[1] != _digest(existing[made.end() :]):
        what = "was edited since jobctl made it" if made else "was not made by jobctl"
        raise UsageError(f"{file} {what}, so it stays", hint="choose another --name, or add --force")
    if (other := _folder(existing)) != folder:
        raise UsageError(
            f"{file} is the service of {other}, so it stays", hint="choose another --name, or add --force"
        )


def _folder(text: str) -> str:
    return text.partition("\nWorkingDirectory=")[2].partition("\n")[0].replace("%%", "%")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _writable(service: Service) -> list[str]:
    """The project's folder, and the others, which may be missing."""
    return [_printable(service.folder), *(f"-{_printable(folder)}" for folder in service.writable)]


def _uses_temporary_folder(service: Service) -> bool:
    """Whether a private /tmp would hide files that the service needs."""
    needed = [Path(service.command[0]), service.folder, *service.writable]
    places = {*needed, *(Path(os.path.realpath(path)) for path in needed)}
    return any(place.is_relative_to(temporary) for place in places for temporary in _TEMPORARY)


def _command(words: tuple[str, ...]) -> str:
    """The command line; after a colon, systemd expands no variables."""
    program = _printable(Path(words[0]))
    if set(program) & set("\"'\\"):
        raise UsageError(
            f"systemd does not support quotes or backslashes in the path of a program: {quote(program)}",
            hint="install jobctl elsewhere",
        )
    literal = ":" if any("$" in word for word in words) else ""
    return literal + " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """A word, quoted where necessary, without specifiers."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped if re.fullmatch(r"[\w@%+=:,./-]+", escaped, re.ASCII) else f'"{escaped}"'


def _whole_line(path: Path) -> str:
    """For a setting without quoting rules: it takes the whole line."""
    text = _printable(path)
    if text != text.strip() or text.endswith("\\"):
        raise UsageError(f"systemd does not support a folder named {quote(text)}", hint="rename it")
    return text.replace("%", "%%")


def _printable(path: Path) -> str:
    text = str(path)
    if not text.isprintable():
        raise UsageError(f"systemd does not support the path {quote(text)}", hint="rename it")
    return text
