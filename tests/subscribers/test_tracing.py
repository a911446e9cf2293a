"""Traces of runs, as a collector on loopback gets them from the real program."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.collector import Collector, collecting, values
from tests.support.project import Site, until

CODE = """
import os
from pathlib import Path

def good():
    print(os.environ.get("TRACEPARENT"))

def bad():
    raise ValueError("the password is hunter2-hunter2")

def gated():
    print(os.environ["TRACEPARENT"], flush=True)
    import time
    while not Path("go").exists():
        time.sleep(0.02)
"""
JOBS = """
[jobs.good]
call = "work:good"
[jobs.ticking]
every = "1s"
call = "work:good"
[jobs.bad]
call = "work:bad"
retries = 2
retry_delay = "10ms"
[jobs.gated]
every = "1d"
call = "work:gated"
"""
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def traced(site: Site, collector: Collector) -> Site:
    """A project whose ``.env`` file says where the collector is."""
    site.jobs(JOBS, CODE)
    site.environment["OTEL_BSP_SCHEDULE_DELAY"] = "100"  # milliseconds; 5 seconds otherwise
    site.write(".env", f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\nDB_PASSWORD=hunter2-hunter2\n")
    return site


def parent_of(span: Span) -> str:
    return f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"


def lasted(span: Span) -> timedelta:
    return timedelta(microseconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1000)


@pytest.mark.slow
def test_a_run_is_a_span_that_the_jobs_own_can_join(traced: Site, collector: Collector) -> None:
    done = traced.call("trigger", "good")
    (run,) = traced.runs()

    (span,) = collector.spans
    assert span.name == "good"
    assert span.span_id.hex() == run["run_id"]
    assert not span.parent_span_id
    assert done.stdout == f"{parent_of(span)}\n"
    assert values(span) == {
        "job.id": "good",
        "run.id": run["run_id"],
        "run.trigger": "manual",
        "run.status": "completed",
        "run.attempt": 1,
        "host.name": run["host"],
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert lasted(span) >= timedelta(milliseconds=run["duration_ms"])
    assert [one.name for one in span.events] == ["began"]
    assert collector.services[0]["service.name"] == "jobctl"
    assert collector.requests[0][0] == "/v1/traces"


@pytest.mark.slow
def test_the_span_of_a_failed_run_holds_its_reason_and_attempts(traced: Site, collector: Collector) -> None:
    assert traced.call("trigger", "bad").returncode == 1

    (span,) = collector.spans
    assert (span.status.code, span.status.message) == (
        Status.STATUS_CODE_ERROR, "ValueError: the password is ••••",
    )  # fmt: skip
    assert (values(span)["run.status"], values(span)["run.reason"], values(span)["run.attempt"]) == (
        "failed", "error", 3,
    )  # fmt: skip
    retries = [values(one) for one in span.events if one.name == "retry"]
    assert [one["run.attempt"] for one in retries] == [1, 2]
    assert all(one["run.delay_ms"] >= 10 for one in retries)
    assert "hunter2" not in str(collector.spans)


@pytest.mark.slow
def test_a_run_of_a_slot_says_how_late_it_was(traced: Site, collector: Collector) -> None:
    process = traced.run("--only", "ticking")
    until(lambda: len(collector.spans) >= 2, 30)
    process.terminate()
    process.wait(30)

    runs = {run["run_id"]: run for run in traced.runs("ticking")}
    assert {span.span_id.hex() for span in collector.spans} == {
        run_id for run_id, run in runs.items() if run["status"] != "skipped"
    }
    for span in collector.spans:
        run, found = runs[span.span_id.hex()], values(span)
        late = datetime.fromisoformat(run["started_at"]) - datetime.fromisoformat(run["scheduled_for"])
        assert found["run.scheduled_for"] == run["scheduled_for"]
        assert found["run.lateness_ms"] == round(late.total_seconds() * 1000)
        assert found["run.trigger"] == "schedule"


@pytest.mark.faults
def test_a_run_that_was_lost_with_its_scheduler_is_traced_by_the_next(
    traced: Site, collector: Collector
) -> None:
    process = traced.run("--only", "gated")
    log = until(lambda: next(traced.folder.glob(".jobctl/logs/gated/*.log"), None))
    assert log is not None
    given = until(lambda: log.read_text().rstrip().rpartition(" ")[2])
    process.kill()
    process.wait()

    again = traced.popen("run", "--only", "gated")  # nobody else looks, so nobody else settles it
    span = until(lambda: collector.of(log.stem), 30)
    again.terminate()
    again.wait(30)

    assert span is not None
    assert parent_of(span) == given
    assert (values(span)["run.reason"], span.status.code) == ("lost", Status.STATUS_CODE_ERROR)


@pytest.mark.slow
def test_a_manual_run_joins_the_trace_of_its_caller(traced: Site, collector: Collector) -> None:
    traced.call("trigger", "good", env={"TRACEPARENT": PARENT})

    (span,) = collector.spans
    assert f"00-{span.trace_id.hex()}-{span.parent_span_id.hex()}-01" == PARENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_standard_variables_decide(
    variables: dict[str, str], sent: bool, traced: Site, collector: Collector
) -> None:
    done = traced.call("trigger", "good", env=variables)

    assert (done.returncode, bool(collector.spans)) == (0, sent)
    assert done.stderr.count("\n") == 2
    if variables == {"OTEL_TRACES_SAMPLER": "always_off"}:
        assert done.stdout.endswith("-00\n")


@pytest.mark.slow
def test_headers_name_and_endpoint_are_those_of_the_variables(traced: Site, collector: Collector) -> None:
    more = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/in/here",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret-token",
        "OTEL_SERVICE_NAME": "our-site",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    traced.call("trigger", "good", env=more)

    ((path, headers),) = collector.requests
    assert (path, headers["authorization"]) == ("/in/here", "Bearer s3cret-token")
    assert collector.services[0]["service.name"] == "our-site"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 'the protocol must be http/protobuf, not "grpc"'),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318", "would be sent unencrypted"),
    ],
)
def test_a_value_that_cannot_be_used_is_reported_and_does_no_harm(
    name: str, text: str, words: str, traced: Site, collector: Collector
) -> None:
    done = traced.call("trigger", "good", env={"OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret-token", name: text})

    assert done.returncode == 0
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: no traces are sent: ")
    assert words in warning
    assert collector.requests == []


@pytest.mark.slow
def test_a_redirect_does_not_take_the_headers_along(traced: Site, collector: Collector) -> None:
    collector.refuses = 307
    collector.elsewhere = f"{collector.url}/elsewhere"

    done = traced.call("trigger", "good", env={"OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret-token"})

    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    assert "traces" in done.stderr


@pytest.mark.slow
def test_a_collector_that_refuses_is_reported_once_and_does_no_harm(
    traced: Site, collector: Collector
) -> None:
    collector.refuses = 404
    process = traced.run("--only", "ticking", "--log-format", "json")
    until(lambda: len(collector.requests) >= 2, 30)
    collector.refuses = None
    until(lambda: collector.spans, 30)
    process.terminate()
    process.wait(30)

    told = [json.loads(line) for line in traced.log(process).splitlines() if line.startswith("{")]
    (lost,) = [one for one in told if one["event"] == "traces_not_taken"]
    assert lost["level"] == "warning"
    assert f"{collector.url}: " in lost["message"]
    assert "404" in lost["message"]
    assert {one["status"] for one in traced.runs("ticking")} <= {"completed", "skipped"}
    assert process.returncode == 0


@pytest.mark.slow
def test_lost_traces_of_a_manual_run_are_reported(traced: Site, collector: Collector) -> None:
    collector.refuses = 404
    done = traced.call("trigger", "good")

    assert done.returncode == 0
    assert f"warning: traces of runs are lost: {collector.url}: " in done.stderr


@pytest.mark.slow
def test_a_collector_that_does_not_answer_holds_up_an_end_for_five_seconds_at_most(
    traced: Site, collector: Collector
) -> None:
    collector.hang = threading.Event()
    try:
        done = traced.call("trigger", "good")
    finally:
        collector.hang.set()

    assert done.returncode == 0
    assert len(collector.requests) == 1
    assert collector.spans == []


@pytest.mark.slow
def test_nothing_of_it_is_loaded_unless_it_is_asked_for(traced: Site) -> None:
    loaded = "import sys; from jobctl.cli.main import main; sys.argv = ['jobctl', 'trigger', 'good']\n"
    loaded += (
        "try: main()\nfinally: print(sorted(one for one in sys.modules if one.startswith('opentelemetry')))"
    )

    unset = traced.python(loaded, env={"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    asked = traced.python(loaded)

    assert unset.stdout == "None\n[]\n"
    assert "'opentelemetry.sdk.trace'" in asked.stdout


def test_packages_that_are_missing_are_named(traced: Site) -> None:
    without = "import sys; sys.modules['opentelemetry.sdk'] = None\n"
    without += "from jobctl.cli.main import main; sys.argv = ['jobctl', 'trigger', 'good']; main()"

    done = traced.python(without)

    assert done.returncode == 0
    assert done.stderr.count("ever-jobctl[otel]") == 1
    assert 'is not installed; pip install "ever-jobctl[otel]"\n' in done.stderr
