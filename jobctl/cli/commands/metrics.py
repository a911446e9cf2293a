"""``jobctl metrics [ID]``: totals over all runs that were ever recorded."""

from enum import Enum
from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.views.metrics import openmetrics, piped, screen
from jobctl.documents import metrics_document
from jobctl.errors import ServiceError, UsageError
from jobctl.model import JobMetrics
from jobctl.modes import Mode


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
    store = context.store_if_any
    if options.job_id is not None:
        context.check_known(options.job_id)
    trouble: ServiceError | None = None
    metrics = JobMetrics()
    if context.mode is Mode.TRIGGER_DEV:
        try:
            metrics = context.trigger_dev.get_job_metrics(options.job_id)
        except ServiceError as error:
            trouble = error
            out.warn("Trigger.dev does not answer; these are the runs recorded here")
    if store is not None and (trouble is not None or context.mode is not Mode.TRIGGER_DEV):
        metrics = store.metrics(options.job_id)
    if out.json:
        out.document(metrics_document(metrics))
    elif options.form is Form.PROMETHEUS:
        out.lines(openmetrics(metrics))
    elif out.is_terminal:
        out.lines(screen(metrics, context.now(), out.look))
    else:
        out.lines(piped(metrics, header=options.header))
    if trouble is not None and not out.json:
        out.problem(trouble)
    return trouble.exit_code if trouble is not None else 0
