"""Help at a terminal: in colour, and paged where it is longer than the screen."""

import pytest

from tests.support.project import Site
from tests.support.screen import Terminal


@pytest.mark.slow
def test_help_is_drawn_in_colour_and_plain_without(site: Site) -> None:
    coloured = Terminal(site, ["report", "--help"], rows=60)
    plain = Terminal(site, ["report", "--help"], rows=60, NO_COLOR="1")

    assert (coloured.end(), plain.end()) == (0, 0)
    assert b"\x1b[1;36m-period" in coloured.bytes
    assert b"\x1b" not in plain.bytes
    assert any("NAME" in line and "One of daily, weekly, monthly, quarterly." in line for line in plain.lines)
    assert any("--period" in line and "PERIOD" in line for line in plain.lines)
    assert any("[default: (the one that just ended)]" in line for line in plain.lines)
    assert any("─ Common ─" in line for line in plain.lines)
    assert "   $ jobctl report weekly" in plain.lines


@pytest.mark.slow
def test_a_page_longer_than_the_screen_goes_through_the_pager(site: Site) -> None:
    pager = site.write("pager", '#!/bin/sh\necho "paged with $LESS"\ntail -n 1\n')
    pager.chmod(0o755)

    long = Terminal(site, ["install", "--help"], rows=20, PAGER=str(pager))
    short = Terminal(site, ["install", "--help"], rows=80, PAGER=str(pager))
    none = Terminal(site, ["install", "--help"], rows=20, PAGER="")
    gone = Terminal(site, ["install", "--help"], rows=20, PAGER="/no/such/pager")

    assert [one.end() for one in (long, short, none, gone)] == [0] * 4
    assert b"paged with -FRX" in long.bytes
    assert b"Usage" not in long.bytes
    assert all(b"Usage: " in one.bytes and b"jobctl install" in one.bytes for one in (short, none, gone))


def test_a_topic_is_drawn_from_markdown(site: Site) -> None:
    terminal = Terminal(site, ["help", "exit-codes"], rows=40, PAGER="")

    assert terminal.end() == 0
    assert not any(line.startswith("# ") for line in terminal.lines)
    assert any("Exit codes" in line for line in terminal.lines)
    assert any(line.split()[:3] == ["2", "wrong", "use:"] for line in terminal.lines)
    links = Terminal(site, ["help", "secrets"], rows=200, PAGER="")
    assert links.end() == 0
    assert any("Variables (jobctl help variables)" in line for line in links.lines)


FAULT = """
import sys
from jobctl.cli import context
def broken(self):
    sesame = "of-a-variable"
    raise ZeroDivisionError("{text}")
context.Context.project.func = broken
from jobctl.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[red] is no [/] markup", "with open-sesame-and-more"])
def test_a_fault_is_shown_in_colour_without_the_values_of_variables(text: str, site: Site) -> None:
    site.write("fault.py", FAULT.replace("{text}", text))
    terminal = Terminal(site, ["status", "-v"], rows=60, module="fault", SMTP_PASS="open-sesame-and-more")

    assert terminal.end() == 70
    shown = "\n".join(terminal.lines)
    assert "ZeroDivisionError: " in shown
    assert 'raise ZeroDivisionError("' in shown
    assert "sesame =" not in shown
    assert ("╭" in shown, "[red] is no [/] markup" in shown) == (("red" in text),) * 2
    assert b"sesame-and" not in terminal.bytes


def test_messages_are_wrapped_at_words_below_themselves(site: Site) -> None:
    terminal = Terminal(site, ["runs", "--failed", "--status", "completed"], columns=40, NO_COLOR="1")

    assert terminal.end() == 2
    assert terminal.lines[:2] == ["error: --failed and --status completed", "       exclude each other"]
