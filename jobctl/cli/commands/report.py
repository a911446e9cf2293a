"""``jobctl report NAME``: makes a report now, writes it as HTML and JSON, and shows its headlines."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli.context import Context
from jobctl.cli.foreground import report_end, run_in_foreground
from jobctl.cli.terminal import Column, Terminal, plain
from jobctl.errors import ExitCode, UsageError
from jobctl.site.reports.periods import REPORTS, ReportDefinition, read_period
from jobctl.site.reports.plain_text import headlines
from jobctl.text import counted, quote, suggestion

if TYPE_CHECKING:
    from rich.console import RenderableType


def run(
    context: Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help=f"One of {', '.join(REPORTS)}.", autocompletion=lambda: list(REPORTS)
        ),
    ],
    *,
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            metavar="PERIOD",
            help="Which period, such as 2026-10.",
            show_default="the one that just ended",
        ),
    ] = None,
    mail: Annotated[bool, typer.Option("--mail", help="Also mail it to JOBCTL_REPORT_TO.")] = False,
) -> int:
    """Make a report now.

    Examples:
        jobctl report weekly
        jobctl report monthly --period 2026-10
        jobctl report daily --json
    """
    asked = _named(name)
    arguments: dict[str, Any] = {"mail": "again" if mail else "no"}
    if period is not None:
        arguments["period"] = read_period(asked.kind, period, context.now()).name
    if mail and not context.environment.text("JOBCTL_REPORT_TO"):
        raise UsageError("--mail needs JOBCTL_REPORT_TO, which is not set", hint="set it to a mail address")
    job = context.job(asked.job_id)
    single = context.single_run(job)
    with context.subscribers(single):
        done = run_in_foreground(context, single, arguments)
    out = context.output
    if done.code != ExitCode.DONE or done.stuck:
        if not done.stuck:
            report_end(done.run, context, retry=done.retry)
        return done.code
    file = context.project.folder / done.run.result["details"]["json"]
    report = json.loads(file.read_text(encoding="utf-8"))
    if out.json:
        out.document(report)
    else:
        out.present(lambda terminal: screen(report, terminal), lambda: piped(report))
    if mail:
        out.note(f"sent {counted(done.run.result['details']['mails'], 'mail')}")
    return ExitCode.DONE


def _named(name: str) -> ReportDefinition:
    """A report by its short name or its job's id."""
    for short, report in REPORTS.items():
        if name in {short, report.job_id, report.job_id.removeprefix("report-")}:
            return report
    all_names = f"all: {', '.join(REPORTS)}"
    names = [*REPORTS, *(report.job_id for report in REPORTS.values())]
    raise UsageError(f"there is no report {quote(name)}", hint=suggestion(name, names, all_names))


_TITLES = ("FIGURE", "VALUE", "CHANGE")


def piped(report: dict[str, Any]) -> Iterator[str]:
    """Title and period, then each figure with its change since the period before."""
    yield _title(report)
    yield from plain([_TITLES, *headlines(report)])


def screen(report: dict[str, Any], terminal: Terminal) -> "Iterator[RenderableType]":
    """The same as a table."""
    yield terminal.heading(_title(report))
    yield terminal.table(
        [Column(title, right=title == "VALUE", wraps=title != "VALUE") for title in _TITLES],
        [(label, value, terminal.text(change, "dim")) for label, value, change in headlines(report)],
        keep=3,
    )


def _title(report: dict[str, Any]) -> str:
    return f"{report['title']}, {report['period']['label']}"
