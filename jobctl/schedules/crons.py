"""Several cron expressions as one schedule."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from jobctl.clock import INSTANT
from jobctl.errors import ScheduleError
from jobctl.schedules.cron import Cron
from jobctl.schedules.wall_times import count_due
from jobctl.schedules.zones import zone
from jobctl.text import quote

SEPARATOR = "; "
"""Between the expressions in the text of a schedule: no expression has a semicolon."""
MOST = 50


class Crons:
    """Due whenever one of several cron expressions is; times that coincide are one.

    Args:
        expressions: 2 to 50, see ``Cron``; one that is there twice counts once.
        timezone: of all of them, an IANA name.

    Instants as arguments are aware; returned instants are in UTC.

    Raises:
        ScheduleError: one of them cannot be parsed, or there are too few or too many. The message names it.
    """

    __slots__ = ("members", "timezone")

    def __init__(self, expressions: Iterable[str], timezone: str = "UTC") -> None:
        members = tuple(dict.fromkeys(_cron(each, timezone) for each in expressions))
        if not 2 <= len(members) <= MOST:
            raise ScheduleError(f"expected 2 to {MOST} different cron expressions, not {len(members)}")
        self.members: tuple[Cron, ...] = members
        self.timezone = timezone

    @property
    def text(self) -> str:
        """``0 9 * * 1-5; 0 11 * * 6``."""
        return SEPARATOR.join(member.expression for member in self.members)

    def is_fixed(self, slot: datetime) -> bool:
        """Whether every expression that is due then is a fixed time."""
        return not any(
            not member.fixed_time and member.next_after(slot - INSTANT) == slot for member in self.members
        )

    def note(self, instant: datetime) -> str | None:
        """The effect of a clock change on a due time, in words; None on an ordinary day."""
        due = (member for member in self.members if member.next_after(instant - INSTANT) == instant)
        return next(filter(None, (member.note(instant) for member in due)), None)

    def next_after(self, instant: datetime, anchor: datetime | None = None) -> datetime:  # noqa: ARG002
        """The first due time strictly after ``instant``.

        Raises:
            ScheduleError: there is none before the year 10,000.
        """
        return min(member.next_after(instant) for member in self.members)

    def latest_until(
        self,
        instant: datetime,
        after: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
    ) -> datetime | None:
        """The latest due time in ``(after, instant]``; None if there is none."""
        latest = (member.latest_until(instant, after) for member in self.members)
        return max((each for each in latest if each is not None), default=None)

    def count(
        self,
        after: datetime,
        until: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
    ) -> int:
        """The number of due times in ``(after, until]``, by arithmetic."""
        place = None if self.timezone == "UTC" else zone(self.timezone)
        fields = [member.fields for member in self.members]
        return count_due(fields, place, after.astimezone(UTC), until.astimezone(UTC))

    def __eq__(self, other: object) -> bool:
        return other.members == self.members if isinstance(other, Crons) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.members)

    def __reduce__(self) -> tuple[type["Crons"], tuple[list[str], str]]:
        return Crons, ([member.expression for member in self.members], self.timezone)

    def __repr__(self) -> str:
        return f"Crons({[member.expression for member in self.members]!r}, {self.timezone!r})"


def cron_schedule(expressions: str | Sequence[str], timezone: str = "UTC") -> Cron | Crons:
    """One expression, or several in a list; or in a text, with semicolons between them.

    Raises:
        ScheduleError: as ``Cron`` and ``Crons``.
    """
    if isinstance(expressions, str) and ";" not in expressions:
        return Cron(expressions, timezone)
    given = (
        [each.strip() for each in expressions.split(";")]
        if isinstance(expressions, str)
        else list(expressions)
    )
    members = list(dict.fromkeys(_cron(each, timezone) for each in given))
    return members[0] if len(members) == 1 else Crons([each.expression for each in members], timezone)


def _cron(expression: str, timezone: str) -> Cron:
    """An expression of several; an error names it."""
    try:
        return Cron(expression, timezone)
    except ScheduleError as error:
        shown = f"{quote(expression)}: " if isinstance(expression, str) else ""  # type: ignore[redundant-expr]
        raise ScheduleError(f"{shown}{error.problem}", hint=error.hint) from None
