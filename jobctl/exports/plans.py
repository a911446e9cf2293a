"""What Vercel's plans allow, and its two ways to time calls."""

from enum import StrEnum


class Plan(StrEnum):
    """``hobby`` runs a cron once a day at most, somewhere in its hour; ``pro`` once a minute, to the minute."""

    HOBBY = "hobby"
    PRO = "pro"

    @property
    def longest_call(self) -> int:
        """The most that a function's ``maxDuration`` may be, in seconds: https://vercel.com/docs/functions/limitations."""
        return 300 if self is Plan.HOBBY else 800


class Target(StrEnum):
    """``crons`` are in UTC; ``schedules``, in beta, have time zones and can be paused without a deployment."""

    CRONS = "crons"
    SCHEDULES = "schedules"
