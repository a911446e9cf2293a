"""``jobctl uninstall systemd``: takes back the service that ``install`` wrote. It stops nothing."""

from typing import Annotated, NamedTuple

from jobctl.cli.commands.install import SYSTEM_FOLDER, demand_manager, demand_root, scope_of, show, units_of
from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.words import NAMES
from jobctl.errors import ExitCode
from jobctl.export_folder import Fate
from jobctl.systemd.unit import take_back


class Options(NamedTuple):
    """Which service, and where it is."""

    manager: Annotated[str | None, argument("|".join(NAMES["service"]))] = None
    user: Annotated[bool, option("uninstall", "--user")] = False
    system: Annotated[bool, option("uninstall", "--system")] = False
    name: Annotated[str, option("uninstall", "--name")] = "jobctl"
    force: Annotated[bool, option("uninstall", "--force")] = False
    yes: Annotated[bool, option("uninstall", "--yes")] = False


def run(options: Options, context: Context) -> int:
    """Remove the unit, and say what comes next."""
    demand_manager("uninstall", options.manager, options.name, user=options.user, system=options.system)
    scope = scope_of(user=options.user, system=options.system)
    file = units_of(scope, context) / f"{options.name}.service"
    demand_root(file.parent, "jobctl uninstall systemd --system")
    if file.parent == SYSTEM_FOLDER and file.exists():
        confirm(f"Remove {file}?", context, yes=options.yes, command="uninstall")
    fate = take_back(file, context.project.folder, force=options.force)
    systemctl = scope.systemctl
    steps = [f"{systemctl} stop {options.name}", f"{systemctl} daemon-reload"] if fate is Fate.REMOVED else []
    out = context.output
    if out.json:
        out.document(
            {
                "name": options.name,
                "scope": scope.value,
                "file": str(file),
                "change": fate.value,
                "next": steps,
            }
        )
        return ExitCode.DONE
    if fate is Fate.UNCHANGED:
        out.note(f"there is no {file}, so there is nothing to remove")
        return ExitCode.DONE
    show(fate, file, steps, context)
    return ExitCode.DONE
