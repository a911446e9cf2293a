"""The queue between the scheduler and whoever reads what it shows."""

from datetime import UTC, datetime

from jobctl.cli.run_display import Backlog
from jobctl.events import Event, LinesNotShown, RunFinished, RunOutput, RunStarted
from jobctl.model import Reason, Run, RunStatus, Trigger

AT = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)


def run_of(status: RunStatus) -> Run:
    reason = Reason.ERROR if status is RunStatus.FAILED else None
    return Run("3f2a91" + "0" * 10, "sync", status, Trigger.SCHEDULE, AT, reason, AT)


def line(text: str, job: str = "chatty") -> Event:
    return RunOutput(job, "3f2a91", AT, text)


def test_the_oldest_lines_go_first_and_news_last() -> None:
    failed, started = RunFinished(run_of(RunStatus.FAILED)), RunStarted(run_of(RunStatus.RUNNING))
    backlog = Backlog(lines=2, events=1)
    for event in (failed, started, line("a"), line("b"), started, line("c")):
        backlog.put(event, AT)

    taken = [one.event for one in backlog.take(AT)]

    assert taken == [
        LinesNotShown(AT, "chatty", 1, is_output=True),
        LinesNotShown(AT, None, 1, is_output=False),
        failed,
        line("b"),
        started,
        line("c"),
    ]
    assert backlog.take(AT) == []


def test_a_backlog_is_bounded_by_its_text_too() -> None:
    backlog = Backlog(lines=1000, text=10)
    for job in ("one", "two"):
        for text in ("1234", "5678"):
            backlog.put(line(text, job), AT)

    assert [one.event for one in backlog.take(AT, most=1)] == [
        LinesNotShown(AT, "one", 2, is_output=True),
        line("1234", "two"),
    ]
    assert [one.event for one in backlog.take(AT)] == [line("5678", "two")]
