"""Every variable that jobctl reads, said once: readers, checks, help and the README follow this table."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """How a variable's text is read."""

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

    ``SWITCH`` is on for ``1 true yes on`` and off for any other text, as the site reads it; ``ADDRESS`` is a URL or path that may hold a password, ``DATABASE`` one
    with a scheme of ``DATABASES``; ``PORT`` is a number from 1 to 65535, ``NUMBER`` one from 1;
    ``TEXTFILE`` is a file whose name ends in ``TEXTFILE_SUFFIX``.

    Attributes:
        any_case: whether a choice may be written in any case.
        others_count: whether any other text is taken, as if the variable were not set.
        stand_in: a variable that counts where this one is not set.
    """

    name: str
    kind: Kind
    help: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    any_case: bool = False
    others_count: bool = False
    stand_in: str = ""


ON = ("1", "true", "yes", "on")
DATABASES = ("sqlite", "file")
"""Schemes of databases in files; Postgres addresses have more forms than one."""
TEXTFILE_SUFFIX = ".prom"
"""node_exporter reads no other: https://github.com/prometheus/node_exporter#textfile-collector."""

_ALL = (
    Variable(
        "NODE_ENV",
        Kind.CHOICE,
        "which .env files are read; part of the trigger-dev rule",
        "development",
        ("development", "production", "test"),
    ),
    Variable("DISABLE_AUTO_SYNC", Kind.SWITCH, "1, true, yes or on: nothing is scheduled"),
    Variable(
        "TRIGGER_DEV_API_KEY",
        Kind.SECRET,
        "key of the Trigger.dev environment",
        stand_in="TRIGGER_SECRET_KEY",
    ),
    Variable("TRIGGER_SECRET_KEY", Kind.SECRET, "the same, where TRIGGER_DEV_API_KEY is not set"),
    Variable(
        "TRIGGER_DEV_API_URL",
        Kind.URL,
        "where Trigger.dev is",
        "https://api.trigger.dev",
        stand_in="TRIGGER_API_URL",
    ),
    Variable("TRIGGER_API_URL", Kind.URL, "the same, where TRIGGER_DEV_API_URL is not set"),
    Variable("TRIGGER_DEV_ENABLED", Kind.TEXT, "true: Trigger.dev schedules in production"),
    Variable(
        "TRIGGER_DEV_ENVIRONMENT",
        Kind.CHOICE,
        "which Trigger.dev environment the key must be of",
        None,
        ("development", "staging", "production", "preview"),
        others_count=True,
    ),
    Variable("TRIGGER_PREVIEW_BRANCH", Kind.TEXT, "branch of a Trigger.dev preview environment"),
    Variable("VERCEL", Kind.TEXT, "1: Vercel Cron is in charge"),
    Variable("DATA_REPOSITORY", Kind.ADDRESS, "the content repository"),
    Variable("GH_TOKEN", Kind.SECRET, "token for the content repository", stand_in="GITHUB_TOKEN"),
    Variable("GITHUB_TOKEN", Kind.SECRET, "the same, where GH_TOKEN is not set"),
    Variable("GITHUB_BRANCH", Kind.TEXT, "branch of the content; the remote's default"),
    Variable("DATABASE_URL", Kind.DATABASE, "the site's database: postgresql://… or sqlite:///file"),
    Variable("TENANT_ID", Kind.TEXT, "which tenant the jobs work for; the oldest active one"),
    Variable(
        "EMAIL_PROVIDER",
        Kind.CHOICE,
        "what sends mail; ethereal: it is written to the outbox",
        "resend",
        ("resend", "novu", "smtp", "ethereal"),
        any_case=True,
    ),
    Variable("EMAIL_FROM", Kind.TEXT, "sender of mails: an address, or Name <address>", "info@ever.works"),
    Variable("EMAIL_SUPPORT", Kind.TEXT, "support address in mails; the sender's"),
    Variable("COMPANY_NAME", Kind.TEXT, "the site's name in mails and reports", "Ever Works"),
    Variable("NEXT_PUBLIC_APP_URL", Kind.URL, "where the site is, for links in mails", "https://ever.works"),
    Variable("RESEND_API_KEY", Kind.SECRET, "key for Resend"),
    Variable("RESEND_BASE_URL", Kind.URL, "where Resend's API is", "https://api.resend.com"),
    Variable("NOVU_API_KEY", Kind.SECRET, "key for Novu"),
    Variable("NOVU_BASE_URL", Kind.URL, "where Novu's API is", "https://api.novu.co"),
    Variable("NOVU_TEMPLATE_ID", Kind.TEXT, "Novu's workflow for mails", "email-default"),
    Variable("SMTP_HOST", Kind.TEXT, "the mail server"),
    Variable("SMTP_PORT", Kind.PORT, "its port: TLS at once on 465, STARTTLS otherwise", "587"),
    Variable("SMTP_USER", Kind.TEXT, "login for it"),
    Variable("SMTP_PASSWORD", Kind.SECRET, "password for it"),
    Variable("CRON_SECRET", Kind.SECRET, "who knows it may call the HTTP endpoints"),
    Variable("JOBCTL_REPORT_TO", Kind.TEXT, "who gets the reports by mail; several with commas"),
    Variable(
        "JOBCTL_STATE", Kind.ADDRESS, "folder of the run store and the logs, or postgresql://…", ".jobctl"
    ),
    Variable("JOBCTL_PROJECT", Kind.TEXT, "where to look for the project"),
    Variable(
        "JOBCTL_SAFE_FOLDERS",
        Kind.TEXT,
        "folders of other users that are trusted, with colons; from the process environment alone",
    ),
    Variable("JOBCTL_LOGS_MAX_MIB", Kind.NUMBER, "MiB of a job's logs, at most", "64"),
    Variable("OTEL_TRACES_EXPORTER", Kind.TEXT, "otlp: traces of runs are sent; none: they are not"),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT", Kind.TEXT, "the collector: traces of runs are sent to its /v1/traces"
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Kind.TEXT, "where traces go, the whole URL"),
    Variable("OTEL_EXPORTER_OTLP_HEADERS", Kind.SECRET, "sent to the collector: name=value,name=value"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Kind.SECRET, "the same, for traces alone"),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", Kind.TEXT, "http/protobuf; by another no traces are sent"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", Kind.TEXT, "the same, for traces alone"),
    Variable("OTEL_SERVICE_NAME", Kind.TEXT, "what traces call this service; jobctl"),
    Variable("OTEL_SDK_DISABLED", Kind.TEXT, "true: no traces"),
    Variable("JOBCTL_METRICS_FILE", Kind.TEXTFILE, "kept fresh by run, for node_exporter: a .prom file"),
    Variable(
        "JOBCTL_CONTENT_CHANGED_URL", Kind.URL, "called after content changed: /api/cron/sync, or a webhook"
    ),
    Variable(
        "JOBCTL_CONTENT_CHANGED_SECRET",
        Kind.SECRET,
        "signs that webhook; CRON_SECRET",
        stand_in="CRON_SECRET",
    ),
    Variable("JOBCTL_CONTENT_MAX_FILES", Kind.NUMBER, "files and folders of the content, at most", "200000"),
    Variable("JOBCTL_CONTENT_MAX_MIB", Kind.NUMBER, "MiB of the content, at most", "5120"),
    Variable("JOBCTL_CONTENT_MAX_FILE_MIB", Kind.NUMBER, "MiB of one file; a larger is passed over", "100"),
    Variable("JOBCTL_CONTENT_MAX_DEPTH", Kind.NUMBER, "folders in each other; deeper is passed over", "64"),
    Variable("JOBCTL_CONTENT_MAX_SECONDS", Kind.NUMBER, "seconds of one network step of a sync", "120"),
    Variable(
        "JOBCTL_CONTENT_MAX_MEMORY_MIB", Kind.NUMBER, "MiB of memory that a sync takes, on Linux", "512"
    ),
)

VARIABLES = {variable.name: variable for variable in _ALL}
