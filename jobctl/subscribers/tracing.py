"""Traces: one span for each run, sent to a collector by OTLP over HTTP. It never delays a job.

The span's id is the run's id, and the trace's id is derived from it. So the span is found by the run; a job's own spans
join it by ``TRACEPARENT``, in the form of https://www.w3.org/TR/trace-context/; and the span of a run that was lost with
its process is sent, with the same ids, by the scheduler that fails the run.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests import Response, Session

from jobctl import thread_start
from jobctl.clock import SystemClock, iso, to_ms
from jobctl.durations import milliseconds
from jobctl.events import Bus, Event, RunFinished, RunRetrying, RunStarted, TracesNotSent
from jobctl.model import Run, RunStatus
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Mask, masked_address
from jobctl.subscribers.tracing_settings import endpoint
from jobctl.urls import is_in_clear

FLUSH_S = 5.0
_LONGEST_ERROR = 1000
_LOGGER = logging.getLogger("opentelemetry")


class Tracer:
    """Subscribed to ``bus`` until it is closed.

    Args:
        joining: runs join the trace of the environment's ``TRACEPARENT``, if it is set.
    """

    def __init__(self, bus: Bus, environment: Environment, *, joining: bool = False) -> None:
        self._errors = _LastError()
        _LOGGER.addHandler(self._errors)
        self._ids = _RunIds()
        with _otel_variables(environment.merged()):
            name = OTELResourceDetector().detect().attributes.get(SERVICE_NAME, "jobctl")
            self._provider = TracerProvider(
                resource=Resource.create({SERVICE_NAME: name}), id_generator=self._ids, shutdown_on_exit=False
            )
            exporter = _Exporter(bus, self._errors, endpoint(environment), environment.mask)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("jobctl")
        carrier = {"traceparent": environment.text("TRACEPARENT") or ""} if joining else {}
        self._context = TraceContextTextMapPropagator().extract(carrier)
        self._spans: dict[str, Span] = {}
        self._lock = threading.Lock()
        self._unsubscribe = bus.subscribe(self._on_event, self._environment_of)

    def close(self, timeout: float = FLUSH_S) -> None:
        """Unsubscribe. Spans in the queue are sent first, for at most ``timeout`` seconds."""
        self._unsubscribe()
        ending = threading.Thread(target=self._provider.shutdown, name="jobctl-traces", daemon=True)
        with suppress(thread_start.NoThreadError):  # without a thread nothing can be sent
            thread_start.start(ending)
            ending.join(timeout)

    def _environment_of(self, run: Run) -> Mapping[str, str]:
        span = self._spans.get(run.id)
        if span is None:
            return {}
        ids = span.get_span_context()
        return {"TRACEPARENT": f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags & 1:02x}"}

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._spans[event.run.id] = self._begin(event.run)
        elif isinstance(event, RunRetrying) and event.run.id in self._spans:
            failed: dict[str, str | int] = {
                "run.attempt": event.run.attempt,
                "run.error": event.error[:_LONGEST_ERROR],
                "run.delay_ms": milliseconds(event.delay) or 0,
            }
            self._spans[event.run.id].add_event("retry", failed)
        elif isinstance(event, RunFinished) and event.run.status is not RunStatus.SKIPPED:
            span = self._spans.pop(event.run.id) if event.run.id in self._spans else self._begin(event.run)
            _end(span, event.run)

    def _begin(self, run: Run) -> Span:
        slot = run.scheduled_for
        attributes = {"job.id": run.job_id, "run.id": run.id, "run.trigger": run.trigger.value}
        attributes |= {"run.scheduled_for": iso(slot)} if slot else {}
        with self._lock:
            self._ids.run_id = run.id
            return self._tracer.start_span(
                run.job_id, self._context, attributes=attributes, start_time=_ns(run.started_at)
            )


def _end(span: Span, run: Run) -> None:
    span.set_attributes({"run.status": run.status.value, "run.attempt": run.attempt, "host.name": run.host})
    if run.reason is not None:
        span.set_attribute("run.reason", run.reason.value)
    if run.scheduled_for is not None:
        late = milliseconds(run.started_at - run.scheduled_for) or 0
        span.set_attribute("run.lateness_ms", late)
    span.add_event("began", timestamp=_ns(run.started_at))  # a worker may have become free later
    if run.status is RunStatus.FAILED:
        span.set_status(Status(StatusCode.ERROR, (run.error or str(run.reason))[:_LONGEST_ERROR]))
    span.end(_ns(run.finished_at or run.started_at))


def _ns(instant: datetime) -> int:
    return to_ms(instant) * 1_000_000


class _RunIds(IdGenerator):
    """Derives ids from the run that the next span is for."""

    run_id = ""

    def generate_span_id(self) -> int:
        return int(self.run_id, 16)

    def generate_trace_id(self) -> int:
        return int.from_bytes(sha256(f"jobctl:{self.run_id}".encode()).digest()[:16])


class _StrictSession(Session):
    """Follows no redirect, and uses no proxy to this machine: it could read what is not encrypted."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.trust_env = endpoint.lower().startswith("https:") or is_in_clear(endpoint)

    def get_redirect_target(self, resp: Response) -> str | None:
        """None: the response counts, as a refusal."""
        if resp.is_redirect:
            resp.status_code, resp.reason = 400, "a redirect, which is not followed"
        return None


class _Exporter(SpanExporter):
    """Sends spans, and publishes the first of consecutive failures."""

    def __init__(self, bus: Bus, errors: "_LastError", endpoint: str, mask: Mask) -> None:
        self._exporter = OTLPSpanExporter(session=_StrictSession(endpoint))
        self._bus = bus
        self._errors = errors
        self._place = masked_address(endpoint)
        self._mask = mask
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failed:
            problem = f"{self._place}: {self._errors.last or 'no reason was given'}"
            self._bus.publish(TracesNotSent(SystemClock().now(), self._mask(problem)))
        self._failed = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _LastError(logging.Handler):
    """Keeps OpenTelemetry's last error. Without a handler its lines would go to standard error."""

    last: str | None = None

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


@contextmanager
def _otel_variables(environment: dict[str, str]) -> Iterator[None]:
    """Set the variables of ``.env`` files while OpenTelemetry's objects are created: they read ``os.environ``."""
    variables = {name: text for name, text in environment.items() if name.startswith("OTEL_")}
    added = variables.keys() - os.environ.keys()
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
