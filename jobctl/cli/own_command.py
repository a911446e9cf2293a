"""The command line that starts this jobctl again: for a service, or to type in a shell."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> list[str]:
    """The command and its arguments, with the whole path."""
    called = Path(sys.argv[0])
    beside = Path(sys.executable).with_name("jobctl")
    for file in (called, beside):
        if file.name == "jobctl" and file.is_file() and os.access(file, os.X_OK):
            return [str(file.absolute())]
    return [sys.executable, "-m", "jobctl"]


def typed() -> str:
    """The command to type in a shell: ``jobctl`` if that name finds this program."""
    words = program()
    found = shutil.which("jobctl")
    same = found is not None and os.path.realpath(found) == os.path.realpath(words[0])
    return "jobctl" if same else shlex.join(words)
