"""``runs`` and ``logs``: what happened."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from jobctl.cli.terminal import Terminal
from jobctl.cli.views.runs import detail, ending, screen
from jobctl.json_documents import run_document
from jobctl.model import Reason, RunStatus, Trigger
from jobctl.store.records import Owner
from tests.support.terminal import Cli, Past


def test_runs_as_a_document(cli: Cli, past: Past) -> None:
    past.ran("hello", ago=300, result={"success": True, "processed": 4})
    past.ran("bad", ago=200, error="too long", reason=Reason.TIMEOUT, took=3)
    running = past.begin("nightly", ago=10, trigger=Trigger.SCHEDULE)

    runs = cli("runs", "--json").json["runs"]

    assert [one["job_id"] for one in runs] == ["nightly", "bad", "hello"]
    assert {
        "run_id": running,
        "status": "running",
        "reason": None,
        "finished_at": None,
        "duration_ms": None,
        "error": None,
        "result": None,
        "trigger": "schedule",
        "scheduled_for": None,
        "host": past.owner.host,
        "attempt": 1,
    }.items() <= runs[0].items()
    assert {
        "status": "failed",
        "reason": "timeout",
        "duration_ms": 3000,
        "error": "too long",
    }.items() <= runs[1].items()
    assert runs[2]["result"] == {"success": True, "processed": 4}
    assert {"started_at", "pid"} <= set(runs[0])


def test_runs_can_be_chosen(cli: Cli, past: Past) -> None:
    past.ran("hello", ago=7200)
    past.ran("bad", ago=600, error="no")
    past.ran("hello", ago=60)

    def ids(*words: str) -> list[str]:
        return [one["job_id"] for one in cli("runs", *words, "--json").json["runs"]]

    assert ids("hello") == ["hello", "hello"]
    assert ids("--failed") == ids("--status", "failed") == ["bad"]
    assert ids("--since", "30m") == ["hello", "bad"]
    assert ids("--since", "2020-01-01", "--limit", "1") == ["hello"]
    assert ids("--limit", "0") == ["hello", "bad", "hello"]
    assert ids("nightly") == []


def test_runs_as_rows_and_on_a_screen(cli: Cli, past: Past) -> None:
    run = past.ran("bad", error="a\nb")

    (row,) = cli("runs").rows
    terminal = Terminal(80)
    lines = terminal.lines(*screen([run], past.now, terminal, more=True))

    assert row["RUN"] == run.id
    assert (row["JOB"], row["STATE"], row["REASON"], row["TOOK_MS"], row["TRIGGER"]) == (
        "bad", "failed", "error", "1200", "manual",
    )  # fmt: skip
    assert run.id[:8] in lines[1]
    assert run.id not in lines[1]
    assert lines[-1].endswith("--limit 0")
    assert lines[2] == "  a"
    assert lines[3] == "  b"
    assert list(screen([], past.now, terminal, more=False)) == ["no run to show"]


def test_the_screen_says_who_asked_for_a_run(past: Past) -> None:
    run = past.ran("good")
    terminal = Terminal(80)
    by_schedule, by_ada = (
        list(
            terminal.lines(
                *screen([replace(run, trigger=trigger, actor=actor)], past.now, terminal, more=False)
            )
        )[1]
        for trigger, actor in ((Trigger.SCHEDULE, None), (Trigger.MANUAL, "ada@host"))
    )
    assert by_schedule.rstrip().endswith("schedule")
    assert by_ada.rstrip().endswith("ada@host")


def test_a_reason_that_only_repeats_the_state_is_left_out(past: Past) -> None:
    run = replace(past.ran(), status=RunStatus.CANCELLED, reason=Reason.CANCELLED)

    shown = Terminal(80).lines(*screen([run], past.now, Terminal(80), more=False))[1]

    assert "cancelled" in shown
    assert "(cancelled)" not in shown


def test_one_run_is_shown_whole(cli: Cli, past: Past) -> None:
    error = "line one\nline two " + "word " * 60
    run = past.ran("bad", error=error, reason=Reason.TIMEOUT, result={"details": {"sent": 3}})
    other = past.ran("hello", result={"message": "fine"})
    terminal = Terminal(80)

    for words in (("runs", run.id), ("runs", run.id[:6]), ("status", run.id)):
        assert cli(*words, "--json").json == run_document(run)
        (row,) = cli(*words).rows
        assert row["RUN"] == run.id
    text = "\n".join(terminal.lines(*detail(run, past.now, terminal)))
    assert text.startswith(f"bad, run {run.id}\nstate     ✗ failed (timeout)\ntrigger   manual\nstarted ")
    assert f"\ntimes in  {run.started_at.astimezone():%Z}\n" in text
    assert "\nerror     line one\n          line two word word" in text
    assert text.count("word") == 60
    assert '"sent": 3' in text
    assert text.endswith(f"\nwhat it printed: jobctl logs {run.id[:8]}")
    assert "result    fine" in terminal.lines(*detail(other, past.now, terminal))
    assert cli("runs", "abcdef").stderr.startswith('error: there is no run "abcdef"')
    assert cli("status", "abcdef").code == cli("runs", "helo").code == 2


def test_how_a_run_ended_in_a_sentence(past: Past) -> None:
    good = past.ran("hello", result={"processed": 4, "failed": 0, "message": "fine"})
    bad = past.ran("bad", error="ValueError: no [/] way")
    slow = past.ran("nightly", error="ended after 10m", reason=Reason.TIMEOUT)

    assert ending(good) == "hello: completed in 1.2 s (fine: processed 4)"
    assert ending(bad) == "bad: failed after 1.2 s: ValueError: no [/] way"
    assert ending(slow) == "nightly: failed after 1.2 s (timeout): ended after 10m"


def test_logs_of_the_newest_run_of_a_failed_one_and_of_one_by_its_id(cli: Cli, past: Past) -> None:
    failed = past.ran("hello", ago=100, error="no")
    newest = past.ran("hello", ago=50)
    past.log(failed, ["broken [red] \\x1b[31m", "second"])
    past.log(newest, ["fine"])

    assert cli("logs", "hello").stdout == "fine\n"
    assert cli("logs", "hello", "--failed").stdout == "broken [red] \\x1b[31m\nsecond\n"
    assert cli("logs", failed.id[:6], "--tail", "1").stdout == "second\n"
    assert cli("logs", "hello", "--timestamps").stdout == "2026-11-23T09:10:00.123Z fine\n"
    assert cli("logs", "hello").stderr == "hello: completed in 1.2 s\n"
    assert cli("logs", "hello", "--follow").stdout == "fine\n"
    found = cli("logs", newest.id, "--json").json
    assert found["run"]["run_id"] == newest.id
    assert found["lines"] == [{"at": "2026-11-23T09:10:00.123Z", "line": "fine"}]


def test_logs_of_all_jobs_together(cli: Cli, past: Past) -> None:
    assert cli("logs").stderr == "no run has printed anything\n"
    failed, good = past.ran("hello", ago=100, error="no"), past.ran("bad", ago=50)
    past.log(failed, ["one [red]"])
    past.log(good, ["two"])
    begun = past.ran("nightly", ago=500)
    (past.store_folder / "logs" / "nightly").mkdir()
    (past.store_folder / "logs" / "nightly" / f"{begun.id}.log").write_text(
        "2026-11-22T09:10:00.123Z [nightly] first\n2026-11-24T09:10:00.123Z [nightly] last\n"
    )

    lines = cli("logs").stdout.splitlines()

    assert (lines[0], sorted(lines[1:3]), lines[3]) == (
        "[nightly] first", ["[bad] two", "[hello] one [red]"], "[nightly] last",
    )  # fmt: skip
    assert cli("logs", "--tail", "1", "--timestamps").stdout == "2026-11-24T09:10:00.123Z [nightly] last\n"
    assert cli("logs", "--failed").stdout == "[hello] one [red]\n"
    assert cli("logs", "--failed", "--json").json["lines"] == [
        {"at": "2026-11-23T09:10:00.123Z", "job": "hello", "run": failed.id, "line": "one [red]"}
    ]


def test_logs_where_there_are_none(cli: Cli, past: Past) -> None:
    run = past.ran("hello")

    assert cli("logs", "hello").stderr.startswith(f"run {run.id[:8]} printed nothing\n")
    never = cli("logs", "bad")
    assert (never.code, never.stdout, never.stderr) == (0, "", "bad has no run\n")
    assert cli("logs", "hello", "--failed").stderr == "hello has no failed run\n"
    assert cli("logs", "bad", "--json").json == {"run": None, "lines": []}


def test_logs_of_a_run_on_another_machine_say_where_they_are(cli: Cli, past: Past) -> None:
    there = Owner("there", "trigger", "machine-7", 1, "1", "another boot", past.now)
    past.store.register_process(there)
    run = past.begin("hello", owner=there)

    done = cli("logs", "hello")

    assert (done.code, done.stdout) == (0, "")
    assert f"run {run[:8]} was on machine-7: its log is there" in done.stderr


def test_the_last_runs_at_a_glance(past: Past) -> None:
    for number in range(22):
        past.ran("hello", ago=1000 - number, took=1 + number % 3, error="no" if number == 20 else None)
    past.begin("hello", ago=10)
    runs = list(past.store.runs("hello", limit=None))

    def shown(terminal: Terminal, count: int = 23, lately: int = 23) -> list[str]:
        return terminal.lines(
            *screen(runs[:count], past.now, terminal, more=False, of_one_job=True, lately=runs[:lately])
        )

    outcomes, durations, empty, titles = shown(Terminal(100))[:4]
    plain = shown(Terminal(100, unicode=False))

    words = "the last 20, newest first: 1 running, 18 completed, 1 failed"
    assert outcomes == "●✓✗" + "✓" * 17 + f"  {words}"
    assert durations == " " + "▃█▆" * 6 + "▃  took 1.0 s to 3.0 s"
    assert empty == ""
    assert plain[:2] == [
        "*+x" + "+" * 17 + f"  {words}",
        " " + ":#+" * 6 + ":  took 1.0 s to 3.0 s",
    ]
    assert titles.startswith("RUN ")
    assert "JOB" not in titles
    assert not any("hello" in line for line in plain)
    assert shown(Terminal(), lately=0)[0].startswith("RUN ")
    assert shown(Terminal(), count=1, lately=1)[0].startswith("RUN ")


def test_logs_follow_no_link_and_no_id_that_is_none(cli: Cli, past: Past, tmp_path: Path) -> None:
    run, other = past.ran("hello"), past.ran("bad")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"{run.id}.log").write_text("a file that is no log\n")
    past.log(other, ["fine"])
    (past.store_folder / "logs" / "hello").symlink_to(tmp_path / "elsewhere")

    for words in (("hello",), (run.id,), ("hello", "--follow"), ("hello", "--json")):
        done = cli("logs", *words)
        assert (done.code, done.stdout) == (70, "") or words[-1] == "--json"
        assert "no log" not in done.stdout + done.stderr
        assert f"the log of run {run.short_id} cannot be read: it is a link" in done.stderr + done.stdout
    assert cli("logs", "bad").stdout == "fine\n"

    with closing(sqlite3.connect(past.store_folder / "jobctl.db")) as store, store:
        store.execute("UPDATE runs SET job_id = '../../elsewhere' WHERE id = ?", (other.id,))
    done = cli("logs", other.id)
    assert done.code == 70
    assert "is not a valid id" in done.stderr
