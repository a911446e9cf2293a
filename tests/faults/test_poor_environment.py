"""No home, no zone, no UTF-8, a terminal that can do nothing; streams that are closed or full; faults of our own."""

import os
import stat
import subprocess
import sys

import pytest

from tests.faults.audit import audit
from tests.support.project import Site, until
from tests.support.screen import Terminal
from tests.support.terminal import CODE

COMMANDS = ["status", "mode", "mode --json", "--help", "status --help", "runs", "metrics", "next @daily"]


def shell(site: Site, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line.replace("jobctl", f"'{sys.executable}' -m jobctl")],
        cwd=site.folder,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(site: Site) -> Site:
    site.write("work.py", CODE)
    site.jobs('[jobs.hello]\nevery = "5m"\ncall = "work:hello"\n')
    return site


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk_is_one_sentence(words: str, project: Site) -> None:
    done = shell(project, f"jobctl {words} > /dev/full")

    assert done.returncode == 70
    assert "standard output cannot be written: no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_pipe_is_silent(project: Site) -> None:
    gone = shell(project, "jobctl status | :; echo ${PIPESTATUS[0]}")
    first = shell(project, "jobctl status --quiet | head -1")

    assert (gone.stdout, gone.stderr) == ("1\n", "")
    assert (first.stdout, first.stderr) == (
        "JOB\tSTATE\tLAST\tTOOK_MS\tNEXT\tERROR\tNOTE\tSTOPPED_UNTIL\tWAITING\tLATE\n",
        "",
    )


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, project: Site) -> None:
    assert shell(project, f"jobctl trigger hello {closed}").returncode == 0
    assert [run["status"] for run in project.runs()] == ["completed"]


def test_a_latin_or_ascii_terminal(project: Site) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    project.write("work.py", "def hello():\n    print('\\u2713 \\u65e5')\n")

    done = project.call("trigger", "hello", env=plain)
    logged = project.call("logs", "hello", "--json", env=plain)

    assert (done.returncode, done.stdout) == (0, "\\u2713 \\u65e5\n")
    assert logged.stdout.isascii()
    assert "\\u2713" in logged.stdout


def test_no_home_no_zone_no_terminal_type_no_columns(project: Site) -> None:
    name, _, mark = project.mark.partition("=")
    project.environment = {name: mark, "PATH": os.environ["PATH"], "LANG": "C", "PYTHONUTF8": "0"}

    assert project.call("trigger", "hello").returncode == 0
    assert project.call("status").returncode == 0
    scheduler = project.popen("run", stdout=subprocess.DEVNULL)
    until(lambda: [run for run in project.runs() if run["trigger"] == "schedule" and run["finished_at"]])
    scheduler.terminate()
    assert scheduler.wait(60) == 0
    assert {run["status"] for run in audit(project)} == {"completed"}


@pytest.mark.parametrize("words", ["status", "runs", "metrics", "logs hello"])
def test_a_narrow_terminal_that_can_do_nothing(words: str, project: Site) -> None:
    project.call("trigger", "hello")

    shown = Terminal(project, words.split(), columns=40, TERM="dumb")
    assert shown.end() == 0

    assert b"\x1b" not in shown.bytes
    lines = shown.bytes.decode().splitlines()
    assert lines
    assert [line for line in lines if len(line) > 40] == []


def test_a_fault_of_our_own_is_a_sentence_and_a_file(project: Site) -> None:
    breaks = project.write(
        "sitecustomize.py",
        "import jobctl.modes\n"
        "def explain(environment, others):\n"
        "    raise KeyError('sesame-open-up ' + environment.text('NODE_ENV'))\n"
        "jobctl.modes.explain = explain\n",
    )
    broken = {"PYTHONPATH": os.pathsep.join([str(breaks.parent), *sys.path]), "GH_TOKEN": "sesame-open-up"}

    told = project.call("mode", env=broken)
    as_json = project.call("mode", "--json", env=broken)
    loud = project.call("mode", "--verbose", env=broken)

    assert told.returncode == as_json.returncode == 70
    assert told.stderr.startswith("error: jobctl itself failed; this is a bug (KeyError in sitecustomize)\n")
    assert "Traceback" not in told.stderr
    assert '"exit_code": 70' in as_json.stdout
    assert "Traceback" in loud.stderr
    (first, *_) = sorted((project.folder / ".jobctl").glob("crash-*.txt"))
    assert str(first.parent) in told.stderr
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert "KeyError: '•••• development'" in first.read_text()
    assert "sesame" not in first.read_text() + told.stderr + as_json.stdout + loud.stderr
