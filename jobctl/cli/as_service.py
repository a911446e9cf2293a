"""The project as a service sees it, which inherits nothing from this shell; and what differs for that."""

import os
import shutil
from collections.abc import Iterator

from jobctl.catalogue.notify_settings import URLS
from jobctl.cli.context import Context
from jobctl.exports.systemd import SEARCHED, Scope, Service
from jobctl.model import Command
from jobctl.settings.variables import VARIABLES
from jobctl.trust import SAFE_FOLDERS

_GIVEN = (SAFE_FOLDERS, "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""What the service's manager sets too, if to another value, or what the unit says."""
_MEANT_FOR_THIS_CALL = {"NODE_ENV", "JOBCTL_PROJECT"}


def as_service(context: Context, node_env: str) -> Context:
    """The same project, its settings read from the ``.env`` files alone."""
    process = {name: context.process[name] for name in _GIVEN if name in context.process}
    common = context.common._replace(project=str(context.project.folder))
    return Context(common, {**process, "NODE_ENV": node_env}, context.clock, context.output)


def surprises(service: Service, seen: Context, context: Context) -> Iterator[str]:
    """What works in this shell, and will not in the service."""
    for name in sorted(_needed(seen) - _MEANT_FOR_THIS_CALL):
        here = context.environment.value(name)
        if here.source.kind == "process" and here.text != seen.environment.value(name).text:
            yield f"{name} is set in this shell, which the service does not see: write it into an .env file"
    for job in seen.catalogue:
        if isinstance(job.target, Command) and os.sep not in (program := job.target.argv[0]):
            found = shutil.which(program, path=context.process.get("PATH"))
            if found is not None and found != shutil.which(program, path=SEARCHED):
                yield f"{job.id} runs {found}, which the service does not find: write the whole path"
    if service.scope is Scope.USER:
        return
    for folder in service.writable:
        if not folder.exists():
            yield f"{folder} is not there, and the service may not make it: make it first, as {service.user}"
    if service.user == "root":
        yield f"{service.folder} belongs to root, so jobs run as root: better give it to a user of its own"


def _needed(seen: Context) -> set[str]:
    """Every variable that jobctl, its jobs and its notifications are known to read."""
    catalogue = seen.catalogue
    urls = [*(getattr(catalogue.notify, key) for key in URLS), *(job.check_in for job in catalogue)]
    named = {url[1:] for url in urls if url and url.startswith("$")}
    return {*VARIABLES, *named, *(name for job in catalogue for name in job.needs)}
