"""``jobctl metrics [ID]``: totals over all runs that were ever recorded."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.sources import ask, told
from jobctl.cli.views.metrics import detail, piped, screen
from jobctl.documents import metrics_document
from jobctl.errors import UsageError, reason_of
from jobctl.model import JobMetrics
from jobctl.settings.variables import TEXTFILE_SUFFIX
from jobctl.text import quote

if TYPE_CHECKING:
    from jobctl.store.records import JobRecord, RunStore


class Form(Enum):
    """What ``--format`` takes."""

    TABLE = "table"
    PROMETHEUS = "prometheus"


class Options(NamedTuple):
    """What is asked for."""

    job_id: Annotated[str | None, argument()] = None
    form: Annotated[Form, option("metrics", "--format")] = Form.TABLE
    output: Annotated[str | None, option("metrics", "--output")] = None
    no_header: Annotated[bool, option("metrics", "--no-header")] = False


def run(options: Options, context: Context) -> int:
    """Look and show."""
    context.look_despite_faults()
    out = context.output
    if out.json and options.form is Form.PROMETHEUS:
        raise UsageError("--json and --format prometheus exclude each other")
    if options.output is not None:
        if options.form is not Form.PROMETHEUS:
            raise UsageError("--output goes with --format prometheus")
        if not options.output.endswith(TEXTFILE_SUFFIX):
            raise UsageError(
                f"--output {quote(options.output)}: node_exporter reads only files whose names end in {TEXTFILE_SUFFIX}",
                hint="for any other file: jobctl metrics --format prometheus > FILE",
            )
    job_id = options.job_id
    if job_id is not None:
        context.check_known(job_id)
    if options.form is Form.PROMETHEUS:
        return _expose(options, context)
    metrics, trouble = ask(
        context,
        there=lambda manager: manager.get_job_metrics(job_id),
        here=lambda store: store.metrics(job_id),
        nothing=JobMetrics(),
    )
    if out.json:
        out.document(metrics_document(metrics, detail=job_id is not None))
    else:
        one = metrics.jobs[0] if job_id is not None and metrics.jobs else None
        out.present(
            lambda terminal: detail(one, terminal) if one else screen(metrics, context.now(), terminal),
            lambda: piped(metrics, header=not options.no_header),
        )
    return told(trouble, out)


def _expose(options: Options, context: Context) -> int:
    """For Prometheus. Trigger.dev's own counts have no states beside them: its lists lag behind."""
    from jobctl.subscribers.prometheus import current, exposition, write_textfile

    job_id = options.job_id
    nothing: tuple[JobMetrics, list[JobRecord]] = (JobMetrics(), [])
    (metrics, records), trouble = ask(
        context,
        there=lambda manager: (manager.get_job_metrics(job_id), []),
        here=lambda store: (store.metrics(job_id), _records(store, job_id)),
        nothing=nothing,
    )
    jobs = current(records, context.catalogue.ids(), context.now())
    if options.output is None:
        context.output.lines(exposition(metrics, jobs))
        return told(trouble, context.output)
    try:
        write_textfile(Path(options.output), metrics, jobs)
    except OSError as error:
        raise UsageError(
            f"{quote(options.output)} cannot be written: {reason_of(error)}",
            hint="name a file in a folder that is there, and that this user may write to",
        ) from error
    return told(trouble, context.output)


def _records(store: "RunStore", job_id: str | None) -> "list[JobRecord]":
    if job_id is None:
        return list(store.jobs().values())
    record = store.job(job_id)
    return [record] if record else []
