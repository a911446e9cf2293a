"""A run's log as HTML: escaped, with the colours of ANSI sequences as classes, and every other sequence left out."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple

from markupsafe import Markup, escape

from jobctl.settings.masking import Mask
from jobctl.store.kept_log import KeptLog
from jobctl.store.logs import parsed

NEWEST = 1000
"""Lines of a log that a page shows at first."""
MOST_SHOWN = 2 * 1024 * 1024
"""Bytes of a log that a page shows at most; all of it can be downloaded."""
_PIECE = 256 * 1024
_ESCAPE = r"(?:\x1b|\\x1b)"  # a log has control characters as text
_SEQUENCE = re.compile(
    rf"{_ESCAPE}\[([0-9;:]*)m|{_ESCAPE}\[[0-?]*[ -/]*[@-~]|{_ESCAPE}\][^\x07\x1b\\]*(?:\x07|\\x07|{_ESCAPE}\\\\?)?"
)
_COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


class LogPart(NamedTuple):
    """Lines of a log.

    Attributes:
        lines: HTML of each.
        position: behind the last of them, in bytes.
        left_out: the number of older lines.
    """

    lines: list[Markup]
    position: int
    left_out: int = 0


def newest_lines(log: KeptLog, most: int | None, mask: Mask) -> LogPart | None:
    """The newest whole lines of a run's log, masked; None where there is none to read.

    Raises:
        OSError: its file cannot be read.
        StoreError: the run store cannot be read.
    """
    file = log.open()
    if file is None:
        return None
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        before = _lines_in(file, max(0, size - MOST_SHOWN))
        data = file.read(MOST_SHOWN)
    begin = data.find(b"\n") + 1 if size > MOST_SHOWN else 0  # the first may be a part of a line
    end = data.rfind(b"\n") + 1
    lines = data[begin:end].decode("utf-8", "replace").split("\n")[:-1]
    left_out = 0 if most is None else max(0, len(lines) - most)
    older = before + left_out + (1 if begin else 0)
    return LogPart(list(lines_as_html(lines[left_out:], mask)), max(0, size - MOST_SHOWN) + end, older)


def _lines_in(file: BinaryIO, size: int) -> int:
    """The number of lines that end in the next ``size`` bytes, which are read."""
    found = 0
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        found += piece.count(b"\n")
        size -= len(piece)
    return found


def lines_from(log: KeptLog, position: int, mask: Mask) -> LogPart:
    """The whole lines behind a position, masked, of at most 256 KiB.

    Raises:
        OSError: its file cannot be read.
        StoreError: the run store cannot be read.
    """
    file = log.open()
    if file is None:
        return LogPart([], position)
    with file:
        file.seek(position)
        data = file.read(_PIECE)
    whole = data[: data.rfind(b"\n") + 1] or (data if len(data) == _PIECE else b"")
    if not whole:
        return LogPart([], position)
    lines = whole.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return LogPart(list(lines_as_html(lines, mask)), position + len(whole))


def lines_as_html(lines: Iterable[str], mask: Mask) -> Iterator[Markup]:
    """Each line with its time, without what has become a secret since it was written."""
    for line in lines:
        at, text = parsed(line)
        yield Markup('<span class="line">{}{}\n</span>').format(_time(at), colored(mask(text)))


def _time(at: str) -> Markup:
    try:
        instant = datetime.fromisoformat(at)
        shown = f"{instant.astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):  # no time, or in no zone of this machine
        return Markup("")
    return Markup('<time datetime="{}">{}</time>').format(at, shown)


def colored(text: str) -> Markup:
    """The text escaped, with a ``span`` for each colour."""
    if "x1b" not in text and "\x1b" not in text:
        return escape(text)
    found: list[Markup] = []
    classes: dict[str, str] = {}
    last = 0
    for match in _SEQUENCE.finditer(text):
        found.append(_span(text[last : match.start()], classes))
        last = match.end()
        if match[1] is not None:
            _apply(match[1], classes)
    found.append(_span(text[last:], classes))
    return Markup("").join(found)


def _span(text: str, classes: dict[str, str]) -> Markup:
    if not text or not classes:
        return escape(text)
    return Markup('<span class="{}">{}</span>').format(" ".join(classes.values()), text)


def _apply(codes: str, classes: dict[str, str]) -> None:
    """Change the classes as the codes of ``ESC [ … m`` say: https://www.ecma-international.org/publications-and-standards/standards/ecma-48/."""
    numbers = [int(code) if code.isdecimal() and len(code) < 4 else 0 for code in re.split("[;:]", codes)]
    at = 0
    while at < len(numbers):
        code = numbers[at]
        at += 1
        match code:
            case 0:
                classes.clear()
            case 1 | 2 | 3 | 4:
                classes[str(code)] = ("", "bold", "dim", "italic", "underline")[code]
            case 22:
                classes.pop("1", None)
                classes.pop("2", None)
            case 23 | 24:
                classes.pop(str(code - 20), None)
            case 39:
                classes.pop("color", None)
            case 38 | 48:
                at += 2 if numbers[at : at + 1] == [5] else 4  # 256 or all colours: shown without
            case _ if 30 <= code <= 37 or 90 <= code <= 97:
                classes["color"] = _COLORS[code % 10]
            case _:
                pass
