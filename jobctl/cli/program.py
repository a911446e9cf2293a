"""How the jobctl that runs now is started again: by a service, or by a person at a shell."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> list[str]:
    """Its words, with its whole path."""
    called = Path(sys.argv[0])
    beside = Path(sys.executable).with_name("jobctl")
    for one in (called, beside):
        if one.name == "jobctl" and one.is_file() and os.access(one, os.X_OK):
            return [str(one.absolute())]
    return [sys.executable, "-m", "jobctl"]


def typed() -> str:
    """What a person types in a shell: ``jobctl`` where the shell finds this program by that name."""
    words = program()
    found = shutil.which("jobctl")
    same = found is not None and os.path.realpath(found) == os.path.realpath(words[0])
    return "jobctl" if same else shlex.join(words)
