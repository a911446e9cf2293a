"""Charts out of numbers: round ticks, bars to scale, text escaped."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.site.reports.page import Share, columns, stacked, ticks


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (900, [0, 500, 1000]),
        (1000, [0, 500, 1000]),
    ],
)
def test_ticks_are_round(most: int, expected: list[int]) -> None:
    assert ticks(most) == expected


@given(st.integers(min_value=1, max_value=10**12))
def test_ticks_reach_the_highest_value_and_are_few(most: int) -> None:
    marks = ticks(most)

    assert marks[0] == 0
    assert marks[-2] < most <= marks[-1]
    assert len(marks) <= 6


def drawn(text: str) -> list[ET.Element]:
    return [one for one in ET.fromstring(text) if one.tag == "rect"]


def test_columns_are_to_scale_and_say_their_value() -> None:
    first, second, third = drawn(columns("Votes", ["Mon", "Tue", "Wed"], [10, 5, 0], ["M", "T", "W"]))

    assert float(first.attrib["height"]) == pytest.approx(2 * float(second.attrib["height"]), abs=0.2)
    assert float(third.attrib["height"]) == 0
    assert [one[0].text for one in (first, second, third)] == ["Mon: 10", "Tue: 5", "Wed: 0"]


def test_a_chart_says_what_it_shows() -> None:
    root = ET.fromstring(columns("Votes", ["Mon", "Tue"], [1, 2000], ["M", "T"]))

    assert root.attrib["aria-label"] == "Votes: 2,001 in all, most on Tue with 2,000"
    assert root.attrib["role"] == "img"


@pytest.mark.parametrize("count", [0, 1, 92, 400])
def test_any_number_of_columns_fits(count: int) -> None:
    numbers = list(range(count))
    rects = drawn(columns("x", [str(one) for one in numbers], numbers, [str(one) for one in numbers]))

    assert len(rects) == count
    assert all(0 <= float(one.attrib["x"]) <= 640 for one in rects)


def test_labels_are_escaped() -> None:
    text = stacked('<b>"', [Share("<i>&", 2, "active"), Share("x", 2, "expired")])

    root = ET.fromstring(text)
    assert root.attrib["aria-label"] == '<b>": <i>& 2, x 2'
    assert "<i>" not in text
