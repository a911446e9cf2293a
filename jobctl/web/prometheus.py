"""Totals as OpenMetrics text, written by Prometheus' own client."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from jobctl.documents import COUNTERS
from jobctl.model import JobMetrics

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition(metrics: JobMetrics) -> bytes:
    """The text, names and labels as those of ``jobctl metrics --format prometheus``."""
    registry = CollectorRegistry()
    registry.register(_Totals(metrics))
    found: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return found


class _Totals(Collector):
    def __init__(self, metrics: JobMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Counters and gauges with the label ``job``."""
        jobs = self._metrics.jobs
        for name, (text, value) in COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=["job"])
            for one in jobs:
                family.add_metric([one.id], value(one))
            yield family
        durations = Metric(
            "jobctl_run_duration_seconds", "Durations of the newest kept runs.", "summary", "seconds"
        )
        for one in jobs:
            for quantile, duration in (("0.5", one.p50), ("0.95", one.p95)):
                if duration is not None:
                    labels = {"job": one.id, "quantile": quantile}
                    durations.add_sample(durations.name, labels, duration.total_seconds())
        yield durations
        if (cleanup := self._metrics.last_cleanup) is not None:
            yield GaugeMetricFamily(
                "jobctl_last_cleanup_timestamp_seconds",
                "When old runs were last removed.",
                cleanup.timestamp(),
                unit="seconds",
            )
