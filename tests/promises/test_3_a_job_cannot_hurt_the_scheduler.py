"""Promise 3: whatever a job does, its run says so, nothing of it is left, and the others are on time."""

import pytest

from tests.support.project import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

HOSTILE = {
    "raises": ("raise ValueError('no [red]luck[/red]')", "error", "ValueError: no [red]luck[/red]"),
    "exits": ("import os; os._exit(0)", "crashed", "exit code 0"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "hangs": ("while True: pass", "timeout", "timed out after 2s"),
    "ignores": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)",
        "timeout",
        "timed out",
    ),
    "recurses": ("def f(): f()\n    f()", "error", "RecursionError"),
    "leaves": ("raise SystemExit(3)", "error", "3"),
}
FINE = {
    "floods": "[print('x' * 1000) for _ in range(20_000)] and None",
    "garbles": "import sys; sys.stdout.buffer.write(b'\\xff\\xfe \\x1b]0;title\\x07 [red]\\n')",
    "forks": "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)",
    "closes": "import os; os.close(1); os.close(2)",
    "moves": "import os, signal; os.chdir('/'); os.environ.clear(); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
}


def test_hostile_jobs_beside_one_that_must_be_on_time(site: Site) -> None:
    bodies = {name: body for name, (body, _, _) in HOSTILE.items()} | FINE
    code = "".join(f"def {name}():\n    {body}\n" for name, body in bodies.items())
    toml = "".join(f'[jobs.{name}]\nevery = "1h"\ntimeout = "2s"\ncall = "work:{name}"\n' for name in bodies)
    tick = '[jobs.tick]\nevery = "1s"\ncall = "tick:tick"\n'
    site.write("tick.py", "def tick():\n    pass\n")
    site.jobs(toml + tick, code)
    scheduler = site.run("--workers", "6")

    def ended() -> dict[str, dict[str, object]]:
        runs = {run["job_id"]: run for run in site.runs() if run["job_id"] != "tick"}
        return runs if len(runs) == len(bodies) and all(run["finished_at"] for run in runs.values()) else {}

    runs = until(ended, 60)
    ticks = site.runs("tick")
    scheduler.terminate()
    assert scheduler.wait() == 0

    for name, (_, reason, words) in HOSTILE.items():
        assert (runs[name]["status"], runs[name]["reason"]) == ("failed", reason), name
        assert words in str(runs[name]["error"]), name
    for name in FINE:
        assert (runs[name]["status"], runs[name]["error"]) == ("completed", None), name
    slots = sorted(run["scheduled_for"] for run in ticks)
    assert len(slots) == len(set(slots))
    assert {run["status"] for run in ticks} <= {"completed", "running"}
    site.nothing_left()

    garbled = site.call("logs", "garbles").stdout
    assert "\x1b" not in garbled
    assert "[red]" in garbled
    flood = next((site.folder / ".jobctl" / "logs" / "floods").iterdir())
    assert flood.stat().st_size < 2_000_000
