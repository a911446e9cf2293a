"""``metrics``: totals, how durations spread, and what Prometheus reads."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as textfile

from jobctl.cli.commands.metrics import detail, screen
from jobctl.cli.terminal import Terminal
from jobctl.cli.times import share
from jobctl.model import JobMetrics, Trigger
from jobctl.subscribers.prometheus import JobState, current, exposition
from tests.support.terminal import Cli, Past


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
    assert "success -; avg -" in str(next(screen(JobMetrics(), datetime.now(UTC), Terminal())))


def test_one_job_has_a_histogram(cli: Cli, past: Past) -> None:
    for took in (0.5, 1.2, 1.3, 4):
        past.ran("hello", took=took)

    (job,) = cli("metrics", "hello", "--json").json["jobs"]

    def shown(terminal: Terminal) -> list[str]:
        return terminal.lines(*detail(past.store.metrics("hello").jobs[0], terminal))

    lines, plain = shown(Terminal(60)), shown(Terminal(60, unicode=False))

    assert [one for one in job["histogram"] if one["count"]] == [
        {"from_ms": 500, "to_ms": 1000, "count": 1},
        {"from_ms": 1000, "to_ms": 1500, "count": 2},
        {"from_ms": 4000, "to_ms": 4500, "count": 1},
    ]
    assert "histogram" not in cli("metrics", "--json").json["jobs"][0]
    assert lines[:6] == [
        "hello",
        "4 runs: 4 completed, 0 failed; success 100.0 %",
        "avg 1.7 s, p50 1.2 s, p95 4.0 s, max 4.0 s",
        "",
        "how long the newest 4 runs took:",
        "  FROM  BELOW  RUNS",
    ]
    assert lines[7] == " 1.0 s  1.5 s     2  " + "█" * 39
    assert plain[7] == " 1.0 s  1.5 s     2  " + "#" * 39
    assert "\n".join(plain).isascii()


def test_a_job_that_never_ran_has_no_histogram(cli: Cli, past: Past) -> None:
    past.end(past.begin("hello"))
    past.begin("bad")

    assert cli("metrics", "bad", "--json").json["jobs"][0]["histogram"] == []
    assert list(detail(past.store.metrics("bad").jobs[0], Terminal()))[2:] == ["avg -, p50 -, p95 -, max -"]


Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(families: Iterable[Any]) -> Samples:
    return {
        (one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples
    }


def test_prometheus_reads_it(cli: Cli, past: Past) -> None:
    good = past.ran("hello", took=2)
    past.ran("bad", error="no", took=0.5)
    past.begin("bad")
    past.ran("of-another-project")
    due = past.now + timedelta(minutes=5)
    past.store.save_next_runs({"hello": due})
    past.store.prune(past.now, timedelta(days=30), 1000)

    text = cli("metrics", "--format", "prometheus").stdout
    found = samples(openmetrics(text))  # type: ignore[no-untyped-call]

    assert text.endswith("# EOF\n")
    assert found["jobctl_runs_total", ("hello",)] == 1
    assert found["jobctl_runs_failed_total", ("bad",)] == 1
    assert found["jobctl_run_duration_seconds", ("hello", "0.5")] == 2
    assert found["jobctl_last_cleanup_timestamp_seconds", ()] == pytest.approx(
        past.now.timestamp(), abs=0.002
    )
    assert [found["jobctl_job_running", (one,)] for one in ("hello", "bad")] == [0, 1]
    assert [found["jobctl_job_last_run_success", (one,)] for one in ("hello", "bad")] == [1, 0]
    assert good.finished_at is not None
    ended = found["jobctl_job_last_success_timestamp_seconds", ("hello",)]
    assert ended == pytest.approx(good.finished_at.timestamp(), abs=0.002)
    assert ("jobctl_job_last_success_timestamp_seconds", ("bad",)) not in found
    next_run = found["jobctl_job_next_run_timestamp_seconds", ("hello",)]
    assert next_run == pytest.approx(due.timestamp(), abs=0.002)
    assert found["jobctl_runs_total", ("of-another-project",)] == 1
    assert ("jobctl_job_running", ("of-another-project",)) not in found
    only = samples(openmetrics(cli("metrics", "bad", "--format", "prometheus").stdout))  # type: ignore[no-untyped-call]
    assert {labels[0] for _, labels in only if labels} == {"bad"}


def test_a_job_of_an_application_is_listed_while_that_schedules(past: Past) -> None:
    past.ran("from-code")
    past.store.save_next_runs({"from-code": past.now + timedelta(hours=1)})
    jobs = past.store.jobs().values()

    assert [one.record.id for one in current(jobs, [], past.now)] == ["from-code"]
    assert list(current(jobs, [], past.now + timedelta(hours=2))) == []


def test_both_texts_have_the_same_samples(past: Past) -> None:
    past.ran("hello", took=2)
    past.begin("bad", trigger=Trigger.SCHEDULE)
    metrics, jobs = past.store.metrics(), [JobState(record) for record in past.store.jobs().values()]

    scraped = "\n".join(exposition(metrics, jobs)) + "\n"
    collected = "\n".join(exposition(metrics, jobs, for_textfile=True)) + "\n"

    assert samples(openmetrics(scraped)) == samples(textfile(collected))  # type: ignore[no-untyped-call]
    kinds = {one.name: one.type for one in openmetrics(scraped)}  # type: ignore[no-untyped-call]
    assert kinds == {one.name: one.type for one in textfile(collected)}
    assert "unknown" not in kinds.values()


def test_a_file_for_the_collector(cli: Cli, past: Past, here: Path) -> None:
    past.ran("hello", took=2)
    file = here / "jobctl.prom"
    before = os.umask(0o077)
    try:
        done = cli("metrics", "--format", "prometheus", "--output", str(file))
    finally:
        os.umask(before)

    assert (done.code, done.stdout) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o644
    assert samples(textfile(file.read_text()))["jobctl_runs_total", ("hello",)] == 1
    assert [one.name for one in here.iterdir() if "prom" in one.name] == ["jobctl.prom"]


def test_a_file_that_cannot_be_written_is_reported(cli: Cli, here: Path) -> None:
    def result(*words: str) -> tuple[int, str]:
        done = cli("metrics", "--output", *words)
        return done.code, done.stderr.splitlines()[0]

    prometheus = ("--format", "prometheus")
    assert result("x.prom") == (2, "error: --output goes with --format prometheus")
    assert result("x.txt", *prometheus)[1].endswith("node_exporter reads only files whose names end in .prom")
    assert result("none/x.prom", *prometheus) == (
        2, 'error: "none/x.prom" cannot be written: no such file or directory',
    )  # fmt: skip
    (here / "folder.prom").mkdir()
    assert result("folder.prom", *prometheus)[1].endswith("is a directory")
    assert sorted(one.name for one in here.iterdir() if "prom" in one.name) == ["folder.prom"]
