"""``run`` without a terminal: lines, JSON Lines, modes, stops; with events that are handed to its reporter."""

import io
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta

import pytest

from jobctl.cli.context import Context
from jobctl.cli.output import Common, Output
from jobctl.cli.run_display import Reporter
from jobctl.cli.views.events import document, log_line, terminal_line
from jobctl.events import (
    ClockJumped,
    Event,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    SchedulerStarted,
    SchedulerStopped,
    SchedulerStopping,
    SlotsMissed,
    StoreRecovered,
    StoreUnavailable,
)
from jobctl.model import Reason, Run, RunStatus, Trigger
from tests.support.project import Site, until
from tests.support.terminal import Cli

AT = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
JOBS = '[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n[jobs.bad]\nevery = "1d"\ncall = "work:bad"\n'


def run_of(status: RunStatus, reason: Reason | None = None, error: str | None = None) -> Run:
    ended = None if status is RunStatus.RUNNING else AT + timedelta(milliseconds=1204)
    spent = None if ended is None else timedelta(milliseconds=1204)
    return Run("3f2a91" + "0" * 10, "sync", status, Trigger.SCHEDULE, AT, reason, AT, ended, spent, error)


STARTED = RunStarted(run_of(RunStatus.RUNNING))
COMPLETED = RunFinished(run_of(RunStatus.COMPLETED))
FAILED = RunFinished(run_of(RunStatus.FAILED, Reason.ERROR, "no [/] way"))
EVENTS: list[tuple[Event, str, str]] = [
    (STARTED, "run_started", "[sync] started run=3f2a9100 slot=2026-11-23T09:10:00+00:00"),
    (COMPLETED, "run_finished", "[sync] completed run=3f2a9100 took=1204ms"),
    (FAILED, "run_finished", "error [sync] failed run=3f2a9100 took=1204ms reason=error no [/] way"),
    (RunFinished(run_of(RunStatus.SKIPPED, Reason.OVERLAP)), "run_finished", "warning [sync] skipped run=3f2a9100 took=1204ms reason=overlap"),
    (RunOutput("sync", "3f2a91", AT, "[red] text"), "run_output", "[sync] [red] text"),
    (RunRetrying(run_of(RunStatus.RUNNING), "no", timedelta(seconds=10)), "run_retrying", "warning [sync] attempt 1 failed: no; again in 10s"),
    (SlotsMissed("sync", 3, AT, AT, True, AT), "slots_missed", "warning [sync] missed 3 slots; it runs now"),
    (SlotsMissed("sync", 1, AT, AT, False, AT), "slots_missed", "warning [sync] missed 1 slot; it waits for its next slot"),
    (ClockJumped(AT, timedelta(minutes=16)), "clock_jumped", "warning scheduler the clock jumped 16m forward, or the machine slept"),
    (ClockJumped(AT, timedelta(seconds=-3), waits=True), "clock_jumped", "warning scheduler the clock was set back by 3s; jobs wait for their next slots"),
    (ClockJumped(AT, timedelta(hours=-1)), "clock_jumped", "warning scheduler the clock was set back by 1h; jobs go on from now"),
    (StoreUnavailable(AT, "disk full"), "store_trouble", "error scheduler the run store cannot be written, so nothing starts: disk full"),
    (StoreRecovered(AT), "store_recovered", "scheduler the run store can be written again"),
    (SchedulerStarted(AT, 13, 2), "scheduler_started", "scheduler started: 13 jobs, 2 workers"),
    (SchedulerStarted(AT, 1, 1), "scheduler_started", "scheduler started: 1 job, 1 worker"),
    (SchedulerStopping(AT, ("sync",), timedelta(seconds=30)), "scheduler_stopping", "scheduler stopping: 1 run has 30s to end (sync). Ctrl-C again ends it now"),
    (SchedulerStopping(AT, (), timedelta(seconds=30)), "scheduler_stopping", "scheduler stopping: nothing is running"),
    (SchedulerStopped(AT, 1), "scheduler_stopped", "scheduler stopped, 1 interrupted"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "name", "line"), EVENTS, ids=range(len(EVENTS)))
def test_each_event_as_a_line_and_as_a_document(event: Event, name: str, line: str) -> None:
    at, _, rest = log_line(event, AT).partition(" ")
    result = document(event, AT)

    assert rest == line
    assert datetime.fromisoformat(at).tzinfo is not None
    assert set(result) == {
        "ts", "event", "level", "job", "run", "slot", "status", "reason", "duration_ms", "message",
    }  # fmt: skip
    assert result["event"] == name
    assert result["message"]
    assert re.match(r"\d\d:\d\d:\d\d (\[sync\]|scheduler) ", terminal_line(event, AT))


def shown(*events: Event, routine: bool = False, quiet: bool = False) -> list[str]:
    out = io.StringIO()
    common = Common(quiet=quiet)
    reporter = Reporter(
        Context(common, output=Output(common, {}, out, io.StringIO())), routine=routine, as_json=True
    )
    with reporter.showing():
        for event in events:
            reporter(event)
    return [
        f"{one['event']} {one['status'] or ''}".strip()
        for one in map(json.loads, out.getvalue().splitlines())
    ]


def test_what_is_routine_is_not_shown_in_development() -> None:
    line = EVENTS[4][0]

    assert shown(STARTED, line, COMPLETED) == ["run_output"]
    assert shown(STARTED, FAILED, STARTED, COMPLETED, STARTED, COMPLETED) == [
        "run_finished failed",
        "run_finished completed",
    ]
    assert shown(STARTED, COMPLETED, routine=True) == ["run_started running", "run_finished completed"]
    assert shown(STARTED, line, COMPLETED, FAILED, EVENTS[6][0], quiet=True) == [
        "run_finished failed",
        "slots_missed",
    ]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DISABLE_AUTO_SYNC": "1"}, "scheduling is disabled (DISABLE_AUTO_SYNC)"),
        ({"VERCEL": "1"}, "mode is vercel: Vercel Cron calls the endpoints"),
    ],
)
def test_where_another_schedules_it_says_so_and_ends(
    environment: dict[str, str], words: str, cli: Cli
) -> None:
    result = cli("run", **environment)

    assert result.code == 4
    assert words in result.stderr
    assert "--local" in result.stderr
    assert cli("run", "--json", **environment).json["error"]["exit_code"] == 4


@pytest.mark.slow
def test_local_runs_whatever_the_mode(site: Site) -> None:
    site.jobs(JOBS)
    scheduler = site.popen("run", "--local", env={"VERCEL": "1", "JOBCTL_STATE": ".jobctl"})
    until(lambda: len(site.runs()) == 2)

    scheduler.send_signal(signal.SIGTERM)

    assert scheduler.wait(60) == 0


def test_lines(site: Site) -> None:
    site.jobs(JOBS)
    scheduler = site.run("--workers", "1", "--verbose")
    until(lambda: site.log(scheduler).count("took=") == 2)

    scheduler.send_signal(signal.SIGINT)
    assert scheduler.wait(60) == 0
    log = site.log(scheduler)

    assert re.search(r"^jobctl \S+, mode local \(why: jobctl mode\), 15 jobs, 1 worker, store ", log)
    assert "11 jobs are stopped: DATABASE_URL is not set\n" in log
    assert re.search(r"^\S+T\S+ \[hello\] started run=[0-9a-f]{8} slot=", log, re.MULTILINE)
    assert re.search(r"^\S+T\S+ \[hello\] hello \[red\] \\x1b\[31m$", log, re.MULTILINE)
    assert re.search(r"^\S+T\S+ \[hello\] completed run=\S+ took=\d+ms$", log, re.MULTILINE)
    assert re.search(
        r"^\S+T\S+ error \[bad\] failed run=\S+ took=\d+ms reason=error ValueError: no \[/\] way$",
        log,
        re.MULTILINE,
    )
    assert re.search(r"^\S+T\S+ scheduler stopping: nothing is running$", log, re.MULTILINE)
    assert log.endswith("stopped: 2 runs, 0 interrupted\n")
    assert "\x1b" not in log
    site.nothing_left()


def test_json_lines_of_one_job_alone(site: Site) -> None:
    site.jobs(JOBS)
    reader, writer = os.pipe()
    scheduler = site.popen("run", "--log-format", "json", "--only", "hello", "-v", stdout=writer, stderr=None)
    os.close(writer)
    events = []
    with os.fdopen(reader) as lines:
        for line in lines:
            events.append(json.loads(line))
            if events[-1]["event"] == "run_finished":
                scheduler.send_signal(signal.SIGTERM)

    assert scheduler.wait(60) == 0
    names = [one["event"] for one in events]
    assert sorted(set(names)) == [
        "run_finished", "run_output", "run_started", "scheduler_started", "scheduler_stopped", "scheduler_stopping",
    ]  # fmt: skip
    assert {one["job"] for one in events} == {None, "hello"}
    finished = next(one for one in events if one["event"] == "run_finished")
    assert (finished["status"], finished["reason"]) == ("completed", None)
    assert finished["duration_ms"] >= 0


@pytest.mark.slow
def test_jobs_continue_when_no_one_reads_the_log(site: Site) -> None:
    site.jobs('[jobs.tick]\nevery = "1s"\ncall = "work:hello"\n')
    reader, writer = os.pipe()
    scheduler = site.popen("run", stdout=writer)
    os.close(writer)
    until(site.runs)

    os.close(reader)
    seen = len(site.runs())

    until(lambda: len(site.runs()) >= seen + 3)
    assert scheduler.poll() is None
    scheduler.send_signal(signal.SIGTERM)
    assert scheduler.wait(60) == 0
    assert {one["status"] for one in site.runs()} == {"completed"}
