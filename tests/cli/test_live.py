"""``run`` and others at a terminal: a real one, and its screen read back."""

import signal

import pytest

from tests.support.project import Site
from tests.support.screen import Terminal, state_of

JOBS = """
[jobs.hello]
every = "1d"
call = "work:hello"
[jobs.bad]
every = "1d"
call = "work:bad"
[jobs.gated]
every = "1d"
call = "gated:wait"
[jobs.later]
cron = "0 0 1 1 *"
call = "work:hello"
"""


@pytest.fixture
def live(site: Site) -> Site:
    site.jobs(JOBS)
    return site


@pytest.mark.slow
def test_the_table_stays_below_the_log(live: Site) -> None:
    terminal = Terminal(live, ["run"], rows=30)
    lines = terminal.until(
        lambda lines: (
            [state_of(lines, job) for job in ("gated", "bad", "hello")] == ["running", "failed", "completed"]
            and any("since start: 2 runs" in line for line in lines)
        )
    )

    rule = min(number for number, line in enumerate(lines) if line.startswith("──"))
    log, table = lines[:rule], lines[rule + 1 :]
    assert any("[bad] failed after" in line and "ValueError: no [/] way" in line for line in log)
    assert any("[hello] hello [red] \\x1b[31m" in line for line in log)
    assert not any("[hello] completed" in line for line in log)
    assert table[0].split() == ["JOB", "STATE", "LAST", "NEXT", "TOOK"]
    assert len([line for line in lines[rule:] if line]) <= 10
    assert any("1 running" in line for line in table)

    live.write("gate", "")
    terminal.until(lambda lines: state_of(lines, "gated") == "completed")
    terminal.child.sendintr()
    assert terminal.end() == 0
    assert any(line.startswith("stopped: 3 runs, 0 interrupted") for line in terminal.lines)
    assert not any(line.startswith("──") for line in terminal.lines)
    live.nothing_left()


@pytest.mark.slow
def test_ctrl_c_waits_and_ctrl_c_again_does_not(live: Site) -> None:
    terminal = Terminal(live, ["run", "--only", "gated"])
    terminal.until(lambda lines: state_of(lines, "gated") == "running")

    terminal.child.sendintr()
    terminal.until(lambda lines: any("stopping: 1 run has 30s to end (gated)" in line for line in lines))
    assert terminal.child.isalive()
    terminal.child.sendintr()

    assert terminal.end() == 130
    assert any("stopped: 1 run, 1 interrupted" in line for line in terminal.lines)
    assert live.runs()[0]["reason"] == "interrupted"
    live.nothing_left()


@pytest.mark.slow
def test_a_terminal_that_is_closed_is_a_stop(live: Site) -> None:
    terminal = Terminal(live, ["run", "--only", "gated", "--grace", "1s"])
    terminal.until(lambda lines: state_of(lines, "gated") == "running")

    terminal.child.kill(signal.SIGHUP)

    assert terminal.end() == 129
    live.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(24, 40), (9, 200)])
def test_another_size(rows: int, columns: int, live: Site) -> None:
    terminal = Terminal(live, ["run"])
    terminal.until(lambda lines: state_of(lines, "gated") == "running")

    terminal.resize(rows, columns)
    terminal.until(lambda lines: any(line == "─" * columns for line in lines))
    live.write("gate", "")
    terminal.until(lambda lines: any("0 running" in line for line in lines))
    terminal.child.sendintr()

    assert terminal.end() == 0


@pytest.mark.slow
def test_no_live_and_a_dumb_terminal_have_lines_only(live: Site) -> None:
    for words, kind in ((["run", "--no-live", "-v"], "xterm"), (["run", "-v"], "dumb")):
        terminal = Terminal(live, [*words, "--only", "hello"], TERM=kind)
        live.call("trigger", "hello")
        terminal.until(lambda lines: any("scheduler started" in line for line in lines))
        terminal.child.sendintr()

        assert terminal.end() == 0
        assert b"\x1b[2K" not in terminal.bytes
        assert b"\x1b[?25l" not in terminal.bytes
        assert "──" not in "".join(terminal.lines)


@pytest.mark.slow
def test_colour_at_a_terminal_and_not_with_no_color(live: Site) -> None:
    live.call("trigger", "bad")
    coloured = Terminal(live, ["status"], rows=60)
    plain = Terminal(live, ["status"], rows=60, NO_COLOR="1")

    assert (coloured.end(), plain.end()) == (0, 0)
    assert "\x1b[31m✗ failed".encode() in coloured.bytes
    assert b"\x1b" not in plain.bytes
    assert [line for line in coloured.lines if line and "──" not in line] == [*filter(None, plain.lines)]
    assert any(line.startswith("See why: jobctl logs bad --failed") for line in plain.lines)


@pytest.mark.slow
def test_a_job_in_detail(live: Site) -> None:
    live.call("trigger", "bad")
    terminal = Terminal(live, ["status", "bad"], NO_COLOR="1")
    assert terminal.end() == 0

    text = "\n".join(terminal.lines)
    assert text.startswith("bad  (jobctl.toml:")
    assert "state     ✗ failed" in text
    assert "schedule  every 1d  UTC" in text
    assert "error     ValueError: no [/] way" in text
    assert "history   ✗  newest first; 0 of 1 completed" in text


@pytest.mark.parametrize(("answer", "state"), [("y", "stopped"), ("n", "scheduled")])
def test_stop_all_asks(answer: str, state: str, live: Site) -> None:
    terminal = Terminal(live, ["stop", "--all"])
    terminal.until(lambda lines: any("jobs off their schedules? [y/N]" in line for line in lines))

    terminal.child.sendline(answer)

    assert terminal.end() == (0 if answer == "y" else 2)
    assert live.json("status", "hello")["jobs"][0]["status"] == state
