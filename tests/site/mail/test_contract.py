"""What every transport promises, told by what arrives at its other end."""

from dataclasses import replace

import pytest

from jobctl.site.mail.message import Attachment, Message
from tests.site.mail.conftest import Post

MESSAGE = Message(
    "ada@example.com", "Hello", "<p>Hello Ada</p>\n", "Hello Ada\n", "greeting/1", "Ada Lovelace"
)
NASTY = [
    "Ann\r\nBcc: all@example.com", "Zoë 🙂", "علي حسن", "<script>alert(1)</script>", 'quo"ted \\ <b@c.d>', "a" * 300,
    "comma, semi; (paren)",
]  # fmt: skip


def test_a_mail_arrives_whole(post: Post) -> None:
    with post.transport as transport:
        transport.send(MESSAGE)

    (mail,) = post.arrived()
    assert mail == {
        "to": "Ada Lovelace <ada@example.com>",
        "from": "Toolshelf <hello@example.com>",
        "subject": "Hello",
        "plain": "Hello Ada\n",
        "html": "<p>Hello Ada</p>\n",
    }


def test_many_go_one_after_the_other(post: Post) -> None:
    with post.transport as transport:
        for number in range(20):
            transport.send(replace(MESSAGE, to=f"user{number}@example.com", key=f"k{number}", name=""))

    assert sorted(mail["to"] for mail in post.arrived()) == sorted(
        f"user{number}@example.com" for number in range(20)
    )


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_a_name_and_nothing_else(post: Post, name: str) -> None:
    with post.transport as transport:
        transport.send(replace(MESSAGE, name=name, subject=f"For {name}"))

    (mail,) = post.arrived()
    assert "ada@example.com" in mail["to"]
    assert mail["to"].count("@example.com") == 1 + name.count("@example.com")
    assert "\n" not in mail["to"] + mail["subject"]
    assert mail["subject"].startswith("For ")
    assert mail["plain"] == "Hello Ada\n"


def test_words_of_any_language_arrive(post: Post) -> None:
    text = "Grüße, 你好, مرحبا 🙂\n" + "x" * 2000 + "\n.\n..dots\nFrom here\n"
    with post.transport as transport:
        transport.send(replace(MESSAGE, text=text, html=f"<p>{text}</p>\n"))

    (mail,) = post.arrived()
    assert mail["plain"] == text
    assert text in mail["html"]


def test_a_page_goes_along(post: Post) -> None:
    page = Attachment("report.html", "<h1>Grüße 🙂</h1>\n" * 200)
    with post.transport as transport:
        transport.send(replace(MESSAGE, attachment=page))

    (mail,) = post.arrived()
    assert mail["attachment"] == f"report.html: {page.html}"
    assert mail["plain"] == "Hello Ada\n"


def test_the_same_key_again_does_no_harm_where_it_is_said(post: Post) -> None:
    with post.transport as transport:
        transport.send(MESSAGE)
        transport.send(MESSAGE)

    assert len(post.arrived()) == (1 if post.transport.repeatable else 2)
    assert post.transport.repeatable is (post.name != "smtp")


def test_it_can_be_tried_without_sending(post: Post) -> None:
    with post.transport as transport:
        clause = transport.check()

    assert clause
    assert post.arrived() == []
