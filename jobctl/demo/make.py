"""Making the sample site: whole, or not at all."""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from jobctl.demo.data import begin, fill
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


def make(folder: Path, now: datetime, seed: int = SEED) -> bool:
    """Make the sample site unless it is there; whether it was made.

    Args:
        folder: is either not there, or holds a sample site.
        now: its past leads up to here.
        seed: another one makes other people.

    Raises:
        UsageError: the folder holds something else, or cannot be made.
    """
    if folder.exists():
        if _is_ours(folder / "jobctl.toml"):
            return False
        raise UsageError(f"{folder} is there and holds no sample site", hint="start from another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
    except OSError as error:
        raise _cannot_make(folder, error) from error
    try:
        fill(new / "site.db", seed, now)
        begin(new / "content.git", now)
        (new / "jobctl.toml").write_text(_JOBS + "".join(map(_job, _EVERY.items())), encoding="utf-8")
        (new / ".gitignore").write_text("*\n", encoding="utf-8")
        (new / ".env.local").write_text(_environment(seed), encoding="utf-8")
        new.rename(folder)
    except OSError as error:
        raise _cannot_make(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return True


def _cannot_make(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"the sample site {folder} cannot be made: {reason_of(error)}")


def _job(one: tuple[str, str]) -> str:
    return f'[jobs.{one[0]}]\nevery = "{one[1]}"\n\n'


def _environment(seed: int) -> str:
    values = {
        "DATABASE_URL": "sqlite:///site.db",
        "DATA_REPOSITORY": "content.git",
        "COMPANY_NAME": "Toolshelf",
        "EMAIL_FROM": '"Toolshelf <hello@example.com>"',
        "NEXT_PUBLIC_APP_URL": "https://toolshelf.example.com",
        "JOBCTL_REPORT_TO": "owner@example.com",
        "JOBCTL_DEMO_SEED": str(seed),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _is_ours(file: Path) -> bool:
    try:
        return file.read_text(encoding="utf-8").startswith(_MARK)
    except (OSError, UnicodeDecodeError):
        return False
