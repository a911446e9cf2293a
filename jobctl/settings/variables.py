"""Every environment variable that jobctl reads, in one table, for readers, checks, help and documentation."""

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
    help: str
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
    Variable(
        "NODE_ENV",
        VariableKind.CHOICE,
        "which .env files are read; part of the trigger-dev rule",
        "development",
        ("development", "production", "test"),
    ),
    Variable("DISABLE_AUTO_SYNC", VariableKind.SWITCH, "1, true, yes or on: nothing is scheduled"),
    Variable(
        "TRIGGER_DEV_API_KEY",
        VariableKind.SECRET,
        "key of the Trigger.dev environment",
        stand_in="TRIGGER_SECRET_KEY",
    ),
    Variable("TRIGGER_SECRET_KEY", VariableKind.SECRET, "the same, if TRIGGER_DEV_API_KEY is not set"),
    Variable(
        "TRIGGER_DEV_API_URL",
        VariableKind.URL,
        "URL of Trigger.dev",
        "https://api.trigger.dev",
        stand_in="TRIGGER_API_URL",
    ),
    Variable("TRIGGER_API_URL", VariableKind.URL, "the same, if TRIGGER_DEV_API_URL is not set"),
    Variable("TRIGGER_DEV_ENABLED", VariableKind.TEXT, "true: Trigger.dev schedules in production"),
    Variable(
        "TRIGGER_DEV_ENVIRONMENT",
        VariableKind.CHOICE,
        "Trigger.dev environment that the key must belong to",
        None,
        ("development", "staging", "production", "preview"),
        ignores_others=True,
    ),
    Variable("TRIGGER_PREVIEW_BRANCH", VariableKind.TEXT, "branch of a Trigger.dev preview environment"),
    Variable("VERCEL", VariableKind.TEXT, "1: Vercel Cron is in charge"),
    Variable("DATA_REPOSITORY", VariableKind.ADDRESS, "the content repository"),
    Variable("GH_TOKEN", VariableKind.SECRET, "token for the content repository", stand_in="GITHUB_TOKEN"),
    Variable("GITHUB_TOKEN", VariableKind.SECRET, "the same, if GH_TOKEN is not set"),
    Variable("GITHUB_BRANCH", VariableKind.TEXT, "branch of the content; default: that of the remote"),
    Variable("DATABASE_URL", VariableKind.DATABASE, "the site's database: postgresql://… or sqlite:///file"),
    Variable(
        "TENANT_ID", VariableKind.TEXT, "tenant that the jobs work for; default: the oldest active tenant"
    ),
    Variable(
        "EMAIL_PROVIDER",
        VariableKind.CHOICE,
        "mail provider; ethereal writes mail to the outbox",
        "resend",
        ("resend", "novu", "smtp", "ethereal"),
        any_case=True,
    ),
    Variable(
        "EMAIL_FROM", VariableKind.TEXT, "sender of mails: an address, or Name <address>", "info@ever.works"
    ),
    Variable("EMAIL_SUPPORT", VariableKind.TEXT, "support address in mails; default: the sender's"),
    Variable("COMPANY_NAME", VariableKind.TEXT, "the site's name in mails and reports", "Ever Works"),
    Variable(
        "NEXT_PUBLIC_APP_URL", VariableKind.URL, "URL of the site, for links in mails", "https://ever.works"
    ),
    Variable("RESEND_API_KEY", VariableKind.SECRET, "key for Resend"),
    Variable("RESEND_BASE_URL", VariableKind.URL, "URL of Resend's API", "https://api.resend.com"),
    Variable("NOVU_API_KEY", VariableKind.SECRET, "key for Novu"),
    Variable("NOVU_BASE_URL", VariableKind.URL, "URL of Novu's API", "https://api.novu.co"),
    Variable("NOVU_TEMPLATE_ID", VariableKind.TEXT, "Novu's workflow for mails", "email-default"),
    Variable("SMTP_HOST", VariableKind.TEXT, "the mail server"),
    Variable("SMTP_PORT", VariableKind.PORT, "its port: TLS at once on 465, STARTTLS otherwise", "587"),
    Variable("SMTP_USER", VariableKind.TEXT, "login for it"),
    Variable("SMTP_PASSWORD", VariableKind.SECRET, "password for it"),
    Variable("CRON_SECRET", VariableKind.SECRET, "secret that a caller of the HTTP endpoints must send"),
    Variable(
        "JOBCTL_REPORT_TO",
        VariableKind.TEXT,
        "addresses that receive the reports by mail, separated by commas",
    ),
    Variable(
        "JOBCTL_STATE",
        VariableKind.ADDRESS,
        "folder of the run store and the logs, or postgresql://…",
        ".jobctl",
    ),
    Variable("JOBCTL_PROJECT", VariableKind.TEXT, "folder in which the search for the project begins"),
    Variable(
        "JOBCTL_SAFE_FOLDERS",
        VariableKind.TEXT,
        "trusted folders of other users, separated by colons; read from the process environment only",
    ),
    Variable("JOBCTL_LOGS_MAX_MIB", VariableKind.NUMBER, "size limit of the logs of one job, in MiB", "64"),
    Variable("OTEL_TRACES_EXPORTER", VariableKind.TEXT, "otlp: send traces of runs; none: do not"),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT", VariableKind.TEXT, "URL of the collector; traces go to its /v1/traces"
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", VariableKind.TEXT, "complete URL for traces"),
    Variable(
        "OTEL_EXPORTER_OTLP_HEADERS", VariableKind.SECRET, "headers for the collector: name=value,name=value"
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", VariableKind.SECRET, "the same, for traces only"),
    Variable(
        "OTEL_EXPORTER_OTLP_PROTOCOL", VariableKind.TEXT, "http/protobuf; with any other, no traces are sent"
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", VariableKind.TEXT, "the same, for traces only"),
    Variable("OTEL_SERVICE_NAME", VariableKind.TEXT, "name of this service in traces; default: jobctl"),
    Variable("OTEL_SDK_DISABLED", VariableKind.TEXT, "true: no traces"),
    Variable(
        "JOBCTL_METRICS_FILE", VariableKind.TEXTFILE, "a .prom file for node_exporter, kept current by run"
    ),
    Variable(
        "JOBCTL_CONTENT_CHANGED_URL",
        VariableKind.URL,
        "called after content changed: /api/cron/sync, or a webhook",
    ),
    Variable(
        "JOBCTL_CONTENT_CHANGED_SECRET",
        VariableKind.SECRET,
        "key that signs that webhook; default: CRON_SECRET",
        stand_in="CRON_SECRET",
    ),
    Variable(
        "JOBCTL_CONTENT_MAX_FILES", VariableKind.NUMBER, "limit of files and folders in the content", "200000"
    ),
    Variable("JOBCTL_CONTENT_MAX_MIB", VariableKind.NUMBER, "size limit of the content, in MiB", "5120"),
    Variable(
        "JOBCTL_CONTENT_MAX_FILE_MIB",
        VariableKind.NUMBER,
        "size limit of a file, in MiB; larger files are skipped",
        "100",
    ),
    Variable(
        "JOBCTL_CONTENT_MAX_DEPTH",
        VariableKind.NUMBER,
        "limit of nested folders; deeper folders are skipped",
        "64",
    ),
    Variable(
        "JOBCTL_CONTENT_MAX_SECONDS",
        VariableKind.NUMBER,
        "time limit of a network operation of a sync, in seconds",
        "120",
    ),
    Variable(
        "JOBCTL_CONTENT_MAX_MEMORY_MIB",
        VariableKind.NUMBER,
        "memory limit of a sync, in MiB, on Linux",
        "512",
    ),
)

VARIABLES = {variable.name: variable for variable in _ALL}
