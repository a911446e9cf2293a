"""``jobctl uninstall systemd``: removes the service that ``install`` wrote, and stops nothing."""

from typing import Annotated

import typer

from jobctl.cli.commands.install import (
    SYSTEM_FOLDER,
    check_service,
    require_root,
    scope_of,
    show,
    units_folder,
)
from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context
from jobctl.cli.options import ServiceManagerName, ServiceName, SystemService, UserService, Yes
from jobctl.errors import ExitCode
from jobctl.export_folder import FileChange
from jobctl.systemd.unit import remove_unit


def run(
    context: Context,
    service_manager: ServiceManagerName,
    *,
    user: UserService = False,
    system: SystemService = False,
    name: ServiceName = "jobctl",
    force: Annotated[
        bool, typer.Option("--force", help="Remove a unit that was edited, or is another project's.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Remove the installed service.

    Examples:
        jobctl uninstall systemd
        sudo .venv/bin/jobctl uninstall systemd --system --yes
    """
    del service_manager  # there is only one
    check_service(name, user=user, system=system)
    scope = scope_of(user=user, system=system)
    file = units_folder(scope, context) / f"{name}.service"
    require_root(file.parent, "jobctl uninstall systemd --system")
    if file.parent == SYSTEM_FOLDER and file.exists():
        confirm(f"Remove {file}?", context, yes=yes, command="uninstall")
    change = remove_unit(file, context.project.folder, force=force)
    systemctl = scope.systemctl
    steps = [f"{systemctl} stop {name}", f"{systemctl} daemon-reload"] if change is FileChange.REMOVED else []
    out = context.output
    if out.json:
        out.document(
            {
                "name": name,
                "scope": scope.value,
                "file": str(file),
                "change": change.value,
                "next": steps,
            }
        )
        return ExitCode.DONE
    if change is FileChange.UNCHANGED:
        out.note(f"there is no {file}, so there is nothing to remove")
        return ExitCode.DONE
    show(change, file, steps, context)
    return ExitCode.DONE
