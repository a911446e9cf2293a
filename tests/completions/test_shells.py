"""The shipped scripts, each in its real shell; and that they are what the program prints."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

import jobctl

SHIPPED = Path(jobctl.__file__).parents[1] / "completions"
FILES = {"bash": "jobctl.bash", "zsh": "_jobctl", "fish": "jobctl.fish"}
LINES = [
    ("jobctl trigg", "jobctl trigger "),
    ("jobctl trigger hel", "jobctl trigger hello "),
    ("jobctl trigger hello --dry", "jobctl trigger hello --dry-run "),
    ("jobctl trigger hello ti", "jobctl trigger hello times="),
    ("jobctl trigger hello kind=ol", "jobctl trigger hello kind=old "),
    ("jobctl runs --status fa", "jobctl runs --status failed "),
    ("jobctl status --color=alw", "jobctl status --color=always "),
    ("jobctl --project sub", "jobctl --project subfolder/"),
    ("~/bin/jobctl trigg", "~/bin/jobctl trigger "),
    ("jobctl trigger --project ~/site wholl", "jobctl trigger --project ~/site wholly-mine "),
]


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed here")


@pytest.fixture
def surroundings_of_shell(here: Path, tmp_path: Path) -> dict[str, str]:
    (here / "jobctl.toml").write_text('[jobs.hello]\nevery = "5m"\ncall = "work:hello"\n')
    (here / "work.py").write_text('def hello(times: int, kind: Literal["old", "all"]): ...')
    (here / "subfolder").mkdir()
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "jobctl.toml").write_text('[jobs.wholly-mine]\nevery = "5m"\ncall = "work:hello"\n')
    program = tmp_path / "bin" / "jobctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jobctl "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "TERM": "dumb",
    }


@pytest.mark.parametrize("shell", FILES)
def test_the_shipped_script_is_what_the_program_prints(shell: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "jobctl", "completion", shell], capture_output=True, text=True, check=True
    )
    assert printed.stdout == (SHIPPED / FILES[shell]).read_text()


@pytest.fixture
def shell_words(tmp_path: Path) -> Path:
    return tmp_path / "words"


def completed(
    shell: str, arguments: list[str], setup: str, line: str, environment: dict[str, str], seen: Path
) -> str:
    """Type the line, press TAB, then let the shell itself say which words it has."""
    child = pexpect.spawn(
        shell, arguments, env=environment, encoding="utf-8", dimensions=(50, 300), timeout=30
    )
    try:
        child.sendline(f"{setup}; echo rea''dy")
        child.expect("ready\r\n")
        child.send(f"{line}\t")
        child.send("\x01echo '\x05<end>' > " + f"'{seen}'\r")
        child.sendline("echo do''ne")
        child.expect("done\r\n")
        return seen.read_text().removesuffix("<end>\n")
    finally:
        child.close(force=True)


@needs("bash")
@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash(line: str, expected: str, surroundings_of_shell: dict[str, str], shell_words: Path) -> None:
    setup = f"bind 'set enable-bracketed-paste off'; source '{SHIPPED / FILES['bash']}'"

    assert (
        completed("bash", ["--norc", "--noprofile"], setup, line, surroundings_of_shell, shell_words)
        == expected
    )


@pytest.mark.slow
@needs("zsh")
@pytest.mark.parametrize("loading", ["fpath", "source"])
@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh(
    line: str, expected: str, loading: str, surroundings_of_shell: dict[str, str], shell_words: Path
) -> None:
    start = "autoload -U compinit; compinit -u -D; bindkey -e; unset zle_bracketed_paste"
    script = SHIPPED / FILES["zsh"]
    setup = f"fpath=('{SHIPPED}' $fpath); {start}" if loading == "fpath" else f"{start}; source '{script}'"

    # zsh takes the blank or slash that it has put there away again when something else is typed
    assert completed("zsh", ["-f", "-i"], setup, line, surroundings_of_shell, shell_words) == expected.rstrip(
        " /"
    )


@needs("fish")
@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish(line: str, expected: str, surroundings_of_shell: dict[str, str]) -> None:
    script = SHIPPED / FILES["fish"]
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source '{script}'; complete -C '{line}'"],
        env=surroundings_of_shell,
        capture_output=True,
        text=True,
        check=True,
    )

    (offered,) = done.stdout.splitlines()
    assert expected.strip().endswith(offered.partition("\t")[0])
