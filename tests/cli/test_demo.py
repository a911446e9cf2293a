"""``run --demo``: a whole site from nothing, in a folder of its own."""

import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobctl.demo.create import make
from jobctl.errors import UsageError
from tests.support.project import Site, until

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(folder / "site.db")) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY id').fetchall() for name in names}


@pytest.mark.slow
def test_the_same_seed_makes_the_same_site(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert make(tmp_path / name, NOW, seed)

    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert rows(tmp_path / "a") != rows(tmp_path / "c")
    assert len(rows(tmp_path / "a")["users"]) == 3000
    assert not make(tmp_path / "a", NOW, 1)


def test_it_touches_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "jobctl-demo").mkdir()
    (tmp_path / "jobctl-demo" / "thesis.txt").write_text("mine")

    with pytest.raises(UsageError, match="exists and is not a sample site"):
        make(tmp_path / "jobctl-demo", NOW)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["thesis.txt"]


@pytest.mark.slow
def test_its_hints_can_be_pasted(site: Site) -> None:
    scheduler = site.popen(
        "run", "--demo", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"}
    )
    assert scheduler.stderr is not None
    shown: list[str] = []
    for line in scheduler.stderr:
        shown.append(line)
        if "outbox" in line:
            break
    scheduler.send_signal(signal.SIGTERM)
    hints = [line.strip() for line in shown if line.startswith("  ")]
    assert len(hints) == 4
    scheduler.communicate(timeout=60)
    tried = subprocess.run(
        ["sh", "-e", "-c", "\n".join(hints[:2])],
        cwd="/",
        env={**site.environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried
    assert "repository-sync" in tried.stdout


@pytest.mark.slow
def test_in_the_first_minute_everything_has_run(site: Site) -> None:
    site.environment |= {"DATABASE_URL": "postgresql://another.example/site", "DISABLE_AUTO_SYNC": "true"}
    demo = Site(site.folder / "jobctl-demo")
    demo.environment = {
        name: value
        for name, value in site.environment.items()
        if name not in {"DATABASE_URL", "DISABLE_AUTO_SYNC"}
    }
    scheduler = site.popen("run", "--demo")
    until((demo.folder / ".jobctl" / "jobctl.db").exists)

    def all_completed() -> bool:
        statuses = {one["id"]: one["status"] for one in demo.json("status")["jobs"]}
        return len(statuses) == 15 and set(statuses.values()) <= {"completed", "running"}

    until(all_completed, 60)
    until(lambda: len(demo.runs("repository-sync")) >= 2, 60)
    found = demo.json("analytics")
    scheduler.terminate()
    out, _ = scheduler.communicate(timeout=60)

    assert scheduler.returncode == 0
    assert out.startswith("made a sample site in jobctl-demo")
    assert len(found) == 12
    assert len(list((demo.folder / ".jobctl" / "outbox").glob("*.eml"))) >= 21
    assert len(list((demo.folder / ".jobctl" / "reports").glob("*.html"))) == 4
    # a busy machine may take longer for a run than the 3 s of a job's interval: its next slot is then skipped
    outcomes = {(run["status"], run["reason"]) for run in demo.runs("--limit", "0")}
    assert outcomes - {("skipped", "overlap")} == {("completed", None)}
    assert not (site.folder / ".jobctl").exists()
