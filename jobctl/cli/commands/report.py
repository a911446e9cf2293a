"""``jobctl report NAME``: a report, now: written as HTML and JSON, its headlines shown."""

import json
from typing import Annotated, Any, NamedTuple

from jobctl.cli.commands.trigger import perform
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.views.report import screen
from jobctl.cli.views.runs import ending
from jobctl.errors import ExitCode, UsageError
from jobctl.managers.local import LocalJobManager
from jobctl.modes import Mode
from jobctl.reports.periods import Kind, read_period
from jobctl.text import nearest, quote

REPORTS = {
    "daily": ("report-daily-activity-summary", Kind.DAY),
    "weekly": ("report-weekly-user-growth", Kind.WEEK),
    "monthly": ("report-monthly-comprehensive", Kind.MONTH),
    "quarterly": ("report-quarterly-performance", Kind.QUARTER),
}


class Options(NamedTuple):
    """What is asked for. ``period`` None is the one that just ended."""

    name: str | None = None
    period: str | None = None
    mail: bool = False


def command(
    context: Context,
    *,
    name: Annotated[str | None, argument("NAME")] = None,
    period: Annotated[str | None, option("report", "--period")] = None,
    mail: Annotated[bool, option("report", "--mail")] = False,
) -> int:
    """Parse."""
    return run(Options(name, period, mail), context)


def run(options: Options, context: Context) -> int:
    """Run the report's job here, whatever the mode, and show what it wrote."""
    job_id, kind = _named(options.name)
    arguments: dict[str, Any] = {"mail": "again" if options.mail else "no"}
    if options.period is not None:
        arguments["period"] = read_period(kind, options.period, context.now()).name
    if options.mail and not context.environment.text("JOBCTL_REPORT_TO"):
        raise UsageError("--mail needs JOBCTL_REPORT_TO, which is not set", hint="set it to a mail address")
    job = context.job(job_id)
    manager = context.manager(Mode.LOCAL, kind="trigger", workers=1)
    if not isinstance(manager, LocalJobManager):
        raise TypeError("the local mode has a local manager")
    manager.add([job])
    ended, code = perform(context, manager, job.id, arguments)
    out = context.output
    if code != ExitCode.DONE:
        out.message(ending(ended))
        return code
    file = context.project.folder / ended.result["details"]["json"]
    report = json.loads(file.read_text(encoding="utf-8"))
    if out.json:
        out.document(report)
    else:
        out.lines(screen(report, out.look))
    return code


def _named(name: str | None) -> tuple[str, Kind]:
    """A report by its short name or its job's id."""
    for short, (job_id, kind) in REPORTS.items():
        if name in {short, job_id, job_id.removeprefix("report-")}:
            return job_id, kind
    known = f"all: {', '.join(REPORTS)}"
    if name is None:
        raise UsageError("report needs a name", hint=known)
    near = nearest(name, [*REPORTS, *(job_id for job_id, _ in REPORTS.values())])
    guess = f'did you mean "{near}"? ' if near else ""
    raise UsageError(f"there is no report {quote(name)}", hint=guess + known)
