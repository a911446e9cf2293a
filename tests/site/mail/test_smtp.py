"""SMTP against a real server: encryption, login, refusals, silence, lost connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender
from jobctl.site.mail.smtp import Smtp
from jobctl.site.mail.transport import MailRefusedError, UnknownOutcomeError
from tests.support.smtp_server import PASSWORD, USER, Mails, certificates, smtp_server, trust

MESSAGE = Message("ada@example.com", "Hello", "<p>Hello</p>", "Hello", "k1")
SENDER = Sender("hello@example.com", "Toolshelf")


def numbered(number: int) -> Message:
    return replace(MESSAGE, to=f"user{number}@example.com", key=f"k{number}")


def smtp(server: Mails, host: str = "127.0.0.1", password: str | None = None) -> Smtp:
    secret = Secret(password) if password else None
    return Smtp(host, server.port, SENDER, user=USER if password else None, password=secret)


def numbered_and_noted(server: Mails, notes: list[str]) -> Smtp:
    return Smtp("127.0.0.1", server.port, SENDER, before_data=lambda message: notes.append(message.key))


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls at once"])
def test_encrypted_with_login(*, implicit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = certificates()
    monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
    at_once, later = (context, None) if implicit else (None, context)
    with smtp_server(login=True, implicit=at_once, starttls=later) as server:
        monkeypatch.setattr("jobctl.site.mail.smtp.IMPLICIT_TLS", server.port if implicit else 465)
        with smtp(server, password=PASSWORD) as transport:
            assert transport.check() == f"encrypted, logged in as {USER}"
            transport.send(MESSAGE)

    assert [str(mail["To"]) for mail in server.taken] == ["ada@example.com"]
    assert server.connections == 1
    if not implicit:
        assert server.encrypted == [True]


def test_an_untrusted_certificate_is_refused() -> None:
    _, context = certificates()
    with smtp_server(starttls=context) as server, smtp(server) as transport:
        with pytest.raises(PermanentJobError, match="is not trusted") as told:
            transport.send(MESSAGE)
        assert told.value.hint == "set SSL_CERT_FILE to the certificate of your own authority"


def test_a_wrong_password_is_reported_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = certificates()
    monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
    with (
        smtp_server(starttls=context, login=True) as server,
        smtp(server, password="wrong-word") as transport,
    ):
        with pytest.raises(PermanentJobError) as told:
            transport.send(MESSAGE)
    assert str(told.value) == f"the mail server 127.0.0.1:{server.port} refused the login of {USER} (535)"
    assert "wrong-word" not in repr(told.value.__cause__)


def test_a_password_beyond_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = certificates()
    monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
    with smtp_server(starttls=context, login=True, password="schlüssel") as server:
        with smtp(server, password="schlüssel") as transport:
            assert transport.check() == f"encrypted, logged in as {USER}"
        with smtp(server, password="lösung") as transport, pytest.raises(PermanentJobError, match="535"):
            transport.check()


@pytest.mark.parametrize("host", ["mail.example.com", "localhost.example.com", "127.example.com"])
def test_a_password_never_goes_over_a_network_in_clear(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_server() as server:
        monkeypatch.setattr(socket, "getaddrinfo", _everything_is_here)
        with (
            smtp(server, host=host, password=PASSWORD) as transport,
            pytest.raises(PermanentJobError) as told,
        ):
            transport.send(MESSAGE)
    assert "offers no encryption, so the password is not sent" in str(told.value)


_real_getaddrinfo = socket.getaddrinfo


def _everything_is_here(host: str, *others: object, **more: object) -> object:
    return _real_getaddrinfo("127.0.0.1", *others, **more)  # type: ignore[arg-type]


def test_a_login_that_the_server_requires_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = certificates()
    monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
    with smtp_server(starttls=context, login=True) as server, smtp(server) as transport:
        with pytest.raises(PermanentJobError, match="demands a login"):
            transport.send(MESSAGE)


def test_one_refused_recipient_leaves_the_connection_good() -> None:
    with smtp_server() as server, smtp(server) as transport:
        server.refuse["user1@example.com"] = "550 no such user"
        server.refuse["user2@example.com"] = "450 try later"
        transport.send(numbered(0))
        for number, words in ((1, "550 no such user"), (2, "450 try later")):
            with pytest.raises(MailRefusedError, match=words):
                transport.send(numbered(number))
        server.answer = lambda mail: "552 too big" if "user3" in str(mail["To"]) else None
        with pytest.raises(MailRefusedError, match="552 too big"):
            transport.send(numbered(3))
        transport.send(numbered(4))

    assert server.recipients == ["user0@example.com", "user4@example.com"]
    assert server.connections == 1


def test_a_refused_sender_fails_for_good() -> None:
    with smtp_server() as server, smtp(server) as transport:
        server.refuse_sender = "550 not you"
        with pytest.raises(PermanentJobError, match=r"refused the sender hello@example.com: 550 not you"):
            transport.send(MESSAGE)
        server.refuse_sender = "451 busy"
        with pytest.raises(ServiceError, match="accepts no mail now: 451 busy"):
            transport.send(MESSAGE)


def test_a_connection_that_was_closed_between_mails_is_made_anew() -> None:
    with smtp_server() as server, smtp(server) as transport:
        server.close_after = 2
        for number in range(6):
            transport.send(numbered(number))

    assert len(server.taken) == 6
    assert server.connections == 3


@pytest.mark.parametrize("said", ["421 enough", ""], ids=["said so", "closed"])
def test_a_connection_that_ends_before_the_content_is_made_anew(said: str) -> None:
    noted: list[str] = []
    with smtp_server() as server, numbered_and_noted(server, noted) as transport:
        transport.send(numbered(1))
        server.at_data = [said]
        transport.send(numbered(2))

    assert server.recipients == ["user1@example.com", "user2@example.com"]
    assert server.connections == 2
    assert noted == ["k1", "k2"]


def test_content_that_the_server_does_not_ask_for_is_not_handed_over() -> None:
    noted: list[str] = []
    with smtp_server() as server, numbered_and_noted(server, noted) as transport:
        server.at_data = ["554 no valid recipients"]
        with pytest.raises(MailRefusedError, match="554 no valid recipients"):
            transport.send(numbered(1))
        transport.send(numbered(2))

    assert server.connections == 1
    assert noted == ["k2"]


def test_a_mail_that_cannot_be_noted_is_not_handed_over() -> None:
    def full(_: Message) -> None:
        raise ServiceError("the disk is full")

    with smtp_server() as server:
        with Smtp("127.0.0.1", server.port, SENDER, before_data=full) as transport:
            for _ in range(2):
                with pytest.raises(ServiceError, match="the disk is full"):
                    transport.send(MESSAGE)
        assert server.taken == []


def test_lines_that_begin_with_a_dot_arrive() -> None:
    text = "one\n.\n..two\r\n.three\r.\rQUIT\n"
    with smtp_server() as server, smtp(server) as transport:
        transport.send(replace(MESSAGE, text=text))

    (mail,) = server.taken
    part = mail.get_body(("plain",))
    assert part is not None
    assert part.get_content().replace("\r\n", "\n").rstrip() == "one\n.\n..two\n.three\n.\nQUIT"


def test_no_server_at_all() -> None:
    with smtp_server() as server:
        pass
    with smtp(server) as transport, pytest.raises(ServiceError, match="the connection was refused"):
        transport.send(MESSAGE)


def test_no_such_host() -> None:
    with (
        Smtp("no-such-host.invalid", 25, SENDER) as transport,
        pytest.raises(ServiceError, match="did not answer"),
    ):
        transport.send(MESSAGE)


@contextmanager
def silent_port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


@contextmanager
def scripted(answers: list[bytes]) -> Iterator[tuple[int, list[str]]]:
    """A server that greets and answers each line with the next answer, then closes; and the lines that it got."""
    heard: list[str] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(answers[0])
                for one in answers[1:]:
                    heard.append(lines.readline().decode().strip())
                    client.sendall(one)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join()


def test_a_server_that_says_nothing() -> None:
    with silent_port() as port, Smtp("127.0.0.1", port, SENDER, timeout=0.2) as transport:
        with pytest.raises(ServiceError, match=r"did not answer in 0.2 s"):
            transport.send(MESSAGE)


def test_silence_after_the_content_is_an_unknown_outcome() -> None:
    handed: list[str] = []
    with smtp_server() as server:
        server.answer = lambda _: "silent"
        transport = Smtp(
            "127.0.0.1",
            server.port,
            SENDER,
            timeout=0.5,
            before_data=lambda message: handed.append(message.key),
        )
        with (
            transport,
            pytest.raises(UnknownOutcomeError, match="gave no answer after a mail was handed over"),
        ):
            transport.send(MESSAGE)
        assert len(server.taken) == 1
    assert handed == ["k1"]


def test_a_server_that_goes_down_in_between_is_no_unknown_outcome() -> None:
    with smtp_server() as server, smtp(server) as transport:
        transport.send(numbered(1))
        server.answer = lambda _: "421 closing"
        with pytest.raises(ServiceError, match="accepts no mail now: 421 closing") as told:
            transport.send(numbered(2))
    assert not isinstance(told.value, UnknownOutcomeError)


def test_an_answer_that_means_nothing_is_an_unknown_outcome() -> None:
    with smtp_server() as server, smtp(server) as transport:
        server.answer = lambda _: "what?"
        with pytest.raises(UnknownOutcomeError):
            transport.send(MESSAGE)


def test_an_address_beyond_ascii() -> None:
    with smtp_server() as server, smtp(server) as transport:
        transport.send(replace(MESSAGE, to="zoë@example.com"))
        transport.send(replace(MESSAGE, to="ada@bücher.example"))

    assert server.recipients == ["zoë@example.com", "ada@xn--bcher-kva.example"]


def test_the_message_id_follows_from_the_key() -> None:
    with smtp_server() as server, smtp(server) as transport:
        for key in ("a", "a", "b"):
            transport.send(replace(MESSAGE, key=key))

    first, second, third = (str(mail["Message-ID"]) for mail in server.taken)
    assert first == second != third
    assert first.endswith("@example.com>")
    assert server.taken[0]["Auto-Submitted"] == "auto-generated"


def test_several_threads_each_with_a_transport() -> None:
    with smtp_server() as server:

        def send(number: int) -> None:
            with smtp(server) as transport:
                transport.send(numbered(number))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.taken) == 5


@pytest.mark.parametrize(
    ("name", "greeting"),
    [("podcast_craft_1.podcast_internal", "[127.0.0.1]"), ("localhost", "[127.0.0.1]"), ("x", "[127.0.0.1]"),
     ("1.0.0.127.in-addr.arpa", "[127.0.0.1]"), ("mail.example.com", "mail.example.com")],
)  # fmt: skip
def test_the_greeting_is_one_that_servers_take(
    name: str, greeting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: name)
    with scripted([b"220 hi\r\n", b"250 hi\r\n", b"221 bye\r\n"]) as (port, heard):
        with Smtp("127.0.0.1", port, SENDER) as transport:
            transport.check()
    assert heard[0] == f"ehlo {greeting}"


def test_a_refused_greeting_is_reported_with_the_answer() -> None:
    with scripted([b"220 hi\r\n", b"501 5.5.4 argument invalid\r\n"]) as (port, _):
        with Smtp("127.0.0.1", port, SENDER) as transport, pytest.raises(PermanentJobError) as caught:
            transport.check()
    assert str(caught.value).endswith("refused the greeting: 501 5.5.4 argument invalid")


def test_a_server_that_knows_only_helo() -> None:
    answers = [b"220 hi\r\n", b"502 what\r\n", b"250 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"]
    with scripted(answers) as (port, heard), Smtp("127.0.0.1", port, SENDER) as transport:
        assert transport.check() == "not encrypted, no login"
    assert heard[1].startswith("helo ")
