"""Any ``notify`` table, and any answer of a recipient: accepted or refused in a sentence, and no thread ends because of it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.catalogue.notify_settings import NotificationKind, Notify, read_notify
from jobctl.errors import JobctlError, ServiceError
from jobctl.http import HttpClient
from jobctl.jobs.repository_sync import notify_site
from jobctl.project import ProjectContext
from jobctl.project_location import ProjectLocation
from jobctl.settings.environment import Environment
from jobctl.subscribers.notification import Notification
from jobctl.subscribers.notification_channels import channels
from jobctl.text import printable
from tests.fuzz.conftest import Answering, raw_answers
from tests.fuzz.test_addresses import rest, user, whole
from tests.support.fuzzing import anything, bounded, check_message, examples

key = st.sampled_from(Notify._fields) | anything
plain = st.none() | st.booleans() | st.integers() | st.floats() | anything | st.datetimes() | st.sampled_from(["$NAME", "$", "a@b", "https://a.b", *NotificationKind])  # fmt: skip
value = st.recursive(plain | whole, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key, inner, max_size=3), max_leaves=6)  # fmt: skip
usual = st.fixed_dictionaries(
    {},
    optional={"webhook": whole, "slack": st.just("$NAME"), "command": st.lists(anything, min_size=1, max_size=3), "mail": value, "on": st.lists(st.sampled_from([*NotificationKind]))},
)  # fmt: skip


@pytest.mark.slow
@examples(150)
@given(usual | st.dictionaries(key, value, max_size=4) | value, whole | anything)
@example({"mail": 5}, "")
@example({"on": [[]]}, "")
@example({"webhook": "https://x:0"}, "")
def test_any_table_is_taken_or_refused_with_keys(table: Any, held: str) -> None:
    with bounded():
        found, wrong = read_notify(table, "jobctl.toml:1")
        for one in wrong:
            assert printable(one.message) == one.message
            assert len(one.message) + len(one.hint or "") <= 300
        environment = Environment.load(Path("/nowhere"), {"NAME": held})
        try:
            labels = [
                one.label
                for one in channels(found, ProjectContext(ProjectLocation(Path("/nowhere")), environment))
            ]
        except JobctlError as error:
            check_message(error)
        else:
            assert wrong or len(labels) == sum(map(bool, (found.webhook, found.slack, found.discord, found.command))) + len(found.mail)  # fmt: skip


@examples(50)
@given(raw_answers)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx")
@example(b"no HTTP at all\r\n\r\n")
def test_any_answer_is_understood_or_reported_in_a_sentence(answering: Answering, answer: bytes) -> None:
    answering.data = answer
    pauses: list[float] = []

    with bounded():
        try:
            json.dumps(HttpClient(answering.url, {}, timeout=5, wait=pauses.append).call("/x", {"a": 1}))
        except ServiceError as error:
            check_message(error)
        notify_site(
            Environment.load(Path("/nonexistent"), {"JOBCTL_CONTENT_CHANGED_URL": answering.url}), ["a"]
        )

    assert len(pauses) <= 3
    assert all(0 <= one <= 30 for one in pauses)


@examples(30)
@given(st.builds("http://{}127.0.0.1:1{}".format, user, rest), anything)
@example("http://127.0.0.1:1/é", "")
@example("http://127.0.0.1:1", "é\n")
def test_what_is_taken_as_a_url_can_be_asked(url: str, header: str) -> None:
    with bounded():
        try:
            HttpClient(url, {"X-Any": header}, timeout=1, wait=lambda _: None).call("")
        except ServiceError as error:
            check_message(error)


@examples(30)
@given(anything.map(printable), anything.map(printable), st.sampled_from(NotificationKind))
@example("failed: a\tb" * 100, "é", NotificationKind.FAILURE)
def test_any_notification_is_sent_to_programs_and_by_mail(
    tmp_path: Path, text: str, name: str, kind: NotificationKind
) -> None:
    notify = Notify(command=("cat",), mail=("a@b.example",))
    notification = Notification(kind, "a-job", name, text, datetime(2026, 11, 23, tzinfo=UTC))
    environment = Environment.load(Path("/nowhere"), {"PATH": "/usr/bin:/bin"})

    project = ProjectContext(ProjectLocation(tmp_path), environment)

    with bounded():
        for channel in channels(notify, project):
            channel.send(notification)

    assert list(project.outbox.iterdir())
