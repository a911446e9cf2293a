"""The plans of Vercel, as far as they limit crons."""

from enum import StrEnum


class Plan(StrEnum):
    """``hobby`` runs a cron once a day at most, somewhere in its hour; ``pro`` once a minute, to the minute."""

    HOBBY = "hobby"
    PRO = "pro"
