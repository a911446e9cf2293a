"""Collects what the benchmarks find, and prints it at their end as the tables of the page ``performance``."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest


class Figure(NamedTuple):
    """One finding. ``ratio`` is ours to theirs. ``more`` is whether more is better: the bar is then the least."""

    what: str
    ours: str
    against: str
    ratio: float
    bar: float
    more: bool = False

    @property
    def kept(self) -> bool:
        return self.ratio >= self.bar if self.more else self.ratio <= self.bar


class Figures:
    """Every finding of a session, and whole tables."""

    def __init__(self) -> None:
        self.found: list[Figure] = []
        self.tables: list[tuple[str, list[list[str]]]] = []

    def add(self, figure: Figure) -> None:
        self.found.append(figure)

    def check(self, found: Iterable[Figure]) -> None:
        """Add them all, then see that every bar is kept."""
        found = list(found)
        self.found += found
        assert [one for one in found if not one.kept] == []

    def table(self, title: str, rows: list[list[str]]) -> None:
        self.tables.append((title, rows))

    def lines(self) -> Iterable[str]:
        yield f"{machine()}, {datetime.now(UTC):%Y-%m-%d}"
        for title, rows in self.tables:
            yield ""
            yield title
            yield from markdown(rows)
        if self.found:
            yield ""
            head = ["what", "jobctl", "against", "ratio", "bar"]
            yield from markdown([head, *(_cells(one) for one in self.found)])


def _cells(one: Figure) -> list[str]:
    sign = "≥ " if one.more else "≤ "
    return [one.what, one.ours, one.against, f"{one.ratio:.2f}", f"{sign}{one.bar:g}"]


def markdown(rows: list[list[str]]) -> Iterable[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield f"|{' --- |' * len(row)}"


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


_FIGURES = Figures()


@pytest.fixture
def figures() -> Figures:
    return _FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES.found or _FIGURES.tables:
        terminalreporter.section("figures")
        for line in _FIGURES.lines():
            terminalreporter.write_line(line)
