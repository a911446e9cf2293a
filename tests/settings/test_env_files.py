"""What may stand in the place of an ``.env`` file: a named pipe, a folder, a broken link, other bytes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.settings.env_files import load_variables
from tests.support.project import Site, until

WRITER = """
import signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # its reader may have had enough
name, count = sys.argv[2:]
with open(sys.argv[1], "w") as file:
    file.write(name + "x" * int(count) + "\\n")
"""


def writes(path: Path, text: str, more: int = 0) -> "subprocess.Popen[bytes]":
    """A program that writes into a named pipe once it is read, as a password manager does."""
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), text, str(more)])


@pytest.mark.parametrize("name", [".env", ".env.local"])
def test_a_named_pipe_is_read_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with writes(tmp_path / name, "COMPANY_NAME=Acme\nX=", more=100_000):
        found = load_variables(tmp_path, {})

    assert found.values["COMPANY_NAME"].text == "Acme"
    assert len(found.values["X"].text or "") == 100_000
    assert str(found.values["COMPANY_NAME"].source) == f"{name}:1"
    assert not found.problems


@pytest.mark.slow
def test_the_kill_switch_in_a_pipe_works_and_jobs_get_its_values(site: Site) -> None:
    """The workers of a job, built-in jobs too, do not wait for the pipe again."""
    os.mkfifo(site.folder / ".env")
    with writes(site.folder / ".env", "DISABLE_AUTO_SYNC=true\n"):
        assert site.call("mode", "--short").stdout == "disabled\n"
    with writes(site.folder / ".env", "DATA_REPOSITORY=nowhere/at/all\n"):
        said = site.call("trigger", "repository-sync")
    assert "DATA_REPOSITORY is not set" not in said.stdout + said.stderr


def test_a_pipe_without_a_writer_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobctl.settings.env_files.PIPE_TIMEOUT_S", 0.05)
    os.mkfifo(tmp_path / ".env")

    found = load_variables(tmp_path, {})

    assert [str(one) for one in found.problems] == [
        ".env: it cannot be read: it is a pipe, and no program wrote to it and closed it within 0.05 s"
    ]


def test_an_endless_pipe_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    with writes(tmp_path / ".env", "X=", more=2_000_000):
        found = load_variables(tmp_path, {})

    assert "larger than 1 MiB" in str(found.problems[0])


def test_bytes_that_are_not_utf_8_are_replaced_as_next_js_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"# ok\n# Schl\xfcssel\nCOMPANY_NAME=Acm\xe9\nX=1\n")

    found = load_variables(tmp_path, {})

    assert (found.values["COMPANY_NAME"].text, found.values["X"].text) == ("Acm\ufffd", "1")
    assert found.warnings == (".env:2: this line is not UTF-8; wrong bytes are read as \ufffd",)
    assert not found.problems


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [("folder", "a folder"), ("utf-16", "UTF-16 text (save it as UTF-8)"), ("link", "a broken link"), ("socket", "a socket"), ("device", "no plain file")],
)  # fmt: skip
def test_an_existing_file_is_never_reported_as_missing(
    site: Site, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.folder)  # the address of a socket is short
    path = Path(".env")
    server = socket.socket(socket.AF_UNIX)
    match kind:
        case "folder":
            path.mkdir()
        case "utf-16":
            path.write_text("DISABLE_AUTO_SYNC=1\n", "utf-16")
        case "link":
            path.symlink_to("gone")
        case "socket":
            server.bind(".env")
        case "device":
            path.symlink_to("/dev/null")
    said, others = (
        site.call("mode"),
        [site.call(*one.split()) for one in ("mode --short", "check settings", "status")],
    )
    server.close()

    assert said.returncode == 0
    line = next(one for one in said.stdout.splitlines() if one.split()[:1] == [".env"])
    assert words in line
    for one in (said, *others):
        assert one.stderr.count(f".env is {words}, so it is ignored") == 1


def test_a_job_in_the_background_gets_the_values_of_a_pipe(site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncommand = ["sh", "-c", "echo $FROM_PIPE"]\n')
    os.mkfifo(site.folder / ".env")
    with writes(site.folder / ".env", "FROM_PIPE=here\n"):
        said = site.call("trigger", "hello", "--no-wait")
    (site.folder / ".env").unlink()

    assert said.returncode == 0
    until(lambda: site.runs("hello")[0]["status"] == "completed")
    assert site.call("logs", "hello").stdout == "here\n"
