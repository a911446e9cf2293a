"""Who an owner is, and what is found of a dead one."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobctl.execution.process import is_alive, start_of, this_process
from jobctl.execution.tree import OWNER_MARK, descendants, end_marked, kill_tree

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_this_process_is_alive_however_old_its_beat() -> None:
    owner = this_process("scheduler", NOW)
    assert (owner.pid, owner.kind, owner.since) == (os.getpid(), "scheduler", NOW)
    assert owner.start
    assert is_alive(owner, LATER)
    assert owner.id != this_process("scheduler", NOW).id


@pytest.mark.parametrize("change", [{"start": "1"}, {"ended": NOW}, {"pid": 2**22 + 1}])
def test_a_process_with_the_same_pid_is_not_the_owner(change: Any) -> None:
    assert not is_alive(replace(this_process("scheduler", NOW), **change), NOW)


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert start_of(child.pid) is None


def test_elsewhere_the_beat_decides() -> None:
    owner = replace(this_process("scheduler", NOW), boot="another machine")
    assert is_alive(owner, NOW + timedelta(seconds=59))
    assert not is_alive(owner, NOW + timedelta(seconds=61))


@pytest.mark.faults
def test_a_tree_is_killed_with_those_that_ignore_everything() -> None:
    code = "trap '' TERM; (trap '' TERM; sleep 300 & sleep 300) & echo up; wait"
    with subprocess.Popen(["sh", "-c", code], stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert descendants(child.pid)
        kill_tree(child.pid)
        assert child.wait() == -9
        assert child.stdout.read() == b""  # nobody holds it any longer


@pytest.mark.faults
def test_a_daemon_of_a_dead_owner_is_found_by_its_mark() -> None:
    owner = os.urandom(8).hex()
    environment = {**os.environ, OWNER_MARK: owner}
    code = "setsid sh -c 'echo up; sleep 300' &"
    with subprocess.Popen(["sh", "-c", code], env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.wait()
        assert end_marked(owner) >= 1
        assert child.stdout.read() == b""
    assert end_marked(owner) == 0
