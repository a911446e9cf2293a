"""``jobctl metrics [ID]``: totals over all runs that were ever recorded."""

from enum import Enum
from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.sources import ask, told
from jobctl.cli.views.metrics import openmetrics, piped, screen
from jobctl.documents import metrics_document
from jobctl.errors import UsageError
from jobctl.model import JobMetrics


class Form(Enum):
    """What ``--format`` takes."""

    TABLE = "table"
    PROMETHEUS = "prometheus"


class Options(NamedTuple):
    """What is asked for."""

    job_id: str | None = None
    form: Form = Form.TABLE
    header: bool = True


def command(
    context: Context,
    *,
    job_id: Annotated[str | None, argument()] = None,
    form: Annotated[Form, option("metrics", "--format")] = Form.TABLE,
    no_header: Annotated[bool, option("metrics", "--no-header")] = False,
) -> int:
    """Parse."""
    return run(Options(job_id, form, not no_header), context)


def run(options: Options, context: Context) -> int:
    """Look and show."""
    out = context.output
    if out.json and options.form is Form.PROMETHEUS:
        raise UsageError("--json and --format prometheus exclude each other")
    job_id = options.job_id
    if job_id is not None:
        context.check_known(job_id)
    metrics, trouble = ask(
        context,
        there=lambda manager: manager.get_job_metrics(job_id),
        here=lambda store: store.metrics(job_id),
        nothing=JobMetrics(),
    )
    if out.json:
        out.document(metrics_document(metrics))
    elif options.form is Form.PROMETHEUS:
        out.lines(openmetrics(metrics))
    elif out.is_terminal:
        out.lines(screen(metrics, context.now(), out.look))
    else:
        out.lines(piped(metrics, header=options.header))
    return told(trouble, out)
