"""A collector of traces on loopback, as OTLP over HTTP has it: it decodes what it is sent, and may refuse.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.serving import Handler, serving_http


class Collector:
    """Keeps every span, with the attributes of the service that sent it, and the requests' headers.

    ``refuses`` is the status of every answer while it is set, ``elsewhere`` where it sends the client; ``hang`` holds answers back until it is set.
    """

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.services: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.refuses: int | None = None
        self.hang: threading.Event | None = None
        self.elsewhere: str | None = None

    def of(self, run_id: str) -> Span | None:
        """The span of a run."""
        return next((one for one in self.spans if values(one)["run.id"] == run_id), None)


def values(of: Any) -> dict[str, Any]:
    """Attributes as they were before they were encoded."""
    given: list[KeyValue] = list(of.attributes)
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in given}


class _Handler(Handler):
    collector: Collector

    def do_POST(self) -> None:
        data = self.body()
        headers = self.lower_headers()
        self.collector.requests.append((self.path, headers))
        if self.collector.hang is not None:
            self.collector.hang.wait(60)
            return
        if self.collector.refuses is None:
            self._take(gzip.decompress(data) if headers.get("content-encoding") == "gzip" else data)
        body = ExportTraceServiceResponse().SerializeToString()
        place = [("Location", self.collector.elsewhere)] if self.collector.elsewhere else []
        self.answer(self.collector.refuses or 200, body, [("Content-Type", "application/x-protobuf"), *place])

    def _take(self, data: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(data).resource_spans:
            for scope in group.scope_spans:
                self.collector.spans.extend(scope.spans)
                self.collector.services.extend(values(group.resource) for _ in scope.spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the block, on a free port."""
    collector = Collector()
    handler = type("Handler", (_Handler,), {"collector": collector})
    with serving_http(handler) as collector.url:
        yield collector
