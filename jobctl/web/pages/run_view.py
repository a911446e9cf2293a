"""A run: how it ended, who asked, its arguments, its result, and what it printed."""

import re
from datetime import datetime
from html import unescape
from typing import Any

from markupsafe import Markup

from jobctl.errors import reason_of
from jobctl.managers.rerun import unknown_run
from jobctl.model import Run, RunStatus, WaitingRun
from jobctl.store.kept_log import is_elsewhere
from jobctl.web.pages.log_text import NEWEST, LogPart, newest_lines
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.strip import MOST, strip
from jobctl.web.pages.values import of_result, shown

_MOST_ACTIONS = 20
_TAG = re.compile(r"<time[^>]*>[^<]*</time>|<[^>]+>")


def find(reader: Reader, run_id: str) -> Run | WaitingRun:
    """The run, or the one that is kept for later.

    Raises:
        UnknownRunError: there is neither.
        UsageError: several begin with this id.
    """
    found = reader.run(run_id) or reader.store().waiting_run(run_id)
    if found is None:
        raise unknown_run(run_id)
    return found


def run_page(reader: Reader, run_id: str, *, whole_log: bool) -> dict[str, Any]:
    """What the template shows."""
    store = reader.store()
    now = reader.clock.now()
    run = find(reader, run_id)
    known = reader.jobs.get(run.job_id)
    job = known.job if known else None
    actions = [
        action
        for action in store.actions(run.job_id, limit=200)
        if action.run_id is not None and action.run_id == run.id
    ][:_MOST_ACTIONS]
    common = {
        "now": now,
        "run": run,
        "job": job,
        "actions": actions,
        "arguments": shown(reader.project.environment.mask.value(dict(run.arguments)))
        if run.arguments
        else None,
        "others": strip(store.latest_runs([run.job_id], MOST)[run.job_id], now),
        "strip_width": MOST * 7,
    }
    if isinstance(run, WaitingRun):
        return {**common, "waits": True, "state": "waiting", "log": None, "log_error": None}
    message, rest = of_result(run.result)
    log, log_error = _log(reader, run, whole=whole_log)
    return {
        **common,
        "waits": False,
        "state": state_of_run(run),
        "is_running": run.status is RunStatus.RUNNING,
        "attempts": job.retries + 1 if job else None,
        "message": message,
        "result": rest,
        "traceback": traceback_in(log.lines) if log and run.status is RunStatus.FAILED else "",
        "log": log,
        "log_is_whole": whole_log,
        "log_error": log_error,
        "is_elsewhere": is_elsewhere(run),
        "spent": _spent(run, now),
    }


def state_of_run(run: Run) -> str:
    """Its status, or ``retrying`` before another attempt."""
    is_retrying = run.status is RunStatus.RUNNING and run.retry_at is not None
    return "retrying" if is_retrying else run.status.value


def traceback_in(lines: list[Markup]) -> str:
    """The last traceback of Python in a log; empty where there is none."""
    texts = [unescape(_TAG.sub("", line)).rstrip("\n") for line in lines[-300:]]
    begins = [at for at, text in enumerate(texts) if text.startswith("Traceback (most recent call last)")]
    if not begins:
        return ""
    found = [texts[begins[-1]]]
    for text in texts[begins[-1] + 1 :]:
        found.append(text)
        if text and not text.startswith((" ", "\t")):
            break  # the line with the error
    return "\n".join(found)


def _spent(run: Run, now: datetime) -> Any:
    if run.duration is not None:
        return run.duration
    return now - run.started_at if run.status is RunStatus.RUNNING else None


def _log(reader: Reader, run: Run, *, whole: bool) -> tuple[LogPart | None, str | None]:
    try:
        mask = reader.project.environment.mask
        return newest_lines(reader.log(run), None if whole else NEWEST, mask), None
    except OSError as error:
        return None, f"The log cannot be read: {reason_of(error)}."
