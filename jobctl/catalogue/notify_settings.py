"""The ``notify`` table of a project file."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from jobctl.errors import ConfigurationError
from jobctl.settings.environment import Environment
from jobctl.text import quote, suggestion
from jobctl.urls import ascii_url, demand_private, is_web_address

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)


class About(StrEnum):
    """What is told."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    MISSED = "missed"


class Notify(NamedTuple):
    """Who is told. A URL may be ``$NAME``: it is then that variable's text, for it is as good as a password.

    Attributes:
        webhook: gets the whole of it as JSON.
        slack: gets ``{"text"}``, as Slack and those that follow it take it.
        discord: gets ``{"content"}``.
        command: a program and its arguments; gets the JSON on its standard input.
        mail: addresses.
        on: what is told.
        where: the file that says so.
    """

    webhook: str | None = None
    slack: str | None = None
    discord: str | None = None
    command: tuple[str, ...] = ()
    mail: tuple[str, ...] = ()
    on: tuple[About, ...] = tuple(About)
    where: str = "notify"

    @property
    def urls(self) -> tuple[str | None, ...]:
        """Those that are told by a request."""
        return self.webhook, self.slack, self.discord

    @property
    def has_receivers(self) -> bool:
        """Whether there is anybody to tell."""
        return any((self.webhook, self.slack, self.discord, self.command, self.mail))


NOBODY = Notify()
KEYS = Notify._fields[:-1]
URLS = ("webhook", "slack", "discord")


class Fault(NamedTuple):
    """What is wrong with a key, and what would be right."""

    key: str
    message: str
    hint: str | None = None


def read_notify(value: Any, where: str) -> tuple[Notify, list[Fault]]:
    """The settings of a table, and all that is wrong with it."""
    if not isinstance(value, dict):
        return Notify(), [Fault("", "notify: expected a table", 'write { webhook = "https://…" }')]
    faults = list(_faults(value))
    if faults:
        return Notify(), faults
    mail = value.get("mail", [])
    return (
        Notify(
            **{key: value.get(key) for key in URLS},
            command=tuple(value.get("command", ())),
            mail=(mail,) if isinstance(mail, str) else tuple(mail),
            on=tuple(About(one) for one in value.get("on", About)),
            where=where,
        ),
        [],
    )


def _faults(table: Mapping[str, Any]) -> Iterator[Fault]:
    for key, value in table.items():
        if key in URLS:
            if not is_url(value):
                yield Fault(
                    key, f"notify.{key}: expected a URL", "write https://… or the name of a variable: $NAME"
                )
        elif key == "command":
            if not (_texts(value) and value and value[0]):
                yield Fault(
                    key, "notify.command: expected a list of texts", 'write ["notify-send", "jobctl"]'
                )
        elif key == "mail":
            yield from _mail_faults([value] if isinstance(value, str) else value)
        elif key == "on":
            if not (_texts(value) and set(value) <= set(About)):
                yield Fault(key, "notify.on: expected a list", f"of {', '.join(About)}")
        else:
            yield Fault(
                key,
                f"notify has no key {quote(key)}",
                suggestion(key, KEYS, f"Keys: {', '.join(KEYS)}"),
            )


def _mail_faults(addresses: object) -> Iterator[Fault]:
    if not (_texts(addresses) and addresses):
        yield Fault("mail", "notify.mail: expected an address, or a list of them")
        return
    from jobctl.site.mail.message import address_fault, parse_mailbox

    for fault in filter(None, (address_fault(parse_mailbox(one).address) for one in addresses)):
        yield Fault("mail", f"notify.mail: {fault}", "write name@example.com, or Name <name@example.com>")


def _texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) and "\0" not in one for one in value)


def is_url(value: object) -> bool:
    """Whether it is ``https://host…``, ``http://host…``, or the name of a variable."""
    if not isinstance(value, str):
        return False
    if _VARIABLE.fullmatch(value):
        return True
    return is_web_address(value) and "@" not in urlsplit(value).netloc


def demand_private_url(url: str) -> None:
    """That a URL may be asked for.

    Raises:
        PermanentJobError: the URL, which is as good as a password, would cross the network in clear.
    """
    name = f"the address at {urlsplit(url).hostname}"
    demand_private(url, name, "it, which is as good as a password,")


def resolved(url: str, environment: Environment, where: str) -> str:
    """The URL itself, where it names a variable.

    Raises:
        ConfigurationError: the variable holds none; ``where`` says who names it.
    """
    named = _VARIABLE.fullmatch(url)
    if named is None:
        return ascii_url(url)
    text = environment.merged().get(named[1]) or ""
    if not is_url(text) or text.startswith("$"):
        state = "is no URL" if text else "is not set"
        raise ConfigurationError(
            f"the URL is to be found in {named[1]}, which {state}",
            where=where,
            hint=f"set {named[1]} to https://…, in the environment or an .env file",
        )
    return ascii_url(text)
