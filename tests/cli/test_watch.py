"""``status --watch``: in place at a terminal, a block a change elsewhere."""

import json
import re
import signal

import pytest

from tests.support.project import Site, until
from tests.support.screen import Terminal, state_of

JOBS = "".join(f'[jobs.job-{number:02}]\nevery = "1d"\ncall = "work:hello"\n' for number in range(20))
COLOR = re.compile(rb"\x1b\[[\d;]*m")
SEQUENCE = re.compile(rb"\x1b\[[?\d;]*[a-zA-Z]")


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS)
    return site


@pytest.mark.slow
def test_it_shows_what_changes_and_gives_the_terminal_back(site: Site) -> None:
    terminal = Terminal(site, ["status", "--watch"], rows=50)
    terminal.until(lambda lines: state_of(lines, "job-03") == "scheduled")

    site.call("trigger", "job-03")
    terminal.until(lambda lines: state_of(lines, "job-03") == "completed")
    terminal.child.sendintr()

    assert terminal.end() == 130
    assert terminal.bytes.startswith(b"\x1b[?1049h")
    assert b"\x1b[2J" not in terminal.bytes
    assert b"\x1b[?25l" not in terminal.bytes
    drawn, _, after = terminal.bytes.rpartition(b"\x1b[?1049l")
    assert drawn.rpartition(b"\x1b[?7")[2] == b"h"
    assert b"job-03" in after
    assert not SEQUENCE.search(COLOR.sub(b"", after))


@pytest.mark.slow
def test_a_window_that_is_low_narrow_and_changes(site: Site) -> None:
    site.call("stop", "job-00")
    terminal = Terminal(site, ["status", "--watch"], rows=50)
    terminal.until(lambda lines: state_of(lines, "job-19") == "scheduled")

    terminal.resize(16, 44)
    lines = terminal.until(lambda lines: any("more in a higher window" in line for line in lines))
    assert "job-00" not in "\n".join(lines)  # stopped ones give way first
    assert any(line.startswith("job-01") for line in lines)
    assert "no scheduler is running." in lines[0]
    terminal.resize(50, 80)
    terminal.until(lambda lines: state_of(lines, "job-00") == "stopped" and state_of(lines, "job-19"))
    terminal.child.sendintr()
    assert terminal.end() == 130


def test_full_lines_keep_their_last_character(site: Site) -> None:
    site.call("stop", "job-00", "--reason", "x" * 200)
    terminal = Terminal(site, ["status", "--watch", "job-00"], NO_COLOR="1")

    lines = terminal.until(lambda lines: any("x" * 40 in line for line in lines))
    terminal.child.sendintr()
    terminal.end()
    assert "".join(lines).count("x") == 200


def test_a_termination_gives_the_terminal_back_too(site: Site) -> None:
    terminal = Terminal(site, ["status", "--watch"])
    terminal.until(lambda lines: state_of(lines, "job-01"))

    terminal.child.kill(signal.SIGTERM)

    assert terminal.end() == 143
    assert b"\x1b[?7h\x1b[?1049l" in terminal.bytes


def test_without_colour_only_the_cursor_is_moved(site: Site) -> None:
    terminal = Terminal(site, ["status", "--watch"], NO_COLOR="1")
    terminal.until(lambda lines: state_of(lines, "job-01"))
    terminal.child.sendintr()
    terminal.end()

    assert not COLOR.search(terminal.bytes)


@pytest.mark.slow
def test_a_dumb_terminal_has_a_block_a_change(site: Site) -> None:
    terminal = Terminal(site, ["status", "--watch", "job-01"], TERM="dumb")
    terminal.until(lambda lines: "state     ○ scheduled" in lines)
    site.call("trigger", "job-01")
    lines = terminal.until(lambda lines: "state     ✓ completed" in lines)
    terminal.child.sendintr()

    assert terminal.end() == 130
    assert b"\x1b" not in terminal.bytes
    blocks = "\n".join(lines).strip().split("\n\n")
    assert 2 <= len(blocks) <= 3
    assert all(block.startswith("job-01  (") for block in blocks)


@pytest.mark.slow
def test_in_a_pipe_a_block_a_change_or_a_document(site: Site) -> None:
    rows = site.popen("status", "--watch", "job-01", stderr=None)
    documents = site.popen("status", "--watch", "job-01", "--json", stderr=None)
    assert rows.stdout is not None
    assert documents.stdout is not None
    assert rows.stdout.readline().startswith("JOB\tSTATE\t")
    assert rows.stdout.readline().split("\t")[:2] == ["job-01", "scheduled"]
    assert json.loads(documents.stdout.readline())["jobs"][0]["status"] == "scheduled"

    site.call("trigger", "job-01")
    for process in (rows, documents):
        assert process.poll() is None
    until(lambda: site.json("status", "job-01")["jobs"][0]["status"] == "completed")
    assert rows.stdout.readline() == "\n"
    assert rows.stdout.readline().startswith("JOB\tSTATE\t")
    assert rows.stdout.readline().split("\t")[1] in {"running", "completed"}
    assert json.loads(documents.stdout.readline())["jobs"][0]["status"] in {"running", "completed"}
    for process in (rows, documents):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130


def test_a_state_to_exit_by_is_never_reached(site: Site) -> None:
    done = site.call("status", "--watch", "--exit-status")

    assert done.returncode == 2
    assert "--watch continues until Ctrl-C" in done.stderr
