"""Jobs against themselves, their worker, the scheduler and the machine: each run says so, and the others are on time."""

import os
import signal
from contextlib import suppress
from inspect import cleandoc
from pathlib import Path
from textwrap import indent

from tests.faults.audit import audit
from tests.faults.budget import many
from tests.support.project import Site, until

TICK = '[jobs.tick]\nevery = "1s"\ncall = "tick:tick"\n'
SLEEP = str(1_000_000 + os.getpid())  # by which it is known, whatever its environment and session
HOSTILE = {
    "raises": ("raise ValueError('no [red]luck[/red]')", "error", "ValueError: no [red]luck[/red]"),
    "exits": ("import os; os._exit(0)", "crashed", "exit code 0"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "kills_itself": ("import os; os.kill(os.getpid(), 9)", "crashed", "SIGKILL"),
    "hangs": ("while True: pass", "timeout", "timed out after 2s"),
    "stops_itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "timeout", "timed out"),
    "ignores": (
        """
        import signal, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(99)
        """,
        "timeout",
        "timed out",
    ),
    "recurses": ("def f(): f()\nf()", "error", "RecursionError"),
    "leaves": ("raise SystemExit(3)", "error", "3"),
    "eats": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29,) * 2); bytearray(1 << 30)",
        "error",
        "MemoryError",
    ),
    "closes_all": ("import os; os.closerange(0, 400)", "crashed", "exit code"),
    "babbles": (
        """
        import os
        for number in range(3, 200):
            try:
                os.write(number, b'{}\\nnull\\n[1]\\nx\\n')
            except OSError:
                pass
        """,
        "crashed",
        "sent an invalid message",
    ),
    "leaves_a_stranger": (
        f"import os, subprocess; subprocess.Popen(['sleep', '{SLEEP}'], env={{}}); os._exit(1)",
        "crashed",
        "exit code 1",
    ),
}
FINE = {
    "floods": f"[print('x' * 1000) for _ in range({many(20_000, 100_000)})] and None",
    "garbles": "import sys; sys.stdout.buffer.write(b'\\xff\\xfe \\x1b]0;title\\x07 [red]\\n')",
    "forks": f"import subprocess; subprocess.Popen(['sleep', '{SLEEP}'], env={{}}, start_new_session=True)",
    "closes": "import os; os.close(1); os.close(2)",
    "moves": "import os, signal; os.chdir('/'); os.environ.clear(); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "returns": "return {1j, object}",
    "threads": """
        import threading
        for _ in range(50):
            threading.Thread(target=threading.Event().wait).start()
        """,
    "breeds": f"""
        import os
        for _ in range(100):
            if os.fork() == 0:
                os.execlp('sleep', 'sleep', '{SLEEP}')
        """,
    "hops": """
        import os, time
        if os.fork():
            return time.sleep(0.2)
        end = time.monotonic() + 20
        while time.monotonic() < end:  # never long at the same pid, nor in the same session
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
        """,
    "limits": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))",
}


def asleep() -> list[int]:
    found = []
    for folder in filter(lambda one: one.name.isdigit(), Path("/proc").iterdir()):
        with suppress(OSError):
            if SLEEP.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_hostile_jobs_beside_one_that_must_be_on_time(site: Site) -> None:
    bodies = {name: body for name, (body, _, _) in HOSTILE.items()} | FINE
    code = "".join(f"def {name}():\n{indent(cleandoc(body), ' ' * 4)}\n" for name, body in bodies.items())
    toml = "".join(
        f'[jobs.{name.replace("_", "-")}]\nevery = "1h"\ntimeout = "{"2s" if name in HOSTILE else "60s"}"\n'
        f'grace = "1s"\ncall = "work:{name}"\n'
        for name in bodies
    )
    site.write("tick.py", "def tick():\n    pass\n")
    site.jobs(toml + TICK, code)
    scheduler = site.run("--workers", "6")

    def ended() -> dict[str, dict[str, object]]:
        runs = {run["job_id"].replace("-", "_"): run for run in site.runs() if run["job_id"] != "tick"}
        return runs if len(runs) == len(bodies) and all(run["finished_at"] for run in runs.values()) else {}

    runs = until(ended, 90)
    ticks = site.runs("tick")
    scheduler.terminate()
    assert scheduler.wait() == 0

    for name, (_, reason, words) in HOSTILE.items():
        assert (runs[name]["status"], runs[name]["reason"]) == ("failed", reason), runs[name]
        assert words in str(runs[name]["error"]), runs[name]
    for name in FINE:
        assert (runs[name]["status"], runs[name]["error"]) == ("completed", None), runs[name]
    # at first all of them are due at once, more than there are workers
    assert {run["status"] for run in ticks[:-3]} <= {"completed", "running"}
    audit(site, reasons={"error", "timeout", "crashed"})
    assert asleep() == []

    garbled = site.call("logs", "garbles").stdout
    assert "\x1b" not in garbled
    assert "[red]" in garbled
    flood = next((site.folder / ".jobctl" / "logs" / "floods").iterdir())
    assert flood.stat().st_size < 2_000_000


def test_a_job_that_kills_its_scheduler(site: Site) -> None:
    site.jobs(
        '[jobs.kills]\ncall = "work:kills"\n',
        "import os, signal, time\ndef kills():\n    os.kill(os.getppid(), signal.SIGKILL)\n    time.sleep(300)\n",
    )

    assert site.call("trigger", "kills").returncode == -signal.SIGKILL

    (lost,) = audit(site, reasons={"lost"})
    assert lost["reason"] == "lost"
    assert site.call("trigger", "kills").returncode == -signal.SIGKILL, "the job is free again"
    audit(site, reasons={"lost"})


def test_a_job_that_asks_its_scheduler_to_stop(site: Site) -> None:
    site.jobs(
        '[jobs.asks]\nevery = "1h"\ncall = "work:asks"\n',
        "import os, signal, time\ndef asks():\n    os.kill(os.getppid(), signal.SIGTERM)\n    time.sleep(300)\n",
    )

    scheduler = site.popen("run", "--grace", "1s")

    assert scheduler.wait(60) == 143
    (run,) = audit(site, reasons={"interrupted"})
    assert run["reason"] == "interrupted"


def test_a_job_that_takes_the_store_away(site: Site) -> None:
    site.jobs(
        f'[jobs.removes]\ncall = "work:removes"\n{TICK}',
        "import shutil\ndef removes():\n    shutil.rmtree('.jobctl')\n",
    )
    site.write("tick.py", "def tick():\n    print('tick')\n")
    scheduler = site.run()
    until(lambda: site.log(scheduler).count("[tick] tick") >= 2)

    by_hand = site.call("trigger", "removes")
    assert by_hand.returncode == 0
    assert "any more: its end is not recorded" in by_hand.stderr
    until(lambda: "was deleted or replaced" in site.log(scheduler))
    before = site.log(scheduler).count("[tick] tick")
    until(lambda: site.log(scheduler).count("[tick] tick") >= before + 2)
    scheduler.terminate()
    assert scheduler.wait(60) == 0
    assert "Traceback" not in site.log(scheduler) + by_hand.stderr
    assert audit(site, gaps=True), "runs are recorded in a new store"
