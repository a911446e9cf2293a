"""Progress of a run: kept with it, and shown while it goes on."""

import pytest

from jobctl.cli.terminal import Terminal
from jobctl.cli.views.runs import bar
from jobctl.model import Progress
from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

CODE = """
from pathlib import Path
import threading
from jobctl import current_run

def copy():
    run = current_run()
    run.progress(42, 100, "copying a.png")
    while not run.cancelled:
        threading.Event().wait(0.02)
    run.progress(43, 100, "stopped")
    return "ended by itself"
"""


@pytest.mark.slow
def test_a_scheduler_shows_the_progress_of_a_run_and_asks_it_to_end(site: Site) -> None:
    site.jobs('[jobs.copy]\nevery = "1d"\ncall = "work:copy"\n', CODE)
    scheduler = site.popen("run")
    until(lambda: site.runs() and site.runs()[0]["progress"])
    (going,) = [job for job in site.json("status")["jobs"] if job["id"] == "copy"]
    listed = site.runs()[0]
    scheduler.terminate()
    scheduler.communicate(timeout=60)

    shown = {"done": 42, "total": 100, "note": "copying a.png"}
    assert (going["progress"], listed["progress"]) == (shown, shown)
    (ended,) = site.runs()
    assert (ended["status"], ended["result"]) == ("completed", "ended by itself")
    assert ended["progress"] == {"done": 43, "total": 100, "note": "stopped"}


def test_status_draws_a_bar(cli: Cli, past: Past) -> None:
    run_id = past.begin("hello")
    past.store.update_run(run_id, progress=Progress(42, 100, "copying [red] a.png"))
    one = cli("status", run_id, "--color", "always")
    every = cli("status", "--json").json["jobs"]
    piped = cli("status").rows

    assert one.code == 0
    (job,) = [job for job in every if job["id"] == "hello"]
    assert job["progress"] == {"done": 42, "total": 100, "note": "copying [red] a.png"}
    assert [row["NOTE"] for row in piped if row["JOB"] == "hello"] == ["42 of 100  copying [red] a.png"]


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(0, 10), "────────────────────  0 of 10"),
        (Progress(5, 10, "half"), "━━━━━━━━━━──────────  5 of 10  half"),
        (Progress(12_345, 10_000), "━━━━━━━━━━━━━━━━━━━━  12,345 of 10,000"),
        (Progress(7), "7"),
        (Progress(0, 0), "0"),
        (Progress(1.5, 3, "m"), "━━━━━━━━━━──────────  1.5 of 3  m"),
    ],
)
def test_a_bar(progress: Progress, text: str) -> None:
    assert bar(progress, Terminal(80)).plain == text
    assert bar(progress, Terminal(80, unicode=False)).plain == text.replace("━", "=").replace("─", "-")
