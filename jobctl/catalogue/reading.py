"""A TOML file read with care: a plain file, bounded, UTF-8; each fault with its line."""

import os
import re
import stat
from pathlib import Path
from typing import Any

from jobctl.errors import ConfigurationError, reason_of
from jobctl.text import quote

MAX_FILE = 1024 * 1024
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# tomllib's time grows with the square of a dotted key's parts: 20,000 parts take ten seconds.
_ENDLESS_KEY = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)


def read_text(file: Path) -> str:
    """The file's text, read once.

    Raises:
        ConfigurationError: it is no plain file, cannot be read, is larger than 1 MiB or not UTF-8.
    """
    try:
        # Without O_NONBLOCK a pipe of that name would be waited for, perhaps for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError("it is not a plain file", where=file.name)
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read(MAX_FILE + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {reason_of(error)}", where=file.name) from error
    if len(data) > MAX_FILE:
        raise ConfigurationError("it is larger than 1 MiB", where=file.name)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("it is not UTF-8", where=f"{file.name}:{line}") from error


def parse(name: str, text: str) -> dict[str, Any]:
    """What the TOML text says.

    Raises:
        ConfigurationError: it is not TOML, or nested beyond reason.
    """
    import tomllib

    endless = _ENDLESS_KEY.search(text)
    if endless:
        line = text.count("\n", 0, endless.start()) + 1
        raise ConfigurationError("it is nested too deeply", where=f"{name}:{line}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        match = _SYNTAX_PLACE.search(words)
        line = int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1
        reason = words[: match.start()] if match else words
        raise ConfigurationError(
            f"this is not TOML: {quote(reason, 120)[1:-1].lower()}", where=f"{name}:{line}"
        ) from error
    except RecursionError:
        # Its traceback is a thousand lines that say nothing.
        raise ConfigurationError("it is nested too deeply", where=name) from None
    except ValueError as error:  # int() takes 4,300 digits
        raise ConfigurationError("a number in it is too long", where=name) from error
