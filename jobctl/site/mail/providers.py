"""Chooses the provider that sends mail, from the site's own variables."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobctl.errors import ConfigurationError, NotRunError
from jobctl.settings.environment import Environment
from jobctl.urls import ascii_domain

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.site.mail.message import Message, Sender
    from jobctl.site.mail.transport import Transport

_NEEDED = {"resend": "RESEND_API_KEY", "novu": "NOVU_API_KEY", "smtp": "SMTP_HOST"}
_OUTBOX, _ETHEREAL = "outbox", "ethereal"


class MailSettings(NamedTuple):
    """What all mails of a site have in common."""

    app_url: str
    company: str
    support: str


def unmet(environment: Environment) -> str | None:
    """What is missing before mail can be sent, as a clause; None if nothing is.

    Outside production no provider is needed: mails go to the outbox.
    """
    if _provider(environment) is not None:
        return None
    return f"{_NEEDED[environment.choice('EMAIL_PROVIDER') or 'resend']} is not set"


def note(environment: Environment) -> str | None:
    """A warning about the provider, as a sentence, or None."""
    if environment.choice("EMAIL_PROVIDER") != _ETHEREAL:
        return None
    place = environment.value("EMAIL_PROVIDER").source
    return f"EMAIL_PROVIDER is ethereal ({place}), which delivers nothing: mails are written to the outbox"


def mail_settings(environment: Environment) -> MailSettings:
    """Read what all mails have in common."""
    return MailSettings(
        app_url=(environment.url("NEXT_PUBLIC_APP_URL") or "").rstrip("/"),
        company=environment.text("COMPANY_NAME") or "",
        support=environment.text("EMAIL_SUPPORT") or _sender(environment).address,
    )


def open_transport(
    environment: Environment, outbox: Path, before_data: "Callable[[Message], None] | None" = None
) -> "Transport":
    """Return the transport that the settings name.

    Args:
        outbox: the folder for mails without a provider.
        before_data: called before the content of a mail is sent, if the transport is not ``repeatable``.

    Raises:
        NotRunError: no provider is configured.
        ConfigurationError: a variable has an invalid value.
    """
    sender = _sender(environment)
    provider = _provider(environment)
    if provider is None:
        raise NotRunError(f"no mail can be sent: {unmet(environment)}")
    if provider == _OUTBOX:
        from jobctl.site.mail.transport import Outbox

        return Outbox(outbox, sender)
    if provider == "smtp":
        from jobctl.site.mail.smtp import Smtp

        return Smtp(
            _smtp_host(environment),
            environment.port("SMTP_PORT") or 587,
            sender,
            user=environment.text("SMTP_USER"),
            password=environment.secret("SMTP_PASSWORD"),
            before_data=before_data,
        )
    key = environment.secret(_NEEDED[provider])
    if key is None:
        raise AssertionError("a provider without its key is not chosen")
    if provider == "novu":
        from jobctl.site.mail.novu import Novu

        workflow = environment.text("NOVU_TEMPLATE_ID") or ""
        return Novu(environment.url("NOVU_BASE_URL") or "", key, sender, workflow=workflow)
    from jobctl.site.mail.resend import Resend

    return Resend(environment.url("RESEND_BASE_URL") or "", key, sender)


def _smtp_host(environment: Environment) -> str:
    try:
        return ascii_domain(environment.text("SMTP_HOST") or "")
    except ValueError:
        where = str(environment.value("SMTP_HOST").source)
        raise ConfigurationError("SMTP_HOST is not a valid host name", where=where) from None


def _sender(environment: Environment) -> "Sender":
    from jobctl.site.mail.message import parse_sender

    return parse_sender(environment.text("EMAIL_FROM") or "", str(environment.value("EMAIL_FROM").source))


def _provider(environment: Environment) -> str | None:
    """The configured provider; without one the outbox, or None in production."""
    provider = environment.choice("EMAIL_PROVIDER") or "resend"
    if provider == _ETHEREAL:
        return _OUTBOX
    if environment.text(_NEEDED[provider]):
        return provider
    return None if environment.text("NODE_ENV") == "production" else _OUTBOX
