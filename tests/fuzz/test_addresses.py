"""Any text as an address: of a database, a repository, a service, a monitor; refused without the password in it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from jobctl.catalogue.notify_settings import read_notify, resolved
from jobctl.errors import JobctlError
from jobctl.project import ProjectContext
from jobctl.project_location import ProjectLocation
from jobctl.settings.environment import Environment
from jobctl.site.content import remote as content
from jobctl.site.database import session as database
from jobctl.site.mail.providers import mail_settings, open_transport
from jobctl.subscribers.check_ins import CheckIn, check_in_url
from jobctl.subscribers.notification_channels import channels
from jobctl.trigger_dev.account import Account
from jobctl.urls import read_store_address
from tests.support.fuzzing import (
    FOREIGN,
    SECRET,
    SURROGATES,
    anything,
    bounded,
    check_message,
    examples,
    mutated,
    repeated,
)
from tests.support.trigger_dev import KEY

scheme = st.sampled_from(["http", "https", "HTTPS", "postgres", "postgresql", "sqlite", "file", "ftp", "javascript", ""])  # fmt: skip
user = st.sampled_from(["", f"u:{SECRET}@", f"{SECRET}@", f"u:{SECRET}@x@", f"u:p%40{SECRET}@", "@", ":@"])
host = st.sampled_from(
    ["localhost", "a.b", "[::1]", "[::1", "[x]", "", "a..b", ".", "a" * 64, "é.example", "xn--", "127.0.0.1", "\u2100.x", "%2f"]
)  # fmt: skip
port = st.sampled_from(["", ":1", ":0", ":65536", ":-1", ":٣", ":", ":x", ":" + "9" * 5000])
rest = st.sampled_from(["", "/", "/db", "/db?sslmode=require&schema=x", "?", "#f", "/a b", "/%", "//", "/db?schema=" + "x" * 99, "/é"])  # fmt: skip
whole = st.builds(
    "{}{}{}{}{}{}".format, scheme, st.sampled_from(["://", ":", ":///", "//"]), user, host, port, rest
)
text = mutated(whole, ":/?#@[]%&= " + FOREIGN + SURROGATES) | anything | repeated(whole | anything)


def environment(**values: str) -> Environment:
    found = Environment.load(Path("/nowhere"), values)
    found.require()
    return found


def notified(text: str) -> object:
    found, wrong = read_notify({"webhook": text, "slack": "$A"}, "jobctl.toml:1")
    assert wrong or check_in_url(resolved(text, environment(A=text), "jobctl.toml:1"), CheckIn.START, "1")
    return list(channels(found, ProjectContext(ProjectLocation(Path("/nowhere")), environment(A=text))))


def mailed(**values: str) -> object:
    found = environment(**values)
    return mail_settings(found), open_transport(found, Path("/nowhere"))


READERS: dict[str, Callable[[str], object]] = {
    "database": lambda text: database._place_of(database.read_database_url(text, Path("/nowhere"))),
    "run-store": read_store_address,
    "content": lambda text: content.read_repository_address(text, None, Path("/nowhere")),
    "trigger-dev": lambda text: Account.read(environment(TRIGGER_DEV_API_URL=text, TRIGGER_DEV_API_KEY=KEY)),
    "trigger-dev-key": lambda text: Account.read(environment(TRIGGER_DEV_API_KEY=KEY + text)),
    "resend": lambda text: mailed(RESEND_BASE_URL=text, RESEND_API_KEY="re_1"),
    "novu": lambda text: mailed(NOVU_BASE_URL=text, NOVU_API_KEY="key", EMAIL_PROVIDER="novu"),
    "resend-key": lambda text: mailed(RESEND_API_KEY=text),
    "smtp": lambda text: mailed(SMTP_HOST=text, EMAIL_PROVIDER="smtp"),
    "site": lambda text: mailed(NEXT_PUBLIC_APP_URL=text, COMPANY_NAME=text),
    "notify": notified,
}


@pytest.mark.parametrize("reader", READERS)
@examples(50)
@given(text)
@example(f"https://u:{SECRET}@[")
@example(f"postgresql://u:{SECRET}@h:99999/db")
@example("https://" + "a" * 64 + ".com")
@example("https://x:99999")
@example("sqlite:///a\0b")
@example(SURROGATES)
def test_any_text_is_an_address_or_is_refused_in_a_sentence(reader: str, text: str) -> None:
    assume(
        SECRET not in text or "@" in text
    )  # nothing else distinguishes a password from the rest of a text that is no URL
    with bounded():
        try:
            READERS[reader](text)
        except JobctlError as error:
            check_message(error)
