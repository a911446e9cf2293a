"""Who a process is, whether it lives, and what is left of a dead one."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobctl.execution.process_tree import descendants, end_marked, kill_tree
from jobctl.scheduler import process_identity
from jobctl.scheduler.process_identity import Life, Lock, ProcessFile, life_by_pid, start_of, this_process
from jobctl.signals import OWNER_MARK
from tests.support.machine import MACHINE, has_machines
from tests.support.project import until

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ID = "0123456789abcdef"


def test_this_process_is_alive() -> None:
    owner = this_process("scheduler", NOW)
    assert (owner.pid, owner.kind, owner.since) == (os.getpid(), "scheduler", NOW)
    assert owner.start
    assert life_by_pid(owner) is Life.ALIVE
    assert owner.id != this_process("scheduler", NOW).id


@pytest.mark.parametrize("change", [{"start": "1"}, {"pid": 2**22 + 1}])
def test_a_process_with_the_same_pid_is_not_the_owner(change: Any) -> None:
    assert life_by_pid(replace(this_process("scheduler", NOW), **change)) is Life.DEAD


@pytest.mark.parametrize(
    "change",
    [
        {"boot": "another machine"},
        {"boot": ""},
        {"start": ""},
        {"boot": "another machine", "pid": 2**22 + 1},
    ],
)
def test_what_cannot_be_seen_is_unknown_and_never_dead(change: Any) -> None:
    assert life_by_pid(replace(this_process("scheduler", NOW), **change)) is Life.UNKNOWN


def test_a_zombie_is_dead_and_a_stopped_process_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = replace(this_process("scheduler", NOW), pid=child.pid, start=start_of(child.pid))
        assert life_by_pid(owner) is Life.ALIVE
        child.send_signal(signal.SIGSTOP)
        until(lambda: life_by_pid(owner) is Life.STOPPED)
        child.send_signal(signal.SIGCONT)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert life_by_pid(owner) is Life.DEAD


HIDDEN = """
import codecs, os, sys
from dataclasses import replace
from datetime import UTC, datetime
from jobctl.scheduler.process_identity import boot, life_by_pid, this_process
codecs.lookup("ascii")  # this user cannot read the standard library
os.setgid(65534), os.setuid(65534)
mine = this_process("scheduler", datetime.now(UTC))
print(life_by_pid(replace(mine, pid=int(sys.argv[1]), start=sys.argv[2])).value, bool(mine.boot))
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_process_that_proc_hides_is_unknown() -> None:
    """As with hidepid=2: another user's process cannot be seen, and is not gone."""
    owner = this_process("scheduler", NOW)
    script = f"mount -t proc -o hidepid=2 proc /proc && exec {sys.executable} -c '{HIDDEN}' {owner.pid} {owner.start}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "permission denied" in done.stderr:
        pytest.skip("proc cannot be mounted here")
    assert done.stdout.split() == ["unknown", "True"], done.stderr


@pytest.mark.skipif(not has_machines(), reason="pid namespaces cannot be made here")
def test_a_proc_of_another_namespace_says_nothing_about_pids() -> None:
    code = "from jobctl.scheduler.process_identity import boot; print(repr(boot()))"
    foreign = [word for word in MACHINE if word != "--mount-proc"]
    done = subprocess.run([*foreign, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "''"


TIME = ["unshare", "--user", "--map-root-user", "--time", "--boottime", "1000", "--fork"]


def has_time_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*TIME, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not has_time_namespaces(), reason="time namespaces cannot be made here")
def test_start_times_of_another_time_namespace_mean_nothing_here() -> None:
    """There the kernel shows every process as started 1,000 seconds later."""
    owner = this_process("scheduler", NOW)
    code = (
        "import sys\nfrom dataclasses import replace\nfrom datetime import UTC, datetime\n"
        "from jobctl.scheduler.process_identity import life_by_pid, start_of, this_process\n"
        "me = this_process('scheduler', datetime.now(UTC))\n"
        "print(start_of(int(sys.argv[1])) == sys.argv[3])\n"
        "print(life_by_pid(replace(me, pid=int(sys.argv[1]), boot=sys.argv[2], start=sys.argv[3])).value)\n"
    )
    done = subprocess.run(
        [*TIME, sys.executable, "-c", code, str(owner.pid), owner.boot, owner.start],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "unknown"]


# The file of a process


def test_the_lock_of_a_file_shows_that_its_process_lives(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom jobctl.scheduler.process_identity import ProcessFile\n"
        f"file = ProcessFile(Path({str(tmp_path)!r}), '{ID}')\n"
        "print('made', flush=True)\nwhile input(): file.heartbeat(), print('sent', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        first = process_identity.read(tmp_path, ID)
        assert first.lock is Lock.HELD
        print("go", file=child.stdin, flush=True)
        child.stdout.readline()
        second = process_identity.read(tmp_path, ID)
        assert second.lock is Lock.HELD
        assert second.token != first.token

        shutil.copytree(tmp_path / "processes", tmp_path / "copy" / "processes")
        assert process_identity.read(tmp_path / "copy", ID).lock is Lock.MISSING, "a copy was never locked"
        process_identity.sweep(tmp_path, set())
        shutil.rmtree(tmp_path / "processes")
        assert process_identity.read(tmp_path, ID).lock is Lock.MISSING
        print("go", file=child.stdin, flush=True)
        child.stdout.readline()
        assert process_identity.read(tmp_path, ID).lock is Lock.HELD, "it was made again"
        child.kill()
        child.wait()
    assert process_identity.read(tmp_path, ID).lock is Lock.FREE
    process_identity.sweep(tmp_path, {ID})
    assert process_identity.read(tmp_path, ID).lock is Lock.FREE
    process_identity.sweep(tmp_path, set())
    assert process_identity.read(tmp_path, ID).lock is Lock.MISSING


def lock_seen_elsewhere(state: Path) -> str:
    code = (
        "from pathlib import Path\nfrom jobctl.scheduler import process_identity\n"
        f"print(process_identity.read(Path({str(state)!r}), '{ID}').lock.value)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return other.stdout.strip()


def test_a_process_may_read_its_own_file(tmp_path: Path) -> None:
    """Whatever opens and closes it in the same process, as a backup of the folder does, releases no lock."""
    file = ProcessFile(tmp_path, ID)
    assert process_identity.read(tmp_path, ID).lock is Lock.HELD
    (tmp_path / "processes" / ID).read_bytes()
    process_identity.sweep(tmp_path, set())
    assert lock_seen_elsewhere(tmp_path) == "held"
    file.close()
    file.close()
    assert list((tmp_path / "processes").iterdir()) == []


def test_a_forked_child_does_not_hold_its_parents_lock(tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom pathlib import Path\nfrom jobctl.scheduler.process_identity import ProcessFile\n"
        f"file = ProcessFile(Path({str(tmp_path)!r}), '{ID}')\n"
        "if os.fork():\n    os.kill(os.getpid(), 9)\nfile.close()\nprint('alive', flush=True)\ntime.sleep(300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.wait()
        assert process_identity.read(tmp_path, ID).lock is Lock.FREE
        os.killpg(parent.pid, signal.SIGKILL)


def test_a_program_that_replaces_this_one_does_not_hold_the_lock(tmp_path: Path) -> None:
    """It has the same pid and start time."""
    code = (
        "import os\nfrom pathlib import Path\nfrom jobctl.scheduler.process_identity import ProcessFile\n"
        f"file = ProcessFile(Path({str(tmp_path)!r}), '{ID}')\n"
        "os.execvp('sh', ['sh', '-c', 'echo replaced; read line'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process_identity.read(tmp_path, ID).lock is Lock.FREE
        process.kill()


@pytest.mark.parametrize("name", ["../jobctl.db", "", "x" * 16, ID.upper()])
def test_an_id_that_is_none_names_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "jobctl.db").write_text("precious")
    process_identity.discard(tmp_path, name)
    assert process_identity.read(tmp_path, name).lock is Lock.MISSING
    assert (tmp_path / "jobctl.db").exists()


# What is left of a process


_HOP = """
import os, signal
from jobctl.execution import process_tree as tree, worker

worker._adopt_orphans()
start, started = os.pipe()
child = os.fork()
if child == 0:
    os.read(start, 1)
    if os.fork() == 0:
        signal.alarm(20)
        signal.pause()
    os._exit(0)
names = os.listdir

def while_listed(path):
    found = names(path)
    os.write(started, b".")
    os.waitpid(child, 0)
    tree.os.listdir = names
    return found

tree.os.listdir = while_listed
left = tree.descendants(os.getpid())
tree.send(left, signal.SIGKILL)
print(len(left))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")
def test_a_process_that_forks_and_ends_during_the_search_does_not_hide_its_child() -> None:
    done = subprocess.run([sys.executable, "-c", _HOP], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


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
