"""Messages and their words: addresses, senders, templates, amounts and dates."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobctl.errors import ConfigurationError, NotRunError
from jobctl.settings.environment import Environment
from jobctl.site.english_formats import long_date, money, per, plan_name
from jobctl.site.mail.message import (
    Mailbox,
    Sender,
    address_fault,
    encoded,
    parse_mailbox,
    parse_mailboxes,
    parse_sender,
)
from jobctl.site.mail.providers import mail_settings, open_transport, unmet
from jobctl.site.mail.render import KINDS, render

FACTS: dict[str, Any] = {
    "name": "Ada", "plan": "premium", "amount": 19, "currency": "usd", "interval": "month", "interval_count": 1,
    "date": datetime(2026, 1, 5, 23, 30, tzinfo=UTC), "subscription_id": "sub_1", "app_url": "https://x.example",
    "company": "Acme & Co", "support": "help@x.example", "status": "expired", "title": "Weekly", "period": "Week 1",
    "headlines": [("Sign-ups", "41", "+17 % (35 before)")],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_is_complete_escaped_and_narrow(kind: str) -> None:
    evil = "<b>x</b>&\r\nBcc: y"
    subject, html, text = render(kind, **FACTS | {"name": evil, "company": evil, "title": evil})

    assert "\n" not in subject
    assert subject
    assert "<b>x" not in html
    assert "Bcc: y\n" not in text.replace("& Bcc: y", "")
    assert max(len(line) for line in text.splitlines() if "http" not in line) <= 72
    assert "<html" not in text
    for outside in ("<img", "<link", "<script", "@import", "url("):
        assert outside not in html


def test_a_missing_fact_is_an_error_and_no_blank() -> None:
    from jinja2 import UndefinedError

    facts = {name: value for name, value in FACTS.items() if name != "amount"}
    with pytest.raises(UndefinedError, match="amount"):
        render("renewal_reminder", **facts)


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_the_mail_says_how_a_subscription_ended(status: str) -> None:
    _, html, text = render("subscription_ended", **FACTS | {"status": status})

    words = {"expired": "it was not renewed", "cancelled": "automatic renewal was off"}[status]
    assert words in html
    assert words in text
    assert "https://x.example/client/settings/profile/billing" in text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(19, "usd", "$19.00"), (1234567, "USD", "$1,234,567.00"), (29.5, "eur", "€29.50"), (1900, "jpy", "¥1,900"),
     (19, "xyz", "19.00 XYZ"), (0, "gbp", "£0.00"), (None, "usd", "$0.00"),
     (-19, "usd", "-$19.00"), (-5, "xyz", "-5.00 XYZ"), (15, "kwd", "15.000 KWD"), (500, "isk", "500 ISK"),
     (7, "UGX", "7 UGX"), (1, "iqd", "1.000 IQD"), (1, "mga", "1.00 MGA"), (1, "", "$1.00")],
)  # fmt: skip
def test_amounts_are_whole_units_shown_with_the_decimals_of_their_currency(
    amount: float | None, currency: str, text: str
) -> None:
    assert money(amount, currency) == text


def test_dates_plans_and_intervals() -> None:
    assert long_date(datetime.fromisoformat("2026-01-05T23:30:00-05:00")) == "Tuesday, January 6, 2026"
    assert [plan_name(one) for one in ("free", "standard", "")] == ["Free Plan", "Standard Plan", "Plan"]
    assert [per("month", 1), per("year", 2)] == ["per month", "every 2 years"]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c",
        "ada+tag@mail.example.com",
        "zoë@example.com",
        "a@bücher.example",
        "o'neil@example.com",
        '"ada \\" b"@example.com',
        "a@[192.0.2.1]",
        "a@[IPv6:::1]",
        "max@faß.de",
    ],
)
def test_addresses_that_can_be_sent_to(address: str) -> None:
    assert address_fault(address) is None


@pytest.mark.parametrize(
    ("address", "words"),
    [("", "no mail address"), ("ada", "is not a mail address"), ("a@b@c", "is not"), ("a b@c.d", "is not"),
     ("a@b.c\r\nBcc: d@e.f", "control characters"), ("a@b,c", "is not"), ("<a@b.c>", "is not"),
     ("a@" + "b" * 260, "longer than 254"), ("a@" + "ü" * 70 + ".de", "domain"),
     ("a@b..c", "domain"), ("a@-b.c", "domain"), ("a@b.c.", "domain"), ("a@" + "b" * 64 + ".c", "domain"),
     ("a\u202eb@c.d", "control characters"), ("a\udc80@b.c", "control characters"), ("ü" * 126 + "@b.de", "longer than 254"),
     ("a@[1.2.3]", "domain"), ("a@[x]", "domain"), ('"a@b.c', "is not")],
)  # fmt: skip
def test_addresses_that_cannot(address: str, words: str) -> None:
    assert words in (address_fault(address) or "")


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [("a@b.c", "a@b.c", ""), (" Ann B <a@b.c> ", "a@b.c", "Ann B"), ("info@site.com <no-reply@b.c>", "no-reply@b.c", "info@site.com"),
     ('"Doe, \\"J\\" <x@y.z>" <a@b.c>', "a@b.c", 'Doe, "J" <x@y.z>'), ("<a@b.c>", "a@b.c", ""), ("a@b.c (Ann)", "a@b.c", "Ann"),
     ("Ann <>", "", "Ann"), ("Ann <a@b.c> (home)", "a@b.c", "Ann"), ("X <a@b.c>, Y <d@e.f>", "X <a@b.c>, Y <d@e.f>", "")],
)  # fmt: skip
def test_what_stands_in_angle_brackets_is_the_address(text: str, address: str, name: str) -> None:
    assert parse_mailbox(text) == Mailbox(address, name)


def test_several_addresses() -> None:
    text = 'a@b.c, "Doe, Jane" <d@e.f>,,Ops <o@p.q>'

    assert list(parse_mailboxes(text)) == [
        Mailbox("a@b.c"),
        Mailbox("d@e.f", "Doe, Jane"),
        Mailbox("o@p.q", "Ops"),
    ]


@pytest.mark.parametrize(
    ("address", "wanted"),
    [("max@faß.de", "max@xn--fa-hia.de"), ("a@BÜCHER.example", "a@xn--bcher-kva.example"), ("a@βόλος.com", "a@xn--nxasmm1c.com"),
     ("a@B.c", "a@B.c")],
)  # fmt: skip
def test_a_domain_is_the_one_that_was_written(address: str, wanted: str) -> None:
    """By IDNA 2008; by IDNA 2003, which Python has, ``faß.de`` is ``fass.de``: another owner's."""
    assert encoded(address) == wanted


def test_senders() -> None:
    assert parse_sender("hello@example.com") == Sender("hello@example.com")
    assert parse_sender("Tool Shelf <hello@example.com>") == Sender("hello@example.com", "Tool Shelf")
    assert str(Sender("a@b.c", 'Ann "x" Y')) == '"Ann \\"x\\" Y" <a@b.c>'
    with pytest.raises(ConfigurationError, match='EMAIL_FROM is "nobody", expected an address'):
        parse_sender("nobody")


def environment(folder: Path, **variables: str) -> Environment:
    return Environment.load(folder, variables)


@pytest.mark.parametrize(
    ("variables", "name", "missing"),
    [
        ({}, "outbox", None),
        ({"EMAIL_PROVIDER": "smtp"}, "outbox", None),
        ({"RESEND_API_KEY": "re_1"}, "resend", None),
        ({"EMAIL_PROVIDER": "Novu", "NOVU_API_KEY": "k"}, "novu", None),
        ({"EMAIL_PROVIDER": "RESEND", "RESEND_API_KEY": "k"}, "resend", None),
        ({"EMAIL_PROVIDER": "Ethereal", "NODE_ENV": "production"}, "outbox", None),
        ({"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "h"}, "smtp", None),
        ({"NODE_ENV": "production"}, None, "RESEND_API_KEY is not set"),
        ({"NODE_ENV": "production", "EMAIL_PROVIDER": "novu"}, None, "NOVU_API_KEY is not set"),
        ({"NODE_ENV": "production", "EMAIL_PROVIDER": "smtp"}, None, "SMTP_HOST is not set"),
        ({"NODE_ENV": "production", "EMAIL_PROVIDER": "smtp", "SMTP_HOST": "h"}, "smtp", None),
    ],
)
def test_which_provider(
    tmp_path: Path, variables: dict[str, str], name: str | None, missing: str | None
) -> None:
    found = environment(tmp_path, **variables)

    assert unmet(found) == missing
    if name is None:
        with pytest.raises(NotRunError, match="no mail can be sent"):
            open_transport(found, tmp_path)
    else:
        assert open_transport(found, tmp_path).name == name


def test_settings_that_mails_have_in_common(tmp_path: Path) -> None:
    plain = mail_settings(environment(tmp_path))
    own = mail_settings(
        environment(
            tmp_path, EMAIL_FROM="A <a@b.c>", NEXT_PUBLIC_APP_URL="https://x.example/", COMPANY_NAME="X"
        )
    )

    assert plain == ("https://ever.works", "Ever Works", "info@ever.works")
    assert own == ("https://x.example", "X", "a@b.c")
