"""What every fuzz test stands on: how many examples, a bound on the work of each, and text that means harm.

``JOBCTL_FUZZ`` is how many times as many examples as usual are tried, and lets repetition grow as large as a
file may be. Its default, 1, is what every run of the suite does.
"""

import os
import signal
import string
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from jobctl.errors import ConfigurationErrors, ExitCode, JobctlError
from jobctl.text import printable

TIMES = int(os.environ.get("JOBCTL_FUZZ", "1"))
LARGEST = 1024 * 1024 if TIMES > 1 else 8 * 1024
WORK_S = 10.0
SECRET = "hunter2-is-the-secret"
LONGEST_SENTENCE = 300


class _EndlessError(BaseException):
    """Not an Exception: what jobctl catches must not catch it."""


@contextmanager
def bounded(seconds: float = WORK_S) -> Iterator[None]:
    """Fail where the block computes for longer: a hang. A slow or busy machine does not count."""
    rang = False

    def ring(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        nonlocal rang
        rang = True
        raise _EndlessError

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1)  # again: what is raised in a destructor is lost
    try:
        with suppress(_EndlessError):
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert not rang, f"no end after {seconds:g} s of computing"


def examples(number: int) -> settings:
    """The settings of a test with so many examples, ``JOBCTL_FUZZ`` times as many where it is set."""
    return settings(
        max_examples=number * TIMES,
        deadline=None,
        phases=set(Phase) - {Phase.explain},  # which would run the slowest input over and over
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


def check_message(error: JobctlError) -> None:
    """An error is one of the designed ones: a bounded sentence that can be printed, with nothing secret in it."""
    assert error.exit_code is not ExitCode.INTERNAL or error.code != "internal"
    if isinstance(error, ConfigurationErrors):
        assert len(str(error)) <= 100 * LONGEST_SENTENCE
        for one in error.problems:
            check_message(one)
        return
    sentence, _, caret = error.problem.partition("\n")
    for text in (sentence, error.hint or "", error.where or ""):
        assert len(text) <= LONGEST_SENTENCE, len(text)
        assert printable(text) == text
        assert "\n" not in text
        assert SECRET not in text
        assert "Traceback" not in text
    assert len(caret.splitlines()) in {0, 2}


# Text

ODD = "\0\t\n\r\v\f\x1b\x7f\x85\xa0\xad\u061c\u200b\u2028\u2029\u202e\u2066\ufeff\ufffd\ufffe"
"""Control, blank and direction characters."""
FOREIGN = "٣５²ſıİﬀéß漢😀\U000e0041"
"""Digits and letters that are none in ASCII, some of which change their length with their case."""
SURROGATES = "\udc80\udcff"
"""What stands for bytes that are not UTF-8, in the environment and in arguments."""

odd = st.text(st.sampled_from(ODD + FOREIGN + string.printable), max_size=40)
anything = odd | st.text(max_size=40)


@st.composite
def mutated(draw: st.DrawFn, base: st.SearchStrategy[str], alphabet: str = "") -> str:
    """A text with up to four parts of it left out, doubled, moved, or replaced by something odd."""
    text = draw(base)
    piece = st.text(st.sampled_from(alphabet + ODD + FOREIGN), min_size=1, max_size=3)
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        put = draw(st.sampled_from(["", text[start:end] * 2]) | piece)
        at = draw(st.sampled_from([start, 0, len(text)]))
        rest = text[:start] + text[end:]
        text = rest[:at] + put + rest[at:]
    return text


@st.composite
def repeated(draw: st.DrawFn, piece: st.SearchStrategy[str]) -> str:
    """One or two pieces over and over, up to the size of the largest file, between two others."""
    begin, one, two, end = (draw(piece) for _ in range(4))
    unit = one + two if draw(st.booleans()) else one
    size = draw(st.sampled_from([LARGEST // 64, LARGEST // 8, LARGEST - 100]))
    return begin + unit * (size // max(1, len(unit.encode("utf-8", "surrogatepass")))) + end
