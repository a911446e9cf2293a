"""Histograms and percentiles of durations. Bounds are round: evenly spaced if durations are close, else widening."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from jobctl.values import value

MOST_BINS = 12
_FAR = 8  # longest / shortest: beyond it, even steps would put nearly all into one bin
_DAYS = tuple(factor * 10**power for power in range(10) for factor in (1, 2, 5))  # all that a timedelta holds
_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200)
_ROUND = (
    *(factor * 10**power for power in range(3) for factor in (1, 2, 5)),
    *(1000 * seconds for seconds in _SECONDS),
    *(86_400_000 * days for days in _DAYS),
)
"""Round durations in milliseconds: 1, 2, 5, 10 … ms, then seconds, minutes, hours, days."""


@value
class Bin:
    """``count`` durations from ``from_ms`` up to, but not including, ``to_ms``."""

    from_ms: int
    to_ms: int
    count: int


def histogram(ordered_ms: Sequence[int]) -> tuple[Bin, ...]:
    """At most 12 adjacent bins of ascending milliseconds; the first and the last are not empty."""
    if not ordered_ms:
        return ()
    least, most = ordered_ms[0], ordered_ms[-1]
    bounds = _widening(least, most) if most > _FAR * max(1, least) else _even(least, most)
    places = [bisect_left(ordered_ms, one) for one in bounds]
    return tuple(
        Bin(start, end, after - before)
        for (start, end), (before, after) in zip(pairwise(bounds), pairwise(places), strict=True)
    )


def _even(least: int, most: int) -> list[int]:
    """Steps so wide that their bounds differ in the two digits that are shown."""
    step = next(one for one in _ROUND if 20 * one > most and most // one - least // one < MOST_BINS)
    return [step * one for one in range(least // step, most // step + 2)]


def _widening(least: int, most: int) -> list[int]:
    rungs = (0, *_ROUND)
    first = max(at for at, one in enumerate(rungs) if one <= least)
    last = next(at for at, one in enumerate(rungs) if one > most)
    bounds = list(rungs[first : last + 1 : -(-(last - first) // MOST_BINS)])
    return bounds if bounds[-1] > most else [*bounds, rungs[last]]


def percentile(ordered_ms: Sequence[int], percent: int) -> timedelta | None:
    """The nearest-rank percentile of ascending milliseconds: the least that ``percent`` of them do not exceed."""
    if not ordered_ms:
        return None
    return timedelta(milliseconds=ordered_ms[-(-len(ordered_ms) * percent // 100) - 1])
