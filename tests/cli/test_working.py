"""What takes long shows at a terminal that it goes on; what is printed meanwhile stays whole, above it."""

import subprocess

import pytest

from tests.support.project import Site
from tests.support.screen import Terminal

JOBS = '[jobs.gated]\nevery = "1d"\ncall = "gated:wait"\n'


@pytest.mark.slow
def test_a_long_run_shows_how_long_it_has_been_on(site: Site) -> None:
    site.jobs(JOBS)
    terminal = Terminal(site, ["trigger", "gated"])

    lines = terminal.until(lambda lines: any("gated is running 0:00:01" in line for line in lines))
    assert lines[1] == "begun"
    site.write("gate", "")

    assert terminal.end() == 0
    assert [line for line in terminal.lines if line][1:3] == ["begun", "let through"]
    assert terminal.lines[3].startswith("gated: completed in ")
    assert not any("is running" in line for line in terminal.lines)
    assert terminal.bytes.rstrip().endswith(b"s")


def test_a_dumb_terminal_and_a_quiet_call_show_nothing(site: Site) -> None:
    site.jobs(JOBS)
    dumb = Terminal(site, ["trigger", "gated"], TERM="dumb")
    dumb.until(lambda lines: "begun" in lines)
    site.write("gate", "")

    assert dumb.end() == 0
    assert b"\x1b" not in dumb.bytes
    assert b"is running" not in dumb.bytes


def test_the_output_of_a_job_goes_into_its_file_while_the_line_is_at_the_terminal(site: Site) -> None:
    site.jobs(JOBS)
    terminal = Terminal(site, ["trigger", "gated"], stdout=site.folder / "out.txt")
    terminal.until(lambda lines: any("gated is running" in line for line in lines))
    site.write("gate", "")

    assert terminal.end() == 0
    assert (site.folder / "out.txt").read_text() == "begun\nlet through\n"


def test_in_a_pipe_nothing_is_animated(site: Site) -> None:
    site.jobs(JOBS)
    done = site.popen("trigger", "gated", stderr=subprocess.STDOUT, env={"FORCE_COLOR": "1"})
    assert done.stdout is not None
    assert done.stdout.readline().startswith("gated: started")
    site.write("gate", "")

    assert "\x1b" not in done.communicate(timeout=30)[0]
