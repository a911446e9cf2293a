"""When jobs are due: intervals that keep their cadence, and real cron."""

from jobctl.schedules.cron import Cron
from jobctl.schedules.every import Every
from jobctl.schedules.parse import parse_schedule

__all__ = ["Cron", "Every", "parse_schedule"]
