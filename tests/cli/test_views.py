"""Text from outside stays text: no markup, no escape, no character that a terminal would obey."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jobctl.cli.commands.analytics import CacheEntry, piped
from jobctl.cli.completion import _form
from jobctl.cli.output import Common, Output
from jobctl.cli.run_display import Tally, panel
from jobctl.cli.terminal import STATES, Bar, Column, Terminal, rows
from jobctl.errors import ConfigurationError, ConfigurationErrors, UsageError
from jobctl.model import JobStatus, RunStatus, Status
from jobctl.settings.masking import Mask
from jobctl.site.analytics.results import ANALYTICS
from jobctl.store.records import CachedResult

NASTY = [
    "[red]",
    "[/]",
    "[repository-sync] started",
    "\x1b[2J",
    "\udcff",
    "end\\",
    "\u202eevil",
    "a\rb",
    "日本語",
    ":smile:",
]


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_in_a_table(text: str) -> None:
    terminal = Terminal(80)
    lines = terminal.lines(
        terminal.table([Column("A"), Column("B", wraps=True)], [[text, text]], {0: terminal.text(text)}),
        terminal.heading(text),
        terminal.fields([(text, text)]),
        terminal.hanging("error: ", text),
        text,
    )
    (row,) = rows([], [[text, "x"]], header=False)

    for line in (*lines, row):
        assert line.replace("\t", "").isprintable()
        line.encode()
    if text.isascii() and text.isprintable():
        assert len(lines) == 7
        assert all(text in line for line in [*lines[1:], row])


def test_analytics_in_a_pipe_are_text_too() -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    result = CachedResult("top_items_10", [{"name": "\x1b[2J\ta", "votes": 3}], now, now)

    assert list(piped([CacheEntry(ANALYTICS[0], "top_items_10", result)])) == ["top_items_10\t\\x1b[2J a\t3"]


@given(
    cells=st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60)), max_size=6),
    width=st.integers(20, 120),
    plain=st.booleans(),
)
def test_a_table_never_is_wider_than_the_terminal(
    cells: list[tuple[str, ...]], width: int, plain: bool
) -> None:
    titles = [Column("ID"), Column("N", right=True), Column("ERROR", wraps=True)]
    terminal = Terminal(width, unicode=not plain)

    lines = terminal.lines(terminal.table(titles, cells))

    assert len(lines) >= len(cells) + 1
    assert all(cell_len(line) <= width for line in lines)


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=5))
def test_a_piped_record_is_one_line_with_its_tabs(records: list[list[str]]) -> None:
    lines = list(rows(["A", "B", "C"], records, header=True))

    assert len(lines) == len(records) + 1
    assert all(line.count("\t") == 2 and "\n" not in line and "\r" not in line for line in lines)


def test_secrets_are_masked_before_a_text_is_folded() -> None:
    terminal = Terminal(24, mask=Mask(["open-sesame-and-more"]))
    text = "the password is open-sesame-and-more, no?"

    for part in (
        text,
        terminal.fields([("error", text)]),
        terminal.hanging("error: ", text),
        terminal.table([Column("A", wraps=True)], [[text]], {0: terminal.text(text)}),
    ):
        shown = "".join(terminal.lines(part))
        assert "••••" in shown
        assert "open" not in shown
        assert "more" not in shown


def test_ids_are_broken_at_their_dashes_and_texts_at_blanks() -> None:
    terminal = Terminal(40)
    rows = [["subscription-renewal-reminder", terminal.state("stopped"), "never"]]

    assert terminal.lines(terminal.table([Column(one) for one in ("JOB", "STATE", "LAST")], rows)) == [
        "JOB                            STATE",
        "subscription-renewal-reminder  ■ stopped",
    ]
    narrow = Terminal(36)
    below = {0: narrow.text("a reason of some words that is folded")}
    shown = narrow.table([Column(one) for one in ("JOB", "STATE", "LAST")], rows, below)
    assert narrow.lines(shown) == [
        "JOB                        STATE",
        "subscription-renewal-      ■ stopped",
        "reminder",
        "  a reason of some words that is",
        "  folded",
    ]


def test_what_has_no_colour_has_no_box_and_what_has_no_unicode_is_ascii() -> None:
    def drawn(*, color: bool = False, unicode: bool = True) -> str:
        terminal = Terminal(60, color=color, unicode=unicode)
        return "\n".join(
            terminal.lines(
                terminal.heading("title"),
                terminal.table(
                    [Column("A"), Column("B"), Column("C")],
                    [["x", terminal.state("failed"), Bar(1, 2, "red", unicode=terminal.unicode)]],
                ),
            )
        )

    assert "\x1b[31m✗ failed" in drawn(color=True)
    assert "──" in drawn(color=True)
    assert "──" not in drawn()
    assert "\x1b" not in drawn()
    assert drawn(unicode=False).isascii()
    assert drawn(color=True, unicode=False).isascii()
    assert Terminal(color=True).paint("bad", "red") == "\x1b[31mbad\x1b[0m"
    assert Terminal(color=True).paint("", "red") == Terminal().paint("", "red") == ""


class Stream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "when", "terminal", "colour"),
    [
        ({}, "auto", True, True),
        ({}, "auto", False, False),
        ({"NO_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": ""}, "auto", True, True),
        ({"FORCE_COLOR": "1"}, "auto", False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", True, False),
        ({"TERM": "dumb"}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({}, "never", True, False),
    ],
)
def test_when_to_colour(environment: dict[str, str], when: Any, terminal: bool, colour: bool) -> None:
    stream = Stream() if terminal else io.StringIO()
    output = Output(Common(color=when), environment, stream, stream)

    assert output.terminal.color is colour
    assert output.is_animated is (terminal and environment.get("TERM") != "dumb")


def test_width() -> None:
    assert Output(Common(), {"COLUMNS": "132"}, io.StringIO(), io.StringIO()).size == (132, 24)
    assert Output(Common(), {"COLUMNS": "wide"}, io.StringIO(), io.StringIO()).size == (80, 24)
    assert Output(Common(), {"COLUMNS": "3"}, io.StringIO(), io.StringIO()).size[0] == 20


def test_errors_for_people_and_for_programs() -> None:
    several = ConfigurationErrors(
        [ConfigurationError("one \x1b[31m", where="a:1", hint="do\nthis"), ConfigurationError("two")]
    )
    out, err = io.StringIO(), io.StringIO()

    Output(Common(), {}, out, err).problem(several)
    Output(Common(quiet=True), {}, out, err).warn("not shown")

    assert err.getvalue() == (
        "error: a:1: one \\x1b[31m\nhint:  do\n       this\nerror: two\n2 problems, nothing was started\n"
    )
    Output(Common(json=True), {}, out, err).problem(UsageError("wrong", hint="right"))
    assert out.getvalue() == (
        '{"error": {"code": "usage", "message": "wrong", "hint": "right", "where": null, "exit_code": 2}}\n'
    )


def test_a_document_holds_nothing_that_a_terminal_obeys() -> None:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    value = {"text": "\x1b[31m\x9b2J\u202e\u2028\udcff日本\U000e0041"}

    Output(Common(json=True), {}, out, io.StringIO()).document(value)

    out.seek(0)
    text = out.read()
    assert text.removesuffix("\n").isprintable()
    assert "日本" in text
    assert json.loads(text) == value


def test_words_and_times_of_a_document_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "mask", Mask(["manual", "2026", "sesame"]))
    value = {"trigger": "manual", "at": "2026-11-29T10:00:00Z", "count": 2026, "text": "the word is sesame"}

    shown = json.loads(Output(Common(json=True), {}, io.StringIO(), io.StringIO()).as_json(value))

    assert shown == value | {"text": "the word is ••••"}


def test_a_colon_in_a_candidate_is_not_the_one_before_the_note() -> None:
    assert _form("zsh", "a:b", "note: x") == "a\\:b:note: x"
    assert _form("fish", "a", "two\nlines") == "a\ttwo lines"
    assert _form("bash", "a", "note") == "a"
    assert _form("fish", "a", "\x1b[31mred\x07") == "a\t\\x1b[31mred\\x07"


def test_every_state_has_a_sign() -> None:
    assert {one.value for one in (*RunStatus, *Status)} <= STATES.keys()


@pytest.mark.parametrize(("height", "left_out"), [(60, ""), (24, " (6 not shown)"), (9, " (9 not shown)")])
def test_the_live_table_says_how_many_jobs_have_no_room(height: int, left_out: str) -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    jobs = [JobStatus(f"job-{number}", "", Status.SCHEDULED, next_run=now) for number in range(10)]
    terminal = Terminal(80)

    lines = terminal.lines(panel(jobs, Tally(), now, terminal, height))

    assert sum(line.startswith("job-") for line in lines) + int(left_out[2:3] or 0) == 10
    assert lines[-1].startswith(f"10 jobs{left_out}, 0 running")


def test_the_live_table_counts_each_job_that_runs_also_in_another_process() -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    terminal = Terminal(80)
    jobs = [JobStatus("job", "", Status.RUNNING, last_run=now)]

    assert terminal.lines(panel(jobs, Tally(), now, terminal, 24))[-1].startswith("1 job, 1 running")
