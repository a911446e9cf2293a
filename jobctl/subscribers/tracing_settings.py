"""Whether traces are asked for, by OpenTelemetry's own variables. Nothing of OpenTelemetry is loaded to know it.

Their meaning: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from jobctl.settings.environment import Environment
from jobctl.urls import is_in_clear

PROTOCOL = "http/protobuf"


def is_requested(environment: Environment) -> bool:
    """An exporter by OTLP is named, or where a collector is; and the whole is not switched off."""
    if (environment.text("OTEL_SDK_DISABLED") or "").lower() == "true":
        return False
    named = environment.text("OTEL_TRACES_EXPORTER")
    if named is not None:
        return "otlp" in {one.strip() for one in named.split(",")}
    return _first(environment, "ENDPOINT") is not None


def collector(environment: Environment) -> str:
    """Where they go; the address may hold a password."""
    return _first(environment, "ENDPOINT") or "http://localhost:4318"


def unsupported_protocol(environment: Environment) -> str | None:
    """The protocol that is asked for, where it is one that jobctl does not send by."""
    protocol = _first(environment, "PROTOCOL")
    return protocol if protocol not in {None, PROTOCOL} else None


def exposes_headers(environment: Environment) -> bool:
    """Whether headers, which are secrets, would cross the network in clear."""
    return _first(environment, "HEADERS") is not None and is_in_clear(collector(environment))


def _first(environment: Environment, what: str) -> str | None:
    """What holds for traces, else for all signals."""
    traces = environment.text(f"OTEL_EXPORTER_OTLP_TRACES_{what}")
    return traces or environment.text(f"OTEL_EXPORTER_OTLP_{what}")
