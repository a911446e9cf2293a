from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from jobctl.settings.environment import Environment
from jobctl.site.mail.providers import open_transport
from jobctl.site.mail.transport import Transport
from tests.support.http_server import Novu, Resend, http_server
from tests.support.smtp_server import PASSWORD, USER, certificates, smtp_server, trust


class Post:
    """A transport as the settings choose it, and a look at what arrived at its other end."""

    def __init__(self, name: str, transport: Transport, arrived: Callable[[], list[dict[str, str]]]) -> None:
        self.name = name
        self.transport = transport
        self.arrived = arrived


def made(folder: Path, **variables: object) -> Transport:
    settings = {
        "EMAIL_FROM": "Toolshelf <hello@example.com>",
        **{name: str(value) for name, value in variables.items()},
    }
    return open_transport(Environment.load(folder, settings), folder / "outbox")


def read(mail: EmailMessage) -> dict[str, str]:
    parts = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
    words = {kind: part.get_content().replace("\r\n", "\n") if part else "" for kind, part in parts.items()}
    for part in mail.iter_attachments():
        assert isinstance(part, EmailMessage)
        words["attachment"] = f"{part.get_filename()}: {part.get_content()}".replace("\r\n", "\n")
    return {"to": str(mail["To"]), "from": str(mail["From"]), "subject": str(mail["Subject"]), **words}


@pytest.fixture(params=["smtp", "resend", "novu", "outbox"])
def post(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """Each of the four, with a real other end; SMTP with TLS and login."""
    with ExitStack() as stack:
        if request.param == "smtp":
            authority, context = certificates()
            monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
            server = stack.enter_context(smtp_server(starttls=context, login=True))
            transport = made(
                tmp_path, EMAIL_PROVIDER="smtp", SMTP_HOST="localhost", SMTP_PORT=server.port, SMTP_USER=USER,
                SMTP_PASSWORD=PASSWORD,
            )  # fmt: skip
            yield Post("smtp", transport, lambda: [read(mail) for mail in server.taken])
        elif request.param == "resend":
            resend = Resend()
            provider = stack.enter_context(http_server(resend))
            transport = made(tmp_path, RESEND_API_KEY=Resend.KEY, RESEND_BASE_URL=provider.url)
            yield Post("resend", transport, lambda: [_of_resend(body) for body in resend.sent.values()])
        elif request.param == "novu":
            novu = Novu()
            provider = stack.enter_context(http_server(novu))
            transport = made(
                tmp_path, EMAIL_PROVIDER="novu", NOVU_API_KEY=Novu.KEY, NOVU_BASE_URL=provider.url
            )
            yield Post("novu", transport, lambda: [_of_novu(body) for body in novu.sent.values()])
        else:
            yield Post("outbox", made(tmp_path), lambda: _in(tmp_path / "outbox"))


def _in(folder: Path) -> list[dict[str, str]]:
    mails = [message_from_bytes(file.read_bytes(), policy=default) for file in sorted(folder.glob("*.eml"))]
    return [read(mail) for mail in mails]


def _attached(found: list[dict[str, str]], name: str, content: str) -> dict[str, str]:
    if not found:
        return {}
    (one,) = found
    return {"attachment": f"{one[name]}: {b64decode(one[content]).decode()}"}


def _of_resend(body: dict[str, Any]) -> dict[str, str]:
    return {
        **_attached(body.get("attachments", []), "filename", "content"),
        "to": body["to"][0].replace('"', ""), "from": body["from"].replace('"', ""), "subject": body["subject"],
        "plain": body["text"], "html": body["html"],
    }  # fmt: skip


def _of_novu(body: dict[str, Any]) -> dict[str, str]:
    name = body["to"].get("firstName")
    address = body["to"]["email"]
    email = body["overrides"]["email"]
    return {
        **_attached(body["payload"].get("attachments", []), "name", "file"),
        "to": f"{name} <{address}>" if name else address, "from": f"{email['senderName']} <{email['from']}>",
        "subject": body["payload"]["subject"], "plain": body["payload"]["text"], "html": body["payload"]["html"],
    }  # fmt: skip
