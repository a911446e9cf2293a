"""The ``notify`` table of a project file: where notifications go, and of what."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from jobctl.errors import ConfigurationError
from jobctl.settings.environment import Environment
from jobctl.text import IDENTIFIER, quote, suggestion
from jobctl.urls import ascii_url, demand_private, is_web_address

_VARIABLE = rf"\$({IDENTIFIER})"


class NotificationKind(StrEnum):
    """What people are notified of."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    MISSED = "missed"
    LATE = "late"
    ON_TIME = "on-time"
    TEST = "test"


OCCASIONS = tuple(kind for kind in NotificationKind if kind is not NotificationKind.TEST)
"""What ``notify.on`` may choose from."""


class Notify(NamedTuple):
    """The receivers of notifications. A URL grants access, so it may be ``$NAME``, the variable that holds it.

    Attributes:
        webhook: URL that receives the whole notification as JSON.
        slack: URL that receives ``{"text"}``, of Slack or a compatible service.
        discord: URL that receives ``{"content"}``.
        command: program and arguments; receives the JSON on its standard input.
        mail: addresses.
        on: the occasions.
        where: the place of the table, for messages.
    """

    webhook: str | None = None
    slack: str | None = None
    discord: str | None = None
    command: tuple[str, ...] = ()
    mail: tuple[str, ...] = ()
    on: tuple[NotificationKind, ...] = OCCASIONS
    where: str = "notify"

    @property
    def urls(self) -> tuple[str | None, ...]:
        """The URLs, in the order of ``URLS``."""
        return self.webhook, self.slack, self.discord

    @property
    def has_receivers(self) -> bool:
        """Whether notifications go anywhere."""
        return any((self.webhook, self.slack, self.discord, self.command, self.mail))


KEYS = Notify._fields[:-1]
URLS = ("webhook", "slack", "discord")


class NotifyFault(NamedTuple):
    """An error in a key of the table."""

    key: str
    message: str
    hint: str | None = None


def read_notify(value: Any, where: str) -> tuple[Notify, list[NotifyFault]]:
    """Read the table; also returns all errors in it."""
    if not isinstance(value, dict):
        return Notify(), [NotifyFault("", "notify: expected a table", 'write { webhook = "https://…" }')]
    faults = list(_faults(value))
    if faults:
        return Notify(), faults
    mail = value.get("mail", [])
    return (
        Notify(
            **{key: value.get(key) for key in URLS},
            command=tuple(value.get("command", ())),
            mail=(mail,) if isinstance(mail, str) else tuple(mail),
            on=tuple(NotificationKind(one) for one in value.get("on", OCCASIONS)),
            where=where,
        ),
        [],
    )


def _faults(table: Mapping[str, Any]) -> Iterator[NotifyFault]:
    for key, value in table.items():
        if key in URLS:
            if not is_url(value):
                yield NotifyFault(
                    key, f"notify.{key}: expected a URL", "write https://… or the name of a variable: $NAME"
                )
        elif key == "command":
            if not (_texts(value) and value and value[0]):
                yield NotifyFault(
                    key, "notify.command: expected a list of texts", 'write ["notify-send", "jobctl"]'
                )
        elif key == "mail":
            yield from _mail_faults([value] if isinstance(value, str) else value)
        elif key == "on":
            if not (_texts(value) and set(value) <= set(OCCASIONS)):
                yield NotifyFault(key, "notify.on: expected a list", f"of {', '.join(OCCASIONS)}")
        else:
            yield NotifyFault(
                key,
                f"notify has no key {quote(key)}",
                suggestion(key, KEYS, f"Keys: {', '.join(KEYS)}"),
            )


def _mail_faults(addresses: object) -> Iterator[NotifyFault]:
    if not (_texts(addresses) and addresses):
        yield NotifyFault("mail", "notify.mail: expected an address, or a list of them")
        return
    from jobctl.site.mail.message import address_fault, parse_mailbox

    for fault in filter(None, (address_fault(parse_mailbox(one).address) for one in addresses)):
        yield NotifyFault(
            "mail", f"notify.mail: {fault}", "write name@example.com, or Name <name@example.com>"
        )


def _texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) and "\0" not in text for text in value)


def is_url(value: object) -> bool:
    """Whether it is ``https://host…``, ``http://host…``, or the name of a variable."""
    if not isinstance(value, str):
        return False
    if re.fullmatch(_VARIABLE, value):
        return True
    return is_web_address(value) and "@" not in urlsplit(value).netloc


def demand_private_url(url: str) -> None:
    """Check that a URL, which grants access, may be requested.

    Raises:
        PermanentJobError: it would cross the network unencrypted.
    """
    demand_private(url, f"the address at {urlsplit(url).hostname}", "it, which is as good as a password,")


def resolved(url: str, environment: Environment, where: str) -> str:
    """The URL in ASCII; for ``$NAME`` the value of that variable.

    Args:
        where: the place of the setting, for the error.

    Raises:
        ConfigurationError: the variable is not set or is not a URL.
    """
    named = re.fullmatch(_VARIABLE, url)
    if named is None:
        return ascii_url(url)
    text = environment.merged().get(named[1]) or ""
    if not is_url(text) or text.startswith("$"):
        state = "is not a URL" if text else "is not set"
        raise ConfigurationError(
            f"the URL comes from {named[1]}, which {state}",
            where=where,
            hint=f"set {named[1]} to https://…, in the environment or an .env file",
        )
    return ascii_url(text)
