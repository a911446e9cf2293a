"""What goes over the wire, whatever names, subjects and texts hold."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st

from jobctl.site.mail.message import Message, Sender, one_line, to_bytes

AT = datetime(2026, 1, 5, tzinfo=UTC)
HEADERS = ["MIME-Version", "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type"]

hostile = st.one_of(
    st.text(max_size=200),
    st.text(st.sampled_from('a ,;:"<>@()\\.=?\r\n\0\t\u2028é\u05d0🙂\ud800'), max_size=200),
    st.sampled_from(
        [
            "x\r\nBcc: eve@example.com",
            "<script>alert(1)</script>",
            "שלום, עולם",
            'a", eve@example.com, "b',
            "=?utf-8?q?=0ABcc?=",
        ]
    ),
)


@given(name=hostile, company=hostile, subject=hostile, text=hostile)
def test_nothing_from_outside_becomes_a_header_an_address_or_a_bare_line_end(
    name: str, company: str, subject: str, text: str
) -> None:
    message = Message("ada@example.com", subject, f"<p>{text}</p>", text, "k1", name)
    data = to_bytes(message, Sender("hello@example.com", company), AT)
    mail = message_from_bytes(data, policy=default)

    assert mail.keys() == HEADERS
    assert [one.addr_spec for one in mail["To"].addresses] == ["ada@example.com"]
    assert [one.addr_spec for one in mail["From"].addresses] == ["hello@example.com"]
    lines = data.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=300))
def test_a_text_arrives_as_it_was(text: str) -> None:
    mail = message_from_bytes(
        to_bytes(Message("a@b.c", "s", "", text, "k"), Sender("c@d.e"), AT), policy=default
    )
    (plain, _) = mail.iter_parts()

    assert plain.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


@given(subject=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60))
def test_a_subject_arrives_as_it_was(subject: str) -> None:
    mail = message_from_bytes(
        to_bytes(Message("a@b.c", subject, "", "", "k"), Sender("c@d.e"), AT), policy=default
    )

    assert " ".join(str(mail["Subject"]).split()) == one_line(subject)
