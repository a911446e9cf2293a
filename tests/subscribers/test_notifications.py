"""Who is notified, of what, and how often: the real program, real receivers."""

import json
import signal

import pytest

from tests.subscribers.conftest import Fickle
from tests.support.http_server import Provider, Reply
from tests.support.project import until
from tests.support.smtp_server import smtp_server

pytestmark = pytest.mark.slow


def received(receiver: Provider) -> list[str]:
    return [request.body["event"] for request in receiver.requests]


def test_a_change_is_notified_once_not_after_each_run(fickle: Fickle, receiver: Provider) -> None:
    fickle.configure(f'{{ webhook = "{receiver.url}/hook" }}')

    for broken in (False, True, True, True, False, False, True):
        fickle.trigger(broken=broken)

    assert received(receiver) == ["failure", "recovery", "failure"]
    failure, recovery, _ = (request.body for request in receiver.requests)
    assert failure["job"] == {"id": "fickle", "name": "A fickle one"}
    assert failure["text"] == "fickle failed: ValueError: no such table: votes"
    assert failure["run"]["reason"] == "error"
    assert failure["run"]["run_id"] in {run["run_id"] for run in fickle.site.runs()}
    assert recovery["text"].startswith("fickle recovered after 3 failed runs (")
    assert recovery["run"]["status"] == "completed"


def test_only_the_chosen_kinds_are_sent(fickle: Fickle, receiver: Provider) -> None:
    fickle.configure(f'{{ webhook = "{receiver.url}", on = ["recovery"] }}')

    fickle.trigger(broken=True)
    fickle.trigger(broken=False)

    assert received(receiver) == ["recovery"]


TEXT = "fickle failed: ValueError: no such table: votes"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("slack", {"text": TEXT}), ("discord", {"content": TEXT, "allowed_mentions": {"parse": []}})],
)
def test_chat_rooms_get_their_shape(fickle: Fickle, receiver: Provider, kind: str, body: object) -> None:
    fickle.configure(f'{{ {kind} = "$ROOM" }}')

    fickle.trigger(broken=True, ROOM=f"{receiver.url}/services/T0/B0/hidden?thread=1")

    (request,) = receiver.requests
    assert request.body == body
    assert request.path == "/services/T0/B0/hidden?thread=1"


def test_a_program_gets_it_on_its_standard_input(fickle: Fickle) -> None:
    fickle.configure(
        """{ command = ["sh", "-c", "cat > notification.json; echo $JOBCTL_EVENT $JOBCTL_JOB > words"] }"""
    )

    fickle.trigger(broken=True)

    assert json.loads((fickle.site.folder / "notification.json").read_text())["event"] == "failure"
    assert (fickle.site.folder / "words").read_text() == "failure fickle\n"


def test_a_mail_goes_out_as_the_site_sends_mail(fickle: Fickle) -> None:
    fickle.configure('{ mail = ["ops@example.com", "boss@example.com"] }')

    with smtp_server() as mails:
        fickle.trigger(broken=True, EMAIL_PROVIDER="smtp", SMTP_HOST="127.0.0.1", SMTP_PORT=str(mails.port))

    assert sorted(mails.recipients) == ["boss@example.com", "ops@example.com"]
    (subject,) = {mail["subject"] for mail in mails.taken}
    assert subject == "[jobctl] fickle failed: ValueError: no such table: votes"


def test_a_busy_receiver_is_tried_again(fickle: Fickle, receiver: Provider) -> None:
    fickle.configure(f'{{ webhook = "{receiver.url}" }}')
    receiver.replies = [Reply(503, headers=(("Retry-After", "0"),)), Reply(429)]

    stderr = fickle.trigger(broken=True)

    assert received(receiver) == ["failure"] * 3
    assert "was not notified" not in stderr


def test_a_failed_notification_is_reported_without_the_address(fickle: Fickle, receiver: Provider) -> None:
    receiver.rule = lambda _: Reply(404)
    fickle.configure('{ webhook = "$HOOK", command = ["false"] }')

    stderr = " ".join(fickle.trigger(broken=True, HOOK=f"{receiver.url}/hidden-path").split())

    assert "webhook 127.0.0.1 was not notified: " in stderr
    assert "answered 404" in stderr
    assert "command false was not notified: it exited with code 1" in stderr
    assert "hidden-path" not in stderr


def test_a_variable_without_a_url_is_reported_before_anything_starts(fickle: Fickle) -> None:
    fickle.configure('{ webhook = "$HOOK" }')

    done = fickle.site.call("trigger", "fickle")

    assert done.returncode == 2
    assert "jobctl.toml:1: the URL comes from HOOK, which is not set" in done.stderr
    assert fickle.site.runs() == []


def test_the_next_scheduler_notifies_of_what_a_killed_one_left(fickle: Fickle, receiver: Provider) -> None:
    slow = '[jobs.slow]\nevery = "1h"\ncall = "time:monotonic"\n[jobs.endless]\nevery = "1h"\ncommand = ["sleep", "300"]\n'
    fickle.configure(f'{{ webhook = "{receiver.url}" }}', slow)
    scheduler = fickle.site.run()
    others = {"fickle", "slow"}  # killed while they run, they would be lost too
    until(lambda: others <= {run["job_id"] for run in fickle.site.runs() if run["status"] == "completed"})
    until(lambda: fickle.site.json("status", "endless")["jobs"][0]["status"] == "running")
    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait()
    assert (
        fickle.site.json("status", "endless")["jobs"][0]["status"] == "failed"
    )  # the command fails the lost run

    for _ in range(2):
        again = fickle.site.run()
        until(lambda: receiver.requests)
        again.terminate()
        assert again.wait() == 0

    (failure,) = [request.body for request in receiver.requests]
    assert (failure["job"]["id"], failure["run"]["reason"]) == ("endless", "lost")


def test_missed_slots_are_notified(fickle: Fickle, receiver: Provider) -> None:
    tick = '[jobs.tick]\nevery = "100s"\ncall = "time:monotonic"\n'
    fickle.configure(f'{{ webhook = "{receiver.url}" }}', tick)
    scheduler = fickle.site.run()
    until(lambda: [run for run in fickle.site.runs("tick") if run["status"] == "completed"])
    scheduler.terminate()
    scheduler.wait()
    fickle.site.forget_seconds(280)

    again = fickle.site.run()
    until(lambda: receiver.requests)
    again.terminate()
    again.wait()

    (missed,) = [request.body for request in receiver.requests]
    assert (missed["event"], missed["job"]["id"], missed["missed"]) == ("missed", "tick", 2)
    assert missed["text"] == "tick missed 2 slots; it waits for its next slot"


def test_a_receiver_that_hangs_delays_no_job(fickle: Fickle, receiver: Provider) -> None:
    import threading

    receiver.hang = threading.Event()
    tick = '[jobs.tick]\nevery = "1s"\ncall = "time:monotonic"\ncheck_in = "URL/ping/tick"\n'
    fickle.configure(f'{{ webhook = "{receiver.url}" }}', tick.replace("URL", receiver.url))
    (fickle.site.folder / "broken").touch()

    scheduler = fickle.site.run()
    until(lambda: len(fickle.site.runs("tick")) >= 4)
    assert receiver.requests
    receiver.hang.set()
    scheduler.terminate()
    assert scheduler.wait() == 0

    slots = sorted(run["scheduled_for"] for run in fickle.site.runs("tick"))
    assert len(set(slots)) == len(slots)
    assert fickle.site.json("metrics", "tick")["skipped"] == 0
