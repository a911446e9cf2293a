"""The program as a command line, in this process, and a history of runs."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.model import Reason, Run, RunStatus, Trigger
from jobctl.scheduler.process_identity import this_process
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Ending, Owner, Registration, new_run_id

JOBS = """
[jobs.repository-sync]
enabled = false

[jobs.hello]
every = "5m"
call = "work:hello"

[jobs.bad]
every = "2h"
call = "work:bad"

[jobs.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
call = "work:hello"

[jobs.analytics-cache-cleanup]
enabled = false
"""

CODE = """
def hello():
    print("hello [red] \\x1b[31m")
    return {"greeted": 1}

def bad():
    raise ValueError("no [/] way")
"""


class Answer:
    """What a command answered. Each stream on its own: their order means nothing here."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def rows(self) -> list[dict[str, str]]:
        header, *lines = (line.split("\t") for line in self.stdout.splitlines())
        return [dict(zip(header, line, strict=True)) for line in lines]


Cli = Callable[..., Answer]


class Past:
    """Puts runs into the project's store as if they had happened."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(folder / ".jobctl")
        self.now = datetime.now(UTC)
        self.owner = this_process("trigger", self.now)
        self.store.register_process(self.owner)

    def begin(
        self,
        job_id: str = "hello",
        *,
        ago: float = 60,
        trigger: Trigger = Trigger.MANUAL,
        owner: Owner | None = None,
        **more: Any,
    ) -> str:
        at = self.now - timedelta(seconds=ago)
        schedules = {
            "hello": ("every 5m", "UTC"),
            "bad": ("every 2h", "UTC"),
            "by-request": ("", "UTC"),
        }
        text, zone = schedules.get(job_id, ("30 2 * * *", "Europe/Berlin"))
        self.store.register([Registration(job_id, job_id, text, zone)], at)
        run_id = new_run_id()
        self.store.claim(owner or self.owner, [Claim(run_id, job_id, trigger, at, force=True, **more)])
        return run_id

    def end(
        self,
        run_id: str,
        *,
        error: str | None = None,
        reason: Reason | None = None,
        took: float = 1.2,
        result: Any = None,
    ) -> Run:
        run = self.store.run(run_id)
        assert run is not None
        status = RunStatus.FAILED if error else RunStatus.COMPLETED
        why = reason or (Reason.ERROR if error else None)
        spent = timedelta(seconds=took)
        self.store.finish(
            [
                Ending(
                    run_id,
                    run.job_id,
                    status,
                    run.started_at,
                    run.started_at + spent,
                    spent,
                    why,
                    error,
                    result,
                )
            ]
        )
        ended = self.store.run(run_id)
        assert ended is not None
        return ended

    def ran(self, job_id: str = "hello", *, ago: float = 60, **ending: Any) -> Run:
        return self.end(self.begin(job_id, ago=ago), **ending)

    def log(self, run: Run, lines: Sequence[str]) -> None:
        file = self.store_folder / "logs" / run.job_id / f"{run.id}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"2026-11-23T09:10:00.123Z [{run.job_id}] {line}\n" for line in lines))

    @property
    def store_folder(self) -> Path:
        return Path(self.store.place).parent
