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
    from collections.abc import Callable

    from jobctl.model import Job

_DAY = timedelta(days=1)
LONGEST = timedelta(days=366)
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
    no_header: NoHeader = False,
) -> int:
    """Show which runs there will be, and what goes wrong.

    The scheduler itself decides, in simulated time: with jitter, overlaps, groups, workers, catch-up and pauses. Runs
    are assumed to succeed.

    Examples:
        jobctl plan
        jobctl plan --day 2027-03-28 --workers 2
        jobctl plan --from 2027-01-01 --to 2027-02-01 --assume 10m
    """
    from jobctl.cli.views.plan import document, piped, screen
    from jobctl.planning.plan_warnings import warnings
    from jobctl.planning.simulation import Start, make_plan

    now = context.now()
    first, last = _span(day, begin, end, now)
    store = context.store_if_any
    start = Start.read(store) if store else Start()
    duration = _durations(context, assume)
    with context.output.working("planning"):
        plan = make_plan(
            context.catalogue.jobs,
            start if first == now else start.at(first),
            first,
            last,
            workers=workers,
            duration=duration,
        )
    found = warnings(plan)
    out = context.output
    if out.json:
        out.document(document(plan, found))
        return 0
    out.page(lambda terminal: screen(plan, found, terminal), lambda: piped(plan, header=not no_header))
    if not out.is_terminal:
        for warning in found:
            out.note(f"{warning.code}: {warning.text}")
    if context.mode != "local":
        out.note(f"this is what jobctl run does; now the mode is {context.mode.value}: see jobctl mode")
    return 0


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
            f"--to {quote(text)} is before --from", hint="write a later time, or a duration such as 2d"
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
