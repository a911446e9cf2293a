"""Every environment variable that jobctl reads, with its kind and default. ``docs/variables.md`` says what each means."""

from enum import StrEnum
from typing import NamedTuple


class VariableKind(StrEnum):
    """How the text of a variable is read."""

    TEXT = "text"
    SWITCH = "switch"
    CHOICE = "choice"
    URL = "url"
    ADDRESS = "address"
    DATABASE = "database"
    PORT = "port"
    NUMBER = "number"
    TEXTFILE = "textfile"
    SECRET = "secret"  # noqa: S105 - a kind, not a password


class Variable(NamedTuple):
    """One variable.

    ``SWITCH`` is on for ``1 true yes on`` and off for any other text, as on the site; ``ADDRESS`` is a URL or path that
    may contain a password; ``DATABASE`` is a Postgres address or has a scheme of ``DATABASES``; ``PORT`` is a number
    from 1 to 65535, ``NUMBER`` from 1; ``TEXTFILE`` is a file whose name ends in ``TEXTFILE_SUFFIX``.

    Attributes:
        any_case: whether a choice may be written in any case.
        ignores_others: whether any other text is ignored, as if the variable were not set.
        stand_in: the variable to use if this one is not set.
    """

    name: str
    kind: VariableKind
    default: str | None = None
    choices: tuple[str, ...] = ()
    any_case: bool = False
    ignores_others: bool = False
    stand_in: str = ""


ON = ("1", "true", "yes", "on")
DATABASES = ("sqlite", "file")
"""Schemes of databases in files; for Postgres see ``urls.is_postgres_address``."""
TEXTFILE_SUFFIX = ".prom"
"""node_exporter reads no other files: https://github.com/prometheus/node_exporter#textfile-collector."""

_ALL = (
    Variable("NODE_ENV", VariableKind.CHOICE, "development", ("development", "production", "test")),
    Variable("DISABLE_AUTO_SYNC", VariableKind.SWITCH),
    Variable("TRIGGER_DEV_API_KEY", VariableKind.SECRET, stand_in="TRIGGER_SECRET_KEY"),
    Variable("TRIGGER_SECRET_KEY", VariableKind.SECRET),
    Variable("TRIGGER_DEV_API_URL", VariableKind.URL, "https://api.trigger.dev", stand_in="TRIGGER_API_URL"),
    Variable("TRIGGER_API_URL", VariableKind.URL),
    Variable("TRIGGER_DEV_ENABLED", VariableKind.TEXT),
    Variable(
        "TRIGGER_DEV_ENVIRONMENT",
        VariableKind.CHOICE,
        None,
        ("development", "staging", "production", "preview"),
        ignores_others=True,
    ),
    Variable("TRIGGER_PREVIEW_BRANCH", VariableKind.TEXT),
    Variable("VERCEL", VariableKind.TEXT),
    Variable("VERCEL_PROJECT_PRODUCTION_URL", VariableKind.TEXT),
    Variable("DATA_REPOSITORY", VariableKind.ADDRESS),
    Variable("GH_TOKEN", VariableKind.SECRET, stand_in="GITHUB_TOKEN"),
    Variable("GITHUB_TOKEN", VariableKind.SECRET),
    Variable("GITHUB_BRANCH", VariableKind.TEXT),
    Variable("DATABASE_URL", VariableKind.DATABASE),
    Variable("TENANT_ID", VariableKind.TEXT),
    Variable(
        "EMAIL_PROVIDER", VariableKind.CHOICE, "resend", ("resend", "novu", "smtp", "ethereal"), any_case=True
    ),
    Variable("EMAIL_FROM", VariableKind.TEXT, "info@ever.works"),
    Variable("EMAIL_SUPPORT", VariableKind.TEXT),
    Variable("COMPANY_NAME", VariableKind.TEXT, "Ever Works"),
    Variable("NEXT_PUBLIC_APP_URL", VariableKind.URL, "https://ever.works"),
    Variable("RESEND_API_KEY", VariableKind.SECRET),
    Variable("RESEND_BASE_URL", VariableKind.URL, "https://api.resend.com"),
    Variable("NOVU_API_KEY", VariableKind.SECRET),
    Variable("NOVU_BASE_URL", VariableKind.URL, "https://api.novu.co"),
    Variable("NOVU_TEMPLATE_ID", VariableKind.TEXT, "email-default"),
    Variable("SMTP_HOST", VariableKind.TEXT),
    Variable("SMTP_PORT", VariableKind.PORT, "587"),
    Variable("SMTP_USER", VariableKind.TEXT),
    Variable("SMTP_PASSWORD", VariableKind.SECRET),
    Variable("CRON_SECRET", VariableKind.SECRET),
    Variable("JOBCTL_PAGE_SECRET", VariableKind.SECRET, stand_in="CRON_SECRET"),
    Variable("JOBCTL_PAGE_READONLY_SECRET", VariableKind.SECRET),
    Variable("JOBCTL_REPORT_TO", VariableKind.TEXT),
    Variable("JOBCTL_STATE", VariableKind.ADDRESS, ".jobctl"),
    Variable("JOBCTL_PROJECT", VariableKind.TEXT),
    Variable("JOBCTL_SAFE_FOLDERS", VariableKind.TEXT),
    Variable("JOBCTL_LOGS", VariableKind.CHOICE, "files", ("files", "store")),
    Variable("JOBCTL_LOGS_MAX_MIB", VariableKind.NUMBER, "64"),
    Variable("OTEL_TRACES_EXPORTER", VariableKind.TEXT),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", VariableKind.TEXT),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", VariableKind.TEXT),
    Variable("OTEL_EXPORTER_OTLP_HEADERS", VariableKind.SECRET),
    Variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", VariableKind.SECRET),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", VariableKind.TEXT),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", VariableKind.TEXT),
    Variable("OTEL_SERVICE_NAME", VariableKind.TEXT),
    Variable("OTEL_SDK_DISABLED", VariableKind.TEXT),
    Variable("JOBCTL_METRICS_FILE", VariableKind.TEXTFILE),
    Variable("HEALTHCHECKS_API_KEY", VariableKind.SECRET),
    Variable("HEALTHCHECKS_API_URL", VariableKind.URL, "https://healthchecks.io"),
    Variable("SENTRY_DSN", VariableKind.SECRET),
    Variable("JOBCTL_CONTENT_CHANGED_URL", VariableKind.URL),
    Variable("JOBCTL_CONTENT_CHANGED_SECRET", VariableKind.SECRET, stand_in="CRON_SECRET"),
    Variable("JOBCTL_CONTENT_MAX_FILES", VariableKind.NUMBER, "200000"),
    Variable("JOBCTL_CONTENT_MAX_MIB", VariableKind.NUMBER, "5120"),
    Variable("JOBCTL_CONTENT_MAX_FILE_MIB", VariableKind.NUMBER, "100"),
    Variable("JOBCTL_CONTENT_MAX_DEPTH", VariableKind.NUMBER, "64"),
    Variable("JOBCTL_CONTENT_MAX_SECONDS", VariableKind.NUMBER, "120"),
    Variable("JOBCTL_CONTENT_MAX_MEMORY_MIB", VariableKind.NUMBER, "512"),
)

VARIABLES = {variable.name: variable for variable in _ALL}
