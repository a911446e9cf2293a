"""What is shown fits the terminal, needs no colour, and can be read where there is only ASCII."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from jobctl.checks import CheckResult, CheckState
from jobctl.cli.commands import check, metrics, mode
from jobctl.cli.commands.help import PAGES, TOPICS, drawn
from jobctl.cli.terminal import Terminal
from jobctl.cli.views import runs, status
from jobctl.managers.board import Board
from jobctl.model import (
    Action,
    ActionKind,
    Job,
    JobMetrics,
    JobStatus,
    JobTotals,
    Reason,
    Run,
    RunStatus,
    SentNotification,
    Status,
    Trigger,
    WaitingRun,
)
from jobctl.modes import Mode, explain
from jobctl.scheduler.liveness import Presence
from jobctl.settings.environment import Environment
from jobctl.store.logs import LogUsage
from jobctl.store.metrics import histogram

if TYPE_CHECKING:
    from rich.console import RenderableType

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
COLOR = re.compile(r"\x1b\[[\d;]*m")

ids = st.from_regex(r"[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,2}", fullmatch=True) | st.just("a" * 63 + "b")
texts = st.text(st.characters(max_codepoint=0x7E), max_size=300)
spans = st.timedeltas(timedelta(0), timedelta(days=3000))
instants = spans.map(lambda ago: NOW - ago)
counts = st.integers(0, 10**12)

past = st.builds(
    Run,
    id=st.just("0123456789abcdef"),
    job_id=ids,
    status=st.sampled_from(RunStatus),
    trigger=st.sampled_from(Trigger),
    started_at=instants,
    reason=st.none() | st.sampled_from(Reason),
    duration=st.none() | spans,
    error=st.none() | texts,
    result=st.none() | st.fixed_dictionaries({"message": texts, "processed": counts}),
    attempt=st.integers(1, 100),
)
jobs = st.builds(
    JobStatus,
    id=ids,
    name=texts,
    status=st.sampled_from(Status),
    last_run=st.none() | instants,
    next_run=st.none() | spans.map(lambda ahead: NOW + ahead),
    duration=st.none() | spans,
    error=st.none() | texts,
    schedule=st.none() | st.sampled_from(["every 5m", "0 9 * * *"]),
    note=st.none() | texts,
)
kept = st.builds(
    WaitingRun,
    id=st.just("0123456789abcdef"),
    job_id=ids,
    begins_at=spans.map(lambda ahead: NOW + ahead),
    trigger=st.sampled_from(Trigger),
    slot=st.none() | instants,
    arguments=st.none() | st.fixed_dictionaries({"name": texts}),
    actor=st.none() | texts,
    reason=st.none() | texts,
    batch=st.none() | st.just("fedcba9876543210"),
)
actions = st.builds(
    Action,
    kind=st.sampled_from(ActionKind),
    at=instants,
    actor=texts,
    job_id=ids,
    run_id=st.none() | st.just("0123456789abcdef"),
    reason=st.none() | texts,
)
notifications = st.builds(
    SentNotification,
    at=instants,
    job_id=ids,
    event=st.just("recovery"),
    channel=st.just("command"),
    receiver=texts,
    run_id=st.none() | st.just("0123456789abcdef"),
    error=st.none() | texts,
)
totals = st.builds(
    JobTotals,
    id=ids,
    total_executions=st.integers(10**12, 10**13),
    successful_jobs=counts,
    failed_jobs=counts,
    skipped=counts,
    average_job_duration=st.none() | spans,
    p50=st.none() | spans,
    p95=st.none() | spans,
    max=st.none() | spans,
    histogram=st.lists(st.integers(0, 10**11), max_size=50).map(lambda found: histogram(sorted(found))),
)
presences = st.builds(
    Presence,
    running=st.booleans(),
    pid=st.none() | st.integers(1, 2**22),
    host=st.text(st.sampled_from("abc-."), min_size=1, max_size=80),
    since=instants,
    ended=st.none() | instants,
)


@st.composite
def views(draw: st.DrawFn) -> "Callable[[Terminal], Iterator[RenderableType]]":
    """All eight, of something that may have happened. Drawn later: Rich's styles use random numbers."""
    history, counted = (
        draw(st.lists(past, min_size=1, max_size=25)),
        draw(st.lists(totals, min_size=1, max_size=4)),
    )
    board = Board(
        draw(st.sampled_from(Mode)), draw(presences), draw(st.lists(jobs, min_size=1, max_size=5)), NOW
    )
    job = board.jobs[0]
    waiting = draw(st.lists(kept, max_size=5))
    done = draw(st.lists(actions, max_size=5))
    full = LogUsage(60_000_000, 64 << 20, NOW)
    definition = Job(job.id, job.name, None, "work:hello", retries=3, origin="jobctl.toml:4")

    def shown(terminal: Terminal) -> "Iterator[RenderableType]":
        yield from status.screen(board, status.by_urgency(board), "9,800 more", terminal)
        yield from status.detail(
            job,
            board,
            definition=definition,
            runs=history[:10],
            logs=full,
            totals=counted[0],
            notification=draw(notifications),
            terminal=terminal,
        )
        yield from runs.screen(history, NOW, terminal, more=True, lately=history[:20])
        yield from runs.detail(history[0], NOW, terminal)
        yield from runs.waiting_screen(waiting, NOW, terminal, left_out=1234)
        yield from runs.actions_screen(done, NOW, terminal)
        yield from metrics.screen(
            JobMetrics(10**9, 10**8, 10**7, 10**6, last_cleanup=NOW, jobs=tuple(counted)), NOW, terminal
        )
        yield from metrics.detail(counted[0], terminal)

    return shown


@pytest.mark.slow
@settings(max_examples=60)
@given(views(), st.integers(40, 200), st.booleans(), st.booleans())
def test_no_line_is_longer_than_the_terminal_is_wide(
    shown: "Callable[[Terminal], Iterator[RenderableType]]", width: int, color: bool, unicode: bool
) -> None:
    terminal = Terminal(width, color=color, unicode=unicode)
    lines = terminal.lines(*shown(terminal))

    plain = [COLOR.sub("", line) for line in lines]
    assert [line for line in plain if cell_len(line) > width] == []
    assert "\x1b" not in "".join(plain)
    assert color or plain == lines
    assert unicode or "".join(plain).isascii()


def words(lines: list[str]) -> set[str]:
    """What stands between blanks, without punctuation."""
    return {word.strip("(),.;:•") for line in lines for word in line.split()}


@pytest.mark.parametrize("width", [40, 60, 80])
def test_names_are_whole_where_they_fit(width: int, tmp_path: Path) -> None:
    terminal = Terminal(width)
    explanation = explain(Environment.load(tmp_path, {}), [])
    name = "JOBCTL_CONTENT_CHANGED_URL"
    result = CheckResult("site", CheckState.NOT_CONFIGURED, f"{name} is not set", hint=f"set {name}")

    shown = terminal.lines(*mode.screen(explanation, "/srv/site", terminal))
    assert {"TRIGGER_DEV_API_KEY", "TRIGGER_DEV_API_URL", '"https://api.trigger.dev"'} <= words(shown)
    assert name in words(terminal.lines(check.drawn(result, terminal)))
    assert [line for line in shown if len(line) > width] == []


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_cuts_no_word(topic: str) -> None:
    text = (PAGES / f"{topic}.md").read_text(encoding="utf-8")
    rows = re.sub(r"^\|.*\n\| ---.*\n", "", text, flags=re.MULTILINE).replace("`", "").splitlines()
    cells = {word for row in rows if row.startswith("| ") for word in row.split()}

    for width in (40, 80):
        lines = Terminal(width).lines(*drawn(text, width))
        assert "".join(lines).count("…") == text.count("…")
        assert [line for line in lines if cell_len(line) > width] == []
        wanted = {word.strip("(),.;:") for word in cells if len(word) < width - 8 and word.isidentifier()}
        assert wanted <= words(lines)


@pytest.mark.parametrize("width", [40, 80])
def test_lists_of_waiting_runs_and_actions_show_what_matters_first(width: int) -> None:
    job_id = "report-monthly-comprehensive"
    waits = WaitingRun("0123456789abcdef", job_id, NOW + timedelta(hours=2), Trigger.MANUAL, actor="ada@host")
    done = Action(ActionKind.CANCEL, NOW, "ada@host", job_id, "0123456789abcdef", "wrong arguments")
    terminal = Terminal(width)

    kept = "\n".join(terminal.lines(*runs.waiting_screen([waits], NOW, terminal, left_out=0)))
    listed = "\n".join(terminal.lines(*runs.actions_screen([done], NOW, terminal)))

    assert "in 2h" in kept
    assert ("01234567" in kept) is (width == 80)
    assert all(word in listed for word in ("cancel", "wrong arguments", "report-"))
    assert ("ada@host" in listed) is ("Nov 23 09:10:00" in listed) is (width == 80)
