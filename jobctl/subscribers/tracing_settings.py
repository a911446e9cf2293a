"""The variables of OpenTelemetry that decide whether and where traces are sent; read without loading OpenTelemetry.

Their meaning: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from jobctl.settings.environment import Environment
from jobctl.urls import is_in_clear

PROTOCOL = "http/protobuf"
"""The only protocol that jobctl sends traces by."""


def is_requested(environment: Environment) -> bool:
    """Whether an OTLP exporter or an endpoint is named, and the SDK is not disabled."""
    if (environment.text("OTEL_SDK_DISABLED") or "").lower() == "true":
        return False
    exporters = environment.text("OTEL_TRACES_EXPORTER")
    if exporters is not None:
        return "otlp" in {name.strip() for name in exporters.split(",")}
    return _setting(environment, "ENDPOINT") is not None


def endpoint(environment: Environment) -> str:
    """The address of the collector; it may hold a password."""
    return _setting(environment, "ENDPOINT") or "http://localhost:4318"


def unsupported_protocol(environment: Environment) -> str | None:
    """The requested protocol if jobctl does not support it, else None."""
    protocol = _setting(environment, "PROTOCOL")
    return protocol if protocol not in {None, PROTOCOL} else None


def exposes_headers(environment: Environment) -> bool:
    """Whether headers, which are secrets, would cross the network unencrypted."""
    return _setting(environment, "HEADERS") is not None and is_in_clear(endpoint(environment))


def _setting(environment: Environment, name: str) -> str | None:
    """The value for traces, else for all signals."""
    traces = environment.text(f"OTEL_EXPORTER_OTLP_TRACES_{name}")
    return traces or environment.text(f"OTEL_EXPORTER_OTLP_{name}")
