"""Creates the sample site of ``jobctl run --demo``, completely or not at all."""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from jobctl.demo.data import fill, make_repository
from jobctl.errors import UsageError, reason_of

FOLDER = "jobctl-demo"
SEED = 2026
_MARK = "# The sample site of `jobctl run --demo`"
_JOBS = f"""{_MARK}: everything runs far more often than on a real one.
[jobs.demo-visitors]
name = "Visitors come by"
call = "jobctl.demo.life:visitors"
every = "3s"

[jobs.demo-editor]
name = "An editor works on the content"
call = "jobctl.demo.life:editor"
every = "20s"

"""
_EVERY = {
    "repository-sync": "15s",
    "subscription-renewal-reminder": "20s",
    "subscription-expired-cleanup": "30s",
    "analytics-user-growth": "20s",
    "analytics-activity-trends": "10s",
    "analytics-top-items": "20s",
    "analytics-recent-activity": "10s",
    "analytics-performance-metrics": "10s",
    "analytics-cache-cleanup": "5m",
    "report-daily-activity-summary": "1m",
    "report-weekly-user-growth": "2m",
    "report-monthly-comprehensive": "3m",
    "report-quarterly-performance": "4m",
}
_ENVIRONMENT = """\
DATABASE_URL=sqlite:///site.db
DATA_REPOSITORY=content.git
COMPANY_NAME=Toolshelf
EMAIL_FROM="Toolshelf <hello@example.com>"
NEXT_PUBLIC_APP_URL=https://toolshelf.example.com
JOBCTL_REPORT_TO=owner@example.com
JOBCTL_DEMO_SEED={seed}
"""


def make(folder: Path, now: datetime, seed: int = SEED) -> bool:
    """Create the sample site, unless it exists; returns whether it was created.

    Args:
        folder: does not exist, or is a sample site.
        now: the end of its invented past.
        seed: another seed makes other people.

    Raises:
        UsageError: the folder has other content, or cannot be created.
    """
    if folder.exists():
        if _is_sample_site(folder):
            return False
        raise UsageError(f"{folder} exists and is not a sample site", hint="start from another folder")
    new: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
        fill(new / "site.db", seed, now)
        make_repository(new / "content.git", now)
        schedules = "".join(f'[jobs.{name}]\nevery = "{every}"\n\n' for name, every in _EVERY.items())
        (new / "jobctl.toml").write_text(_JOBS + schedules, encoding="utf-8")
        (new / ".gitignore").write_text("*\n", encoding="utf-8")
        (new / ".env.local").write_text(_ENVIRONMENT.format(seed=seed), encoding="utf-8")
        new.rename(folder)
    except OSError as error:
        raise UsageError(f"the sample site {folder} cannot be made: {reason_of(error)}") from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
    return True


def _is_sample_site(folder: Path) -> bool:
    try:
        return (folder / "jobctl.toml").read_text(encoding="utf-8").startswith(_MARK)
    except (OSError, UnicodeDecodeError):
        return False
