"""The unit has the right contents, systemd accepts it, and a unit that jobctl did not make is not overwritten."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.errors import UsageError
from jobctl.export_folder import FileChange
from jobctl.systemd.unit import Scope, Service, unit_text, write_unit

PROGRAM = str(Path(sys.executable).with_name("jobctl"))
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)


def service(scope: Scope = Scope.SYSTEM, **more: Any) -> Service:
    settings: dict[str, Any] = {
        "name": "jobctl",
        "scope": scope,
        "command": ("/opt/jobctl/bin/jobctl", "run", "--grace", "30s"),
        "folder": Path("/srv/site"),
        "node_env": "production",
        "grace": timedelta(seconds=35),
        "user": "site" if scope is Scope.SYSTEM else None,
        **more,
    }
    return Service(**settings)


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[f"{section}.{key}"].append(value)
    return found


@pytest.mark.parametrize("scope", Scope)
def test_it_supervises_the_scheduler(scope: Scope) -> None:
    found = settings(unit_text(service(scope)))

    said = {key.removeprefix("Service."): value for key, (value,) in found.items()}
    assert (
        said.items()
        >= {
            "Type": "notify",
            "NotifyAccess": "main",
            "ExecStart": "/opt/jobctl/bin/jobctl run --grace 30s",
            "WorkingDirectory": "/srv/site",
            "Environment": "NODE_ENV=production",
            "Restart": "on-failure",
            "RestartSec": "5",
            "RestartPreventExitStatus": "2 4",
            "SuccessExitStatus": "130 143",
            "WatchdogSec": "2min",
            "KillMode": "mixed",
            "OOMPolicy": "continue",
            "TimeoutStopSec": "65",
            "NoNewPrivileges": "yes",
            "UMask": "0077",
            "LimitCORE": "0",
            "SystemCallFilter": "@system-service",
            "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
            "Install.WantedBy": "default.target" if scope is Scope.USER else "multi-user.target",
        }.items()
    )


def test_only_the_machines_manager_is_asked_for_what_needs_its_rights() -> None:
    mine, machines = settings(unit_text(service(Scope.USER))), settings(unit_text(service()))

    assert {key.removeprefix("Service.") for key in machines.keys() - mine.keys()} == {
        "User", "CapabilityBoundingSet", "ProtectSystem", "ReadWritePaths", "ProtectHome", "PrivateDevices",
        "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
        "ProtectKernelTunables", "ProtectProc", "PrivateUsers", "RemoveIPC", "PrivateTmp", "Unit.Wants", "Unit.After",
    }  # fmt: skip
    assert machines["Service.User"] == ["site"]
    assert machines["Service.ProtectSystem"] == ["strict"]
    assert machines["Service.CapabilityBoundingSet"] == [""]


def test_jobs_may_write_to_the_project_and_to_what_lies_outside_it() -> None:
    text = unit_text(service(folder=Path("/srv/my site"), writable=(Path("/var/lib/jobctl"),)))

    assert settings(text)["Service.ReadWritePaths"] == ['"/srv/my site" -/var/lib/jobctl']


@pytest.mark.parametrize("folder", ["/tmp/site", "/var/tmp/site"])
def test_a_project_among_temporary_files_is_not_hidden_from_itself(folder: str) -> None:
    assert "Service.PrivateTmp" not in settings(unit_text(service(folder=Path(folder))))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("/a b/jobctl", "run"), '"/a b/jobctl" run'),
        (("/a%n/jobctl", "run"), "/a%%n/jobctl run"),
        (("/a$HOME/jobctl", "run"), ':"/a$HOME/jobctl" run'),
        (("/é/jobctl", "x\\y", 'q"q'), '"/é/jobctl" "x\\\\y" "q\\"q"'),
    ],
)
def test_a_command_line_is_quoted_as_systemd_reads_it(command: tuple[str, ...], line: str) -> None:
    assert settings(unit_text(service(command=command)))["Service.ExecStart"] == [line]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"folder": Path("/srv/a\nb")}, "does not support the path"),
        ({"folder": Path("/srv/a\udcff")}, "does not support the path"),
        ({"folder": Path("/srv/a ")}, "does not support a folder named"),
        ({"folder": Path("/srv/a\\")}, "does not support a folder named"),
        ({"writable": (Path("/srv/\x1b"),)}, "does not support the path"),
        ({"command": ("/srv/it's/jobctl",)}, "does not support quotes"),
    ],
)
def test_a_path_that_systemd_does_not_support_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        unit_text(service(**wrong))


@needs_systemd
@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("name", ["site", "my site 100%n $HOME é"])
def test_systemd_finds_nothing_wrong(scope: Scope, name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "jobctl").symlink_to(PROGRAM)
    file = tmp_path / "jobctl.service"
    file.write_text(unit_text(service(scope, folder=folder, command=(str(folder / "jobctl"), "run"))))

    done = subprocess.run(
        ["systemd-analyze", "verify", f"--{scope.value}", "--man=no", file],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_systemd_finds_little_exposed(tmp_path: Path) -> None:
    file = tmp_path / "jobctl.service"
    file.write_text(unit_text(service()))

    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-300:]


def test_a_unit_is_replaced_unless_it_was_edited(tmp_path: Path) -> None:
    file = tmp_path / "systemd" / "user" / "jobctl.service"
    text, newer = unit_text(service()), unit_text(service(node_env="test"))

    assert write_unit(file, text) is FileChange.CREATED
    assert write_unit(file, text) is FileChange.UNCHANGED
    assert write_unit(file, newer) is FileChange.CHANGED
    assert file.read_text() == newer
    assert file.stat().st_mode & 0o777 == 0o644

    edited = newer.replace("RestartSec=5", "RestartSec=9")
    file.write_text(edited)
    with pytest.raises(UsageError, match="was edited since jobctl made it, so it stays"):
        write_unit(file, text)
    assert file.read_text() == edited
    assert write_unit(file, text, force=True) is FileChange.CHANGED


def test_a_unit_that_jobctl_did_not_make_stays(tmp_path: Path) -> None:
    file = tmp_path / "jobctl.service"
    file.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(UsageError, match="was not made by jobctl"):
        write_unit(file, unit_text(service()))

    other = unit_text(service(folder=Path("/srv/other 100%")))
    file.write_text(other)
    with pytest.raises(UsageError, match="is the service of /srv/other 100%, so it stays"):
        write_unit(file, unit_text(service()))
    assert file.read_text() == other

    file.unlink()
    file.mkdir()
    with pytest.raises(UsageError, match="cannot be written: is a directory"):
        write_unit(file, other)
