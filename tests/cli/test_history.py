"""``runs``, ``logs`` and ``metrics``: what happened."""

import re
from datetime import UTC, datetime, timedelta

from jobctl.cli.views.look import Look
from jobctl.cli.views.metrics import screen as metrics_screen
from jobctl.cli.views.metrics import share
from jobctl.cli.views.runs import ending, screen
from jobctl.model import JobMetrics, Reason, Trigger
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
    lines = list(screen([run], past.now, Look(80), more=True))

    assert row["RUN"] == run.id
    assert (row["JOB"], row["STATE"], row["REASON"], row["TOOK_MS"], row["TRIGGER"]) == (
        "bad", "failed", "error", "1200", "manual",
    )  # fmt: skip
    assert run.id[:8] in lines[1]
    assert run.id not in lines[1]
    assert lines[-1].endswith("--limit 0")
    assert list(screen([], past.now, Look(), more=False)) == ["no run to show"]


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


def test_logs_where_there_are_none(cli: Cli, past: Past) -> None:
    run = past.ran("hello")

    assert cli("logs", "hello").stderr.startswith(f"run {run.id[:8]} printed nothing\n")
    never = cli("logs", "bad")
    assert (never.code, never.stdout, never.stderr) == (0, "", "bad has no run\n")
    assert cli("logs", "hello", "--failed").stderr == "hello has no failed run\n"
    assert cli("logs", "bad", "--json").json == {"run": None, "lines": []}


def test_metrics_as_a_document(cli: Cli, past: Past) -> None:
    for _ in range(3):
        past.ran("hello", took=2)
    past.ran("bad", error="no", took=1)

    found = cli("metrics", "--json").json

    assert {
        "total_executions": 4,
        "successful_jobs": 3,
        "failed_jobs": 1,
        "skipped": 0,
        "success_rate": 0.75,
        "average_job_duration_ms": 1750,
        "last_cleanup": None,
    }.items() <= found.items()
    hello = next(one for one in found["jobs"] if one["id"] == "hello")
    assert {
        "total_executions": 3,
        "successful_jobs": 3,
        "failed_jobs": 0,
        "success_rate": 1.0,
        "average_job_duration_ms": 2000,
        "p50_ms": 2000,
        "p95_ms": 2000,
        "max_ms": 2000,
    }.items() <= hello.items()
    assert [one["id"] for one in cli("metrics", "bad", "--json").json["jobs"]] == ["bad"]
    assert {row["JOB"]: row["SUCCESS"] for row in cli("metrics").rows} == {"hello": "1.0000", "bad": "0.0000"}


def test_metrics_of_nothing(cli: Cli) -> None:
    found = cli("metrics", "--json").json

    assert found["success_rate"] is found["average_job_duration_ms"] is None
    assert found["total_executions"] == 0
    assert share(None) == "-"
    assert share(2999 / 3000) == "99.9 %"
    assert "success -      avg -" in next(metrics_screen(JobMetrics(), datetime.now(UTC), Look()))


def test_metrics_for_prometheus(cli: Cli, past: Past) -> None:
    past.ran("hello", took=2)
    past.ran("bad", error="no", took=0.5)
    past.store.prune(past.now, timedelta(days=30), 1000)

    text = cli("metrics", "--format", "prometheus").stdout
    lines = text.splitlines()

    assert lines[-1] == "# EOF"
    assert text.endswith("# EOF\n")
    assert 'jobctl_runs_total{job="hello"} 1' in lines
    assert 'jobctl_runs_failed_total{job="bad"} 1' in lines
    assert 'jobctl_run_duration_seconds{job="hello",quantile="0.5"} 2' in lines
    families: dict[str, str] = {}
    for line in lines[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in families
            families[name] = kind
        elif not line.startswith("#"):
            sample = re.fullmatch(r'(jobctl_[a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? \S+', line)
            assert sample, line
            family = sample[1].removesuffix("_total")
            assert family == list(families)[-1]
            assert sample[1].endswith("_total") == (families[family] == "counter")
    assert "jobctl_last_cleanup_timestamp_seconds" in families
