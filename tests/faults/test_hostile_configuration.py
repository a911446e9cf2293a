"""Project files that are huge, deep, binary, endless, links in a circle, or change while they are read.

What may stand in a project file is tried in ``fuzz/test_project_file``; this is what a file may be.
"""

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.audit import audit
from tests.support.project import ALONE, Site

GOOD = ALONE + '[jobs.a]\ncommand = ["true"]\n'


def huge(file: Path) -> None:
    job = '[jobs.a{}]\ncommand = ["true"]\nenvironment = {{ X = "{}" }}\n'
    file.write_text("".join(job.format(n, "x" * 900) for n in range(2000)))


def deep(file: Path) -> None:
    file.write_text("a = " + "[" * 100_000 + "]" * 100_000)


def deep_tables(file: Path) -> None:
    file.write_text("[" + ".".join(["a"] * 5000) + "]\nx = 1\n")


def binary(file: Path) -> None:
    file.write_bytes(random.Random(4).randbytes(100_000))


def nul(file: Path) -> None:
    file.write_bytes(bytes(100_000))


def in_a_circle(file: Path) -> None:
    file.symlink_to(file.name)


def to_nowhere(file: Path) -> None:
    file.symlink_to("nowhere")


def a_folder(file: Path) -> None:
    file.mkdir()


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


SHAPES = (huge, deep, deep_tables, binary, nul, in_a_circle, to_nowhere, a_folder, a_pipe, endless)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("name", ["jobctl.toml", ".env"])
def test_a_file_that_cannot_be_used_is_reported(site: Site, name: str, shape: Callable[[Path], None]) -> None:
    if shutil.which("prlimit"):
        site.prefix = ["prlimit", "--as=2000000000"]
    shape(site.folder / name)

    told = site.call("status")

    assert told.returncode == 2 or (name, told.returncode) == (".env", 0), told.stderr[-2000:]
    assert "Traceback" not in told.stderr
    assert len(told.stderr) < 2000
    assert told.returncode == 0 or name in told.stderr


@pytest.mark.usefixtures("as_one_whom_modes_bind")
@pytest.mark.parametrize("name", ["jobctl.toml", ".env"])
def test_a_file_that_may_not_be_read(site: Site, name: str) -> None:
    site.write(name, "# mine").chmod(0)

    for command, code in (("run", 2), ("status", 2 if name == "jobctl.toml" else 0)):
        told = site.call(command)
        assert told.returncode == code
        assert f"{name}: it cannot be read: permission denied" in told.stderr.lower()


def test_a_file_that_changes_while_it_is_read(site: Site) -> None:
    """Written in pieces, as by an editor that does not rename."""
    file = site.write("jobctl.toml", GOOD)
    chance, stop = random.Random(), threading.Event()

    def write() -> None:
        while not stop.wait(chance.uniform(0, 0.003)):
            file.write_text(GOOD[: chance.randrange(len(GOOD))])
            file.write_text(GOOD)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = [site.call("status", "a") for _ in range(6)]
    finally:
        stop.set()
        writer.join()

    for done in told:
        assert done.returncode in {0, 2}, done
        assert "Traceback" not in done.stderr
    assert site.call("trigger", "a").returncode == 0
    audit(site)


def test_a_folder_that_links_to_itself(site: Site) -> None:
    site.write("jobctl.toml", GOOD)
    (site.folder / "loop").symlink_to(".")
    loops = site.folder.joinpath(*["loop"] * 30)

    assert site.call("status", "a", "--project", str(loops)).returncode == 0


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--project", "."], 2), (["--project", "{site}"], 0)])
def test_a_folder_that_is_gone(site: Site, words: list[str], code: int) -> None:
    """Another project, named by its whole path, can still be looked at."""
    site.write("jobctl.toml", GOOD)
    gone = site.folder / "gone"
    gone.mkdir()
    argv = [sys.executable, "-m", "jobctl", "status", *(one.format(site=site.folder) for one in words)]

    told = subprocess.run(
        [sys.executable, "-c", f"import os; os.rmdir(os.getcwd()); os.execv({argv[0]!r}, {argv!r})"],
        cwd=gone,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.returncode == code, told
    assert told.stderr.startswith("error: the working directory does not exist any more\n") is (code == 2)
