"""``trigger --no-wait``: another jobctl, with a session of its own, runs the job; this one hears that it began."""

import subprocess
import sys
from typing import Any

from jobctl.cli.context import Context
from jobctl.errors import ExitCode, JobctlError
from jobctl.execution.tree import DETACHED_MARK, OWNER_MARK, WORKER_MARK


def detached(context: Context) -> dict[str, Any]:
    """Start it with the words of this call, and answer with its run as recorded.

    Inside a job it leaves the job's processes, and so outlives them: see ``jobctl.execution.tree``.

    Raises:
        JobctlError: as the other one refused.
    """
    import json

    words = [
        word
        for word in sys.argv[1:]
        if word not in {"--no-wait", "--json", "-q", "--quiet", "-v", "--verbose"}
    ]
    kept = {name: value for name, value in context.process.items() if name not in {OWNER_MARK, WORKER_MARK}}
    # what the .env files say goes along: one of them may be a pipe, which was read here
    said = {
        name: value for name, value in context.environment.merged().items() if name not in context.process
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jobctl", *words, "--json", "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**said, **kept, DETACHED_MARK: "1"},
        start_new_session=True,
    )
    if process.stdout is None:
        raise JobctlError("the background process has no output")
    with process.stdout as told:
        line = told.readline()
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        code = process.wait()
        raise JobctlError(f"the background process ended with {code} and started nothing") from None
    refusal = answer["error"]
    if isinstance(refusal, dict):
        process.wait()
        raise _as_told(refusal)
    process.returncode = 0  # it goes on without us: nobody waits for it
    return answer


def _as_told(error: dict[str, Any]) -> JobctlError:
    told = JobctlError(error["message"], hint=error["hint"])
    told.code = error["code"]
    told.exit_code = ExitCode(error["exit_code"])
    return told
