"""A unit of systemd that holds ``jobctl run`` for good: supervised, and with no more rights than jobs need.

Settings are those of systemd.service(5), systemd.exec(5) and systemd.kill(5), of version 245; an older systemd
passes over what it does not know. The rules of quoting are those of systemd.syntax(7).
"""

import hashlib
import os
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import UsageError, reason_of
from jobctl.export_folder import Fate
from jobctl.files import write_whole
from jobctl.text import quote

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a service looks for programs, as systemd is built on most systems."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - to stay out of them
_AFTER_GRACE = timedelta(seconds=30)
"""For what follows the grace: 10 s to write what ended, 15 s to tell who wants to be told."""

_MADE = re.compile(r'# Made by "jobctl install systemd" \(([0-9a-f]{16})\)[^\n]*\n')
_ABOUT = """\
# Service of the project in {project}.
# What a job needs beyond these rights goes into a file of your own: {systemctl} edit {name}

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
# a scheduler whose loop has hung is killed and started again
WatchdogSec=2min
# it is started again whenever it fails, but for a wrong setting (2) and where nothing is to run here (4)
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 4
# a stop that had to cut runs short is a stop
SuccessExitStatus=130 143
# the scheduler alone is asked to stop, so that runs get their grace; what is left then is killed
KillMode=mixed
TimeoutStopSec={stop}
# a job that takes all memory is ended, and nothing else
OOMPolicy=continue
"""
_EVERYWHERE = """
# a limit on memory or processes, as far as your jobs need one
#MemoryMax=2G
#TasksMax=512
# a core dump would hold secrets
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
    """Whose manager keeps the service: the machine's, or the user's own, which can give up fewer rights."""

    SYSTEM = "system"
    USER = "user"

    @property
    def systemctl(self) -> str:
        """The program that controls this manager."""
        return "systemctl" if self is Scope.SYSTEM else "systemctl --user"


class Service(NamedTuple):
    """What the unit says.

    Attributes:
        command: the program, by its whole path, and its arguments.
        folder: the project's.
        user: whom the machine's manager runs it as; None for a user's own.
        writable: folders outside the project that jobs write to.
        safe_folders: ``JOBCTL_SAFE_FOLDERS`` of this call, which counts in the process environment alone.
        grace: the longest that a stop waits for runs, and for them to obey.
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
        """The unit's name."""
        return f"{self.name}.service"


def unit(service: Service) -> str:
    """The unit's text.

    Raises:
        UsageError: a path that systemd cannot be told.
    """
    folder = _plain(service.folder)
    system = service.scope is Scope.SYSTEM
    parts = [
        _ABOUT.format(
            project=service.folder,
            systemctl=service.scope.systemctl,
            name=service.name,
            title=_plain(Path(service.folder.name or "/")),
        ),
        _ONLINE if system else "",
        _SERVICE.format(command=_command(service.command), folder=folder, node_env=service.node_env),
        f"Environment={_word(f'JOBCTL_SAFE_FOLDERS={service.safe_folders}')}\n"
        if service.safe_folders
        else "",
        f"User={service.user}\n" if service.user else "",
        _LIFE.format(stop=round((service.grace + _AFTER_GRACE).total_seconds())),
        _EVERYWHERE,
        _SYSTEM.format(writable=" ".join(map(_word, _writable(service)))) if system else "",
        # it maps root and the service's user; root itself has nothing left to give up by it
        "PrivateUsers=yes\n" if system and service.user not in {None, "root"} else "",
        "PrivateTmp=yes\n" if system and not _is_in_temporary(service) else "",
        _INSTALL.format(target="multi-user" if system else "default"),
    ]
    text = "".join(parts)
    return f'# Made by "jobctl install systemd" ({_digest(text)}), which replaces it only as long as it is so.\n{text}'


def place(file: Path, text: str, *, force: bool = False) -> Fate:
    """Write the unit, unless what is there is not as jobctl made it, or is another project's.

    Raises:
        UsageError: so it is, and without ``force`` it stays; or it cannot be written.
    """
    try:
        there = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else None
        fate = Fate.UNCHANGED if there == text else Fate.CREATED if there is None else Fate.CHANGED
        if there is not None and fate is Fate.CHANGED and not force:
            _demand_ours(file, there, _folder(text))
        if fate is not Fate.UNCHANGED:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, text.encode(), mode=0o644)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {reason_of(error)}") from error
    return fate


def take_back(file: Path, folder: Path, *, force: bool = False) -> Fate:
    """Remove a project's unit, and the links by which systemd starts it, unless it is not as jobctl made it.

    Raises:
        UsageError: so it is, and without ``force`` it stays; or it cannot be removed.
    """
    try:
        if not file.exists():
            return Fate.UNCHANGED
        if not force:
            _demand_ours(file, file.read_text(encoding="utf-8", errors="surrogateescape"), str(folder))
        for link in file.parent.glob(f"*.wants/{file.name}"):
            if link.is_symlink() and link.resolve() == file.resolve():
                link.unlink()
        file.unlink()
    except OSError as error:
        raise UsageError(f"{file} cannot be removed: {reason_of(error)}") from error
    return Fate.REMOVED


def _demand_ours(file: Path, there: str, folder: str) -> None:
    made = _MADE.match(there)
    if made is None or made[1] != _digest(there[made.end() :]):
        what = "was edited since jobctl made it" if made else "was not made by jobctl"
        raise UsageError(f"{file} {what}, so it stays", hint="name another service by --name, or add --force")
    if (other := _folder(there)) != folder:
        raise UsageError(f"{file} is the service of {other}, so it stays", hint="another --name, or --force")


def _folder(text: str) -> str:
    return text.partition("\nWorkingDirectory=")[2].partition("\n")[0].replace("%%", "%")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _writable(service: Service) -> list[str]:
    """The project's folder, and what may be missing of the others."""
    return [_checked(service.folder), *(f"-{_checked(one)}" for one in service.writable)]


def _is_in_temporary(service: Service) -> bool:
    """Whether a private /tmp would hide what the service needs."""
    needed = [Path(service.command[0]), service.folder, *service.writable]
    places = {*needed, *(Path(os.path.realpath(one)) for one in needed)}
    return any(one.is_relative_to(temporary) for one in places for temporary in _TEMPORARY)


def _command(words: tuple[str, ...]) -> str:
    """A command line. With a colon before it, systemd looks for no variables in it."""
    program = _checked(Path(words[0]))
    if set(program) & set("\"'\\"):
        raise UsageError(
            f"systemd starts no program with quotes or backslashes in its path: {quote(program)}",
            hint="install jobctl elsewhere",
        )
    literal = ":" if any("$" in word for word in words) else ""
    return literal + " ".join(map(_word, words))


def _word(word: str) -> str:
    """As one word: quoted where need be, with no specifier in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped if re.fullmatch(r"[\w@%+=:,./-]+", escaped, re.ASCII) else f'"{escaped}"'


def _plain(path: Path) -> str:
    """For a setting that takes its line as it is, to the end."""
    text = _checked(path)
    if text != text.strip() or text.endswith("\\"):
        raise UsageError(f"systemd cannot be told of a folder named {quote(text)}", hint="rename it")
    return text.replace("%", "%%")


def _checked(path: Path) -> str:
    text = str(path)
    if not text.isprintable():
        raise UsageError(f"systemd cannot be told of the path {quote(text)}", hint="rename it")
    return text
