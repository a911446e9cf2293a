"""The bins of histograms: every duration is in one, and their bounds differ as shown."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobctl.durations import format_duration
from jobctl.store.metrics import MOST_BINS, histogram

CENTURY_MS = 36525 * 86_400_000


def told(ms: int) -> str:
    return format_duration(timedelta(milliseconds=ms))


@given(st.lists(st.integers(0, 10_000) | st.integers(0, CENTURY_MS), min_size=1, max_size=60))
def test_every_duration_is_in_one_bin(durations: list[int]) -> None:
    bins = histogram(sorted(durations))

    assert [one.count for one in bins] == [
        sum(one.from_ms <= each < one.to_ms for each in durations) for one in bins
    ]
    assert sum(one.count for one in bins) == len(durations)
    assert all(before.to_ms == after.from_ms for before, after in pairwise(bins))
    assert bins[0].count > 0
    assert bins[-1].count > 0
    assert len(bins) <= MOST_BINS + 1
    assert all(told(one.from_ms) != told(one.to_ms) for one in bins)


def test_close_ones_are_counted_in_even_steps_and_far_ones_in_ever_wider() -> None:
    close = histogram(sorted([1100, 1150, 1900, 2400]))
    far = histogram(sorted([15, 40, 45, 3_000]))

    assert {one.to_ms - one.from_ms for one in close} == {200}
    assert [(told(one.from_ms), one.count) for one in far if one.count] == [
        ("10 ms", 1), ("20 ms", 2), ("2.0 s", 1),
    ]  # fmt: skip
    assert histogram([]) == ()
