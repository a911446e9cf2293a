"""``jobctl runs [ID|RUN]``: what ran, newest first, or all of one run."""

from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, argument, option
from jobctl.cli.sources import ask, run_named, told
from jobctl.cli.times import read_since
from jobctl.cli.views.runs import LAST, detail, piped, screen
from jobctl.documents import run_document
from jobctl.errors import UsageError
from jobctl.model import Run, RunStatus


class Options(NamedTuple):
    """What is asked for. ``limit`` 0 is all."""

    what: Annotated[str | None, argument("ID|RUN")] = None
    failed: Annotated[bool, option("runs", "--failed")] = False
    status: Annotated[RunStatus | None, option("runs", "--status")] = None
    since: Annotated[str | None, option("runs", "--since")] = None
    limit: Annotated[int, option("runs", "--limit", min=0, max=MOST)] = 20
    no_header: Annotated[bool, option("runs", "--no-header")] = False


def run(options: Options, context: Context) -> int:
    """Look and show."""
    context.tolerate_bad_settings()
    if options.failed and options.status not in {None, RunStatus.FAILED}:
        raise UsageError(f"--failed and --status {options.status} exclude each other")
    now = context.now()
    since = read_since(options.since, now) if options.since else None
    job_id = options.what
    if job_id is not None and (one := run_named(job_id, context)) is not None:
        return show_run(one, context, header=not options.no_header)
    wanted = RunStatus.FAILED if options.failed else options.status
    out = context.output
    at_a_glance = job_id is not None and not (wanted or since) and out.is_terminal and not out.json
    most = max(options.limit + 1, LAST if at_a_glance else 0) if options.limit else None
    statuses = [wanted] if wanted else []
    nothing: list[Run] = []
    found, trouble = ask(
        context,
        there=lambda manager: manager.runs(job_id, statuses=statuses, since=since, limit=most),
        here=lambda store: list(store.runs(job_id, statuses=statuses, since=since, limit=most)),
        nothing=nothing,
    )
    more = bool(options.limit) and len(found) > options.limit
    shown = found[: options.limit] if options.limit else found
    if out.json:
        out.document({"runs": [run_document(one) for one in shown]})
    else:
        lately = found[:LAST] if at_a_glance else ()
        out.present(
            lambda terminal: screen(
                shown, now, terminal, more=more, of_one_job=job_id is not None, lately=lately
            ),
            lambda: piped(shown, header=not options.no_header),
        )
    return told(trouble, out)


def show_run(found: Run, context: Context, *, header: bool) -> int:
    """All that is known of one run."""
    out = context.output
    if out.json:
        out.document(run_document(found))
    else:
        out.present(
            lambda terminal: detail(found, context.now(), terminal), lambda: piped([found], header=header)
        )
    return 0
