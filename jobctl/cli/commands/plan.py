"""``jobctl plan``: what the scheduler will do, found by the scheduler itself in simulated time. Nothing is run."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.context import Context
from jobctl.cli.options import NoHeader, Workers
from jobctl.cli.times import read_time
from jobctl.durations import parse_duration
from jobctl.errors import ScheduleError, UsageError
from jobctl.managers.local import DEFAULT_WORKERS
from jobctl.text import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobctl.model import Job
    from jobctl.planning.plan import RunPlan
    from jobctl.planning.plan_diff import PlanDiff

_DAY = timedelta(days=1)
LONGEST = timedelta(days=366)
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)
_ASSUMED = timedelta(seconds=1)


def run(
    context: Context,
    *,
    day: Annotated[
        str | None,
        typer.Option("--day", metavar="DATE", help="The whole of a day, in this machine's time zone."),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Begin at this time.", show_default="now")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME", help="End at this time, or after this duration.", show_default="24h"
        ),
    ] = None,
    workers: Workers = DEFAULT_WORKERS,
    assume: Annotated[
        str,
        typer.Option(
            "--assume",
            metavar="DURATION",
            help="How long runs take: p50 or p95 of the job's runs so far, or a duration for all.",
        ),
    ] = "p50",
    against: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="REF|FILE",
            help="Show what differs from another version of the project file: of a Git revision, or a file.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if slots differ; with --diff.")
    ] = False,
    no_header: NoHeader = False,
) -> int:
    """Show which runs there will be, and what goes wrong.

    The scheduler itself decides, in simulated time: with jitter, overlaps, groups, workers, catch-up and pauses. Runs
    are assumed to succeed.

    Examples:
        jobctl plan
        jobctl plan --day 2027-03-28 --workers 2
        jobctl plan --from 2027-01-01 --to 2027-02-01 --assume 10m
        jobctl plan --day 2027-01-01 --diff jobctl.toml --exit-code
    """
    if against is not None and not against.strip():
        raise UsageError(
            "--diff names neither a file nor a revision", hint="write HEAD, or the path of a file"
        )
    if exit_code and against is None:
        raise UsageError("--exit-code needs --diff")
    make = _maker(context, day=day, begin=begin, end=end, workers=workers, assume=assume)
    plan = make(context.catalogue)
    code = 0
    if against is None:
        _show(context, plan, header=not no_header)
    else:
        from jobctl.catalogue.catalogue import Catalogue
        from jobctl.catalogue.other_version import other_version
        from jobctl.planning.plan_diff import diff

        with other_version(context.project.location, against) as location:
            before = make(Catalogue.load(location, context.environment))
        found = diff(before, plan, context.catalogue.ignored_warnings)
        code = int(exit_code and bool(found.slots))
        _show_diff(context, plan, found, header=not no_header)
    if context.mode != "local":
        context.output.note(
            f"this is what jobctl run does; now the mode is {context.mode.value}: see jobctl mode"
        )
    return code


def _maker(
    context: Context, *, day: str | None, begin: str | None, end: str | None, workers: int, assume: str
) -> "Callable[[Iterable[Job]], RunPlan]":
    """A function that plans jobs by these options."""
    from jobctl.planning.simulation import Start, make_plan

    now = context.now()
    try:
        first, last = _span(day, begin, end, now)
    except OverflowError:
        raise _too_far() from None
    if not _FIRST <= first < last <= _LAST:
        raise _too_far()
    store = context.store_if_any
    start = Start.read(store) if store else Start()
    duration = _durations(context, assume)

    def make(jobs: "Iterable[Job]") -> "RunPlan":
        with context.output.working("planning"):
            return make_plan(
                jobs,
                start if first == now else start.at(first),
                first,
                last,
                workers=workers,
                duration=duration,
            )

    return make


def _show(context: Context, plan: "RunPlan", *, header: bool) -> None:
    from jobctl.cli.views.plan import document, piped, screen
    from jobctl.planning.plan_warnings import warnings

    out, found = context.output, warnings(plan, context.catalogue.ignored_warnings)
    if out.json:
        out.document(document(plan, found))
        return
    out.page(lambda terminal: screen(plan, found, terminal), lambda: piped(plan, header=header))
    if not out.is_terminal:
        for warning in found:
            out.note(f"{warning.code}: {warning.text}")


def _show_diff(context: Context, plan: "RunPlan", found: "PlanDiff", *, header: bool) -> None:
    from jobctl.cli.views.plan_diff import document, piped, screen

    out = context.output
    if out.json:
        out.document(document(plan, found))
        return
    out.page(lambda terminal: screen(plan, found, terminal), lambda: piped(found, header=header))
    if not out.is_terminal:
        for sign, warnings in (("new", found.new_warnings), ("gone", found.gone_warnings)):
            for warning in warnings:
                out.note(f"{sign} {warning.code}: {warning.text}")


def _too_far() -> UsageError:
    return UsageError(
        f"a plan is for the years {_FIRST.year} to {_LAST.year - 1}", hint="see --from and --day"
    )


def _span(day: str | None, begin: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end of the plan, in UTC."""
    here = now.astimezone().tzinfo or UTC
    if day is not None:
        if begin is not None or end is not None:
            raise UsageError("--day is a whole day: write it without --from and --to")
        midnight = read_time(day, "--day").astimezone(UTC).replace(tzinfo=None)
        return midnight.astimezone().astimezone(UTC), (midnight + _DAY).astimezone().astimezone(UTC)
    first = read_time(begin, "--from", here) if begin else now
    last = _end(end, first, here) if end else first + _DAY
    if last - first > LONGEST:
        raise UsageError(
            f"a plan is for {LONGEST.days} days at most, not {(last - first).days}",
            hint="see --from and --to",
        )
    return first, last


def _end(text: str, begin: datetime, here: tzinfo) -> datetime:
    try:
        end = begin + parse_duration(text)
    except (ScheduleError, OverflowError):
        end = read_time(text, "--to", here)
    if end <= begin:
        raise UsageError(
            f"--to {quote(text)} is not after --from", hint="write a later time, or a duration such as 2d"
        )
    return end


def _durations(context: Context, assume: str) -> "Callable[[Job], timedelta]":
    """How long a run of a job takes; one second where nothing is known."""
    if assume not in {"p50", "p95"}:
        try:
            fixed = parse_duration(assume)
        except ScheduleError:
            raise UsageError(
                f"--assume {quote(assume)} is neither p50, p95 nor a duration", hint="write p95, 30s or 10m"
            ) from None
        return lambda _: fixed
    store = context.store_if_any
    totals = {total.id: total for total in store.metrics().jobs} if store else {}

    def typical(job: "Job") -> timedelta:
        total = totals.get(job.id)
        known = (total.p50 if assume == "p50" else total.p95) if total else None
        return _ASSUMED if known is None else known

    return typical
