"""Ctrl-C in the first moments of a command."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import jobctl
from jobctl.cli.error_output import exit_code_of
from tests.support.project import Site

TRIES = 60
WITHIN_S = 0.3
PROGRAM = Path(sys.executable).with_name("jobctl")
OURS = str(Path(jobctl.__file__).with_name("cli"))
COMMANDS = [["status"], ["mode", "--json"], ["trigger", "hello"], ["run"], ["next", "hello"], ["--help"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [[str(PROGRAM)], [sys.executable, "-m", "jobctl"]], ids=["script", "module"]
)
def test_it_ends_without_a_traceback(program: list[str], site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n')
    ended = {-signal.SIGINT, 130}
    for _ in range(TRIES):
        process = subprocess.Popen(
            [*program, *random.choice(COMMANDS)],
            cwd=site.folder,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Event().wait(random.random() * WITHIN_S)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
        if "Traceback" in messages and OURS not in messages:
            continue  # it came while Python was starting, before the entry
        assert "Traceback" not in messages
        assert "ignored" not in messages
        if process.returncode in ended:
            assert len([one for one in messages.splitlines() if "interrupt" in one.lower()]) <= 1
        else:
            assert process.returncode == 0  # it had ended, or was stopped gracefully
    site.nothing_left()


def test_it_counts_where_a_class_is_made() -> None:
    """Python 3.11 turns what a descriptor raises while its class is made, Ctrl-C too, into a ``RuntimeError``."""

    class Interrupted:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(signal.SIGINT)

    def imports() -> int:
        type("Job", (), {"field": Interrupted()})
        return 0

    assert exit_code_of(imports, []) == 130
