"""``status``: every job as it stands."""

import os
import re
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.catalogue import builtin
from jobctl.cli.terminal import Terminal
from jobctl.cli.views.status import by_urgency, detail, screen
from jobctl.managers.board import Board, who_schedules
from jobctl.model import JobStatus, Progress, SentNotification, Status
from jobctl.modes import Mode
from jobctl.scheduler.liveness import Presence
from jobctl.scheduler.process_identity import this_process
from jobctl.store.records import Owner
from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
BUILT_IN = [job.id for job in builtin.BUILT_IN]


def test_the_document_has_the_fields_that_scripts_rely_on(cli: Cli, past: Past) -> None:
    run = past.ran("bad", error="ValueError: no [/] way", took=0.4)

    found = cli("status", "--json").json

    assert found["mode"] == "local"
    assert {"running": False, "pid": None, "host": None, "since": None}.items() <= found["scheduler"].items()
    by_id = {one["id"]: one for one in found["jobs"]}
    assert [one["id"] for one in found["jobs"]] == [*BUILT_IN, "hello", "bad", "nightly"]
    bad = by_id["bad"]
    assert {
        "id": "bad",
        "name": "bad",
        "status": "failed",
        "schedule": "every 2h",
        "timezone": "UTC",
        "duration_ms": 400,
        "error": "ValueError: no [/] way",
        "run_id": run.id,
    }.items() <= bad.items()
    assert datetime.fromisoformat(bad["last_run"]).utcoffset() == timedelta(0)
    assert by_id["nightly"]["timezone"] == "Europe/Berlin"
    assert by_id["hello"]["last_run"] is by_id["hello"]["next_run"] is None
    assert by_id["hello"]["status"] == "scheduled"


def test_one_job_has_its_last_runs_too(cli: Cli, past: Past) -> None:
    past.ran("hello", ago=120)
    newest = past.ran("hello", ago=60)

    found = cli("status", "hello", "--json").json

    assert [one["id"] for one in found["jobs"]] == ["hello"]
    assert found["jobs"][0]["run_id"] == found["runs"][0]["run_id"] == newest.id
    assert len(found["runs"]) == 2


def test_in_a_pipe_each_job_is_a_row(cli: Cli, past: Past) -> None:
    past.ran("bad", error="line one\nline two\twith tab", took=0.4)

    rows = cli("status").rows
    bad = next(row for row in rows if row["JOB"] == "bad")

    assert [row["JOB"] for row in rows] == [*BUILT_IN, "hello", "bad", "nightly"]
    assert (bad["STATE"], bad["TOOK_MS"]) == ("failed", "400")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", bad["LAST"])
    assert "line one" in bad["ERROR"]
    assert cli("status", "--no-header").stdout == cli("status").stdout.partition("\n")[2]
    assert cli("status", "--limit", "1").stdout.count("\n") == 2


def test_only_those_that_failed(cli: Cli, past: Past) -> None:
    past.ran("bad", error="no")
    past.ran("hello")

    assert [one["id"] for one in cli("status", "--failed", "--json").json["jobs"]] == ["bad"]


def test_looking_makes_no_state(cli: Cli, here: Path) -> None:
    for words in ("status", "runs", "metrics", "logs hello", "next hello", "mode"):
        assert cli(*words.split()).code == 0, words

    assert not (here / ".jobctl").exists()


def test_exit_status(cli: Cli, past: Past) -> None:
    assert cli("status", "--exit-status").code == 3

    past.store.register_process(this_process("scheduler", past.now))
    assert cli("status", "--exit-status").code == 0
    assert cli("status", "--json").json["scheduler"]["pid"] == os.getpid()

    past.ran("bad", error="no")
    assert cli("status", "--exit-status").code == 1
    quiet = cli("status", "--exit-status", "--quiet")
    assert (quiet.code, quiet.stdout) == (1, "")
    assert cli("status").code == 0


def test_a_run_whose_process_died_is_shown_as_lost_at_once(cli: Cli, past: Past) -> None:
    here = this_process("scheduler", past.now)
    dead = Owner("d" * 16, "scheduler", here.host, 2**22 - 1, "1", here.boot, past.now)
    past.store.register_process(dead)
    past.begin("hello", owner=dead)

    found = cli("status", "--json").json
    hello = next(one for one in found["jobs"] if one["id"] == "hello")

    assert (hello["status"], found["scheduler"]["running"]) == ("failed", False)
    assert found["scheduler"]["pid"] == 2**22 - 1
    assert cli("runs", "--json").json["runs"][0]["reason"] == "lost"


def test_a_job_of_an_application_is_shown_while_it_is_planned(cli: Cli, past: Past) -> None:
    past.ran("from-code")
    assert "from-code" not in cli("status").stdout

    past.store.save_next_runs({"from-code": past.now + timedelta(hours=1)})
    assert cli("status", "--json").json["jobs"][-1]["id"] == "from-code"

    past.store.save_next_runs({"from-code": None})
    assert "from-code" not in cli("status").stdout
    past.begin("from-code")
    assert cli("status", "--json").json["jobs"][-1]["id"] == "from-code"


def test_a_job_of_an_application_without_a_schedule_is_shown_while_it_runs(cli: Cli, past: Past) -> None:
    past.ran("by-request")
    assert "by-request" not in cli("status").stdout
    refused = cli("status", "by-request")
    assert (refused.code, "what ran: jobctl runs by-request" in refused.stderr) == (2, True)

    past.store.update_run(past.begin("by-request"), progress=Progress(3, 10, "orders"))
    assert cli("status").rows[-1]["NOTE"] == "3 of 10  orders"
    assert cli("status", "by-request", "--json").json["jobs"][0]["status"] == "running"


def test_a_job_of_another_program_can_be_inspected_and_stopped_but_not_run(cli: Cli, past: Past) -> None:
    past.ran("from-code")
    past.store.save_next_runs({"from-code": past.now + timedelta(hours=1)})

    assert cli("status", "from-code", "--json").json["jobs"][0]["status"] == "completed"
    assert cli("next", "from-code", "--json").json["schedule"] == "30 2 * * *"
    assert cli("stop", "from-code", "--reason", "host moves").code == 0
    assert cli("status").rows[-1]["NOTE"] == "host moves"
    assert cli("start", "from-code").stderr.startswith("from-code: back on the schedule")

    for words in (["trigger", "from-code"], ["run", "--only", "from-code"]):
        refused = cli(*words)
        assert refused.code == 2
        assert 'job "from-code" is in the run store, but this project does not define it' in refused.stderr
        assert "trigger_job()" in refused.stderr


def test_a_pipe_says_why_a_job_is_stopped(cli: Cli) -> None:
    notes = {row["JOB"]: row["NOTE"] for row in cli("status").rows}

    assert notes["analytics-top-items"] == "DATABASE_URL is not set"
    assert notes["repository-sync"] == "not enabled (built-in, changed in jobctl.toml:2)"
    assert notes["hello"] == ""


def test_other_modes_show_when_the_platform_will_call(cli: Cli) -> None:
    found = cli("status", "--json", VERCEL="1").json

    assert found["mode"] == "vercel"
    nightly = next(one for one in found["jobs"] if one["id"] == "nightly")
    assert datetime.fromisoformat(nightly["next_run"]) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("mode", "presence", "words"),
    [
        (Mode.DISABLED, Presence(False), "scheduling is disabled; jobctl mode shows why"),
        (Mode.VERCEL, Presence(False), "Vercel Cron"),
        (Mode.TRIGGER_DEV, Presence(False), "Trigger.dev"),
        (Mode.LOCAL, Presence(False), "no scheduler is running. Start it: jobctl run"),
        (
            Mode.LOCAL,
            Presence(True, 41, "box", NOW - timedelta(minutes=134)),
            "running for 2h 14m, pid 41 on box",
        ),
        (Mode.LOCAL, Presence(False, 41, "box", NOW, NOW - timedelta(minutes=3)), "ended 3m ago"),
        (
            Mode.LOCAL,
            Presence(False, 41, "box", NOW, NOW - timedelta(minutes=3), killed=True),
            "was killed, seen 3m ago",
        ),
        (
            Mode.LOCAL,
            Presence(False, 41, "box", NOW, stopped=True),
            "pid 41 on box is stopped by a signal or a debugger. Continue it: kill -CONT 41",
        ),
    ],
)
def test_who_schedules(mode: Mode, presence: Presence, words: str) -> None:
    assert words in who_schedules(Board(mode, presence, [], NOW))


def job(number: int, **more: object) -> JobStatus:
    return JobStatus(f"job-{number}", f"Job {number}", **{"status": Status.COMPLETED, **more})  # type: ignore[arg-type]


def test_the_screen_fits_and_names_what_failed() -> None:
    jobs = [
        job(
            1,
            status=Status.FAILED,
            last_run=NOW - timedelta(minutes=5),
            error="[red] " + "x" * 200,
            schedule="every 5m",
        ),
        job(2, status=Status.RUNNING, last_run=NOW - timedelta(seconds=12), schedule="0 9 * * *"),
        job(3, next_run=NOW + timedelta(seconds=252), duration=timedelta(milliseconds=400), last_run=NOW),
        job(4, status=Status.STOPPED, note="host moves"),
    ]
    board = Board(Mode.LOCAL, Presence(True, 41, "box", NOW - timedelta(minutes=134)), jobs, NOW)

    lines: list[str] = []
    for width in (40, 80, 200):
        lines = drawn(board, Terminal(width))
        assert max(map(len, lines)) <= width
        assert [line.split()[:3] for line in lines if line.startswith("job-")] == [
            ["job-1", "✗", "failed"],
            ["job-2", "●", "running"],
            ["job-3", "✓", "completed"],
            ["job-4", "■", "stopped"],
        ]
        assert "".join(lines).count("x") >= 200
    shown = "\n".join(lines)
    assert "5m ago" in shown
    assert "in 4m 12s" in shown
    assert "400 ms" in shown
    assert "\n  host moves\n" in shown
    assert "9,800 more: --limit 0" in shown
    assert "4 jobs: 1 failed, 1 running, 1 completed, 1 stopped" in shown
    assert lines[4].startswith("  [red]")
    assert lines[-1] == "See why: jobctl logs job-1 --failed"
    assert "\x1b" not in shown
    assert "\x1b[31m✗ failed" in "\n".join(drawn(board, Terminal(80, color=True)))
    assert "\n".join(drawn(board, Terminal(60, unicode=False))).replace("…", "").isascii()


def drawn(board: Board, terminal: Terminal) -> list[str]:
    return terminal.lines(*screen(board, by_urgency(board), "9,800 more: --limit 0", terminal))


@pytest.mark.parametrize(
    ("note", "shown"),
    [("host moves", "■ stopped  (host moves, until "), ("stopped", "■ stopped  (until ")],
)
def test_a_stopped_job_says_why_and_until_when(note: str, shown: str) -> None:
    stopped = job(1, status=Status.STOPPED, note=note, stopped_until=NOW + timedelta(days=2))
    board = Board(Mode.LOCAL, Presence(True, 41, "box", NOW), [stopped], NOW)
    terminal = Terminal(80)

    lines = detailed(stopped, board, terminal)

    assert lines[1].startswith(f"state     {shown}")


def detailed(
    shown: JobStatus, board: Board, terminal: Terminal, notification: SentNotification | None = None
) -> list[str]:
    return terminal.lines(
        *detail(
            shown,
            board,
            definition=None,
            runs=[],
            totals=None,
            logs=None,
            notification=notification,
            terminal=terminal,
        )
    )


def test_a_job_says_what_its_last_notification_was() -> None:
    plain = job(1)
    board = Board(Mode.LOCAL, Presence(True, 41, "box", NOW), [plain], NOW)
    sent = SentNotification(NOW - timedelta(minutes=2), plain.id, "failure", "mail", "ops@example.com")
    lost = replace(sent, error="no route to host")

    words = "notified  2m ago, failure by mail to ops@example.com, "
    assert f"{words}delivered" in detailed(plain, board, Terminal(120), sent)
    assert f"{words}not delivered: no route to host" in detailed(plain, board, Terminal(120), lost)


def test_failed_then_late_then_running_then_the_rest_and_those_that_are_off() -> None:
    jobs = [
        job(1, status=Status.STOPPED, note="DATABASE_URL is not set"),
        job(2, next_run=NOW + timedelta(minutes=1)),
        job(3),
        job(4, status=Status.RUNNING),
        job(5, status=Status.FAILED, error="no"),
        job(6, status=Status.STOPPED, note="DATABASE_URL is not set"),
    ]
    due = {"job-3": NOW - timedelta(minutes=3), "job-2": NOW - timedelta(seconds=1)}
    board = Board(Mode.LOCAL, Presence(True, 41, "box", NOW), jobs, NOW, due=due)

    lines = drawn(board, Terminal(80))

    order = [line.split()[0] for line in lines if line.startswith("job-")]
    assert order == ["job-5", "job-3", "job-4", "job-2", "job-1", "job-6"]
    assert any(line.startswith("job-3") and "! late by 3m" in line for line in lines)
    assert "6 jobs: 1 failed, 1 late, 1 running, 2 completed, 2 stopped" in lines
    assert "■ 2 stopped: DATABASE_URL is not set" in lines
    assert "\n".join(lines).count("DATABASE_URL") == 1


@pytest.mark.slow
def test_a_retrying_job_says_which_attempt_begins_when(site: Site) -> None:
    site.jobs('[jobs.bad]\ncall = "work:bad"\nretries = 3\nretry_delay = "1h"\n')
    process = site.popen("trigger", "bad")
    until(lambda: site.json("status", "bad")["jobs"][0]["retry_at"])

    found = site.json("status", "bad")
    terminal = Terminal(80)
    status = JobStatus(
        "bad", "Bad", Status.RUNNING, note="retrying 2/4", retry_at=NOW + timedelta(seconds=12), last_run=NOW
    )
    board = Board(Mode.LOCAL, Presence(True, 41, "box", NOW), [status], NOW)

    assert found["jobs"][0]["note"] == "retrying 2/4"
    assert found["jobs"][0]["status"] == "running"
    assert found["runs"][0]["retry_at"] == found["jobs"][0]["retry_at"]
    assert "bad  ↻ retrying 2/4 in 12s  now" in drawn(board, terminal)[3]
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.wait()
    assert site.json("status", "bad")["jobs"][0]["retry_at"] is None


@pytest.mark.parametrize("mode", [Mode.LOCAL, Mode.DISABLED])
def test_where_nothing_schedules_there_is_no_next(mode: Mode) -> None:
    jobs = [job(1, next_run=NOW + timedelta(minutes=3))]

    lines = drawn(Board(mode, Presence(False), jobs, NOW), Terminal(120))

    assert "NEXT" not in lines[2]
    assert "in 3m" not in "\n".join(lines)


def test_the_last_scheduler_is_the_one_that_ended_last(cli: Cli, past: Past) -> None:
    for name, began, ended in (("a", 300, 10), ("b", 200, 100)):
        at = past.now - timedelta(seconds=began)
        past.store.register_process(Owner(name * 16, "scheduler", f"box-{name}", 7, "1", "boot", at))
        past.store.sign_off(name * 16, past.now - timedelta(seconds=ended))

    found = cli("status", "--json").json["scheduler"]

    assert (found["host"], found["killed"]) == ("box-a", False)


def test_one_job_says_when_its_oldest_logs_were_deleted(
    cli: Cli, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("status", "hello", "--json").json["logs"] == {
        "bytes": 0,
        "limit": 64 << 20,
        "oldest_deleted_at": None,
    }
    monkeypatch.setenv("JOBCTL_LOGS_MAX_MIB", "1")
    for ago in (90, 60, 30):
        past.log(past.ran("hello", ago=ago), ["x" * 600_000])
    assert "deleted" not in cli("status", "hello").stderr

    assert cli("trigger", "hello").code == 0

    found = cli("status", "hello", "--json").json["logs"]
    assert (found["limit"], found["bytes"] < 1 << 20) == (1 << 20, True)
    assert datetime.fromisoformat(found["oldest_deleted_at"]) > NOW
    assert "logs of hello: 1 of 1 MiB; the oldest were deleted " in cli("status", "hello").stderr
    monkeypatch.setenv("JOBCTL_LOGS_MAX_MIB", "none")
    assert "JOBCTL_LOGS_MAX_MIB" in cli("status", "hello").stderr
