"""The log of a run: bounded, and told where something is left out."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.execution.calling import LARGEST_ERROR, MAX_ERROR
from jobctl.execution.run_log import HEAD, LONGEST_LINE, TAIL, RunLog, shown_error
from jobctl.settings.masking import Mask

AT = datetime(2026, 11, 23, 9, 10, 0, 123_000, UTC)


def texts(folder: Path) -> list[str]:
    log = (folder / "job" / "run.log").read_text(encoding="utf-8")
    assert all(line.startswith("2026-11-23T09:10:00.123Z [job] ") for line in log.splitlines())
    return [line.partition("[job] ")[2] for line in log.splitlines()]


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_pieces_of_any_size_give_the_same_lines(tmp_path: Path, piece: int) -> None:
    data = "naïve €\r\nsecret-word\n\n10%\r20%\nend".encode() + b"\xff\xe2\x82"
    log = RunLog(tmp_path, "job", "run", Mask(["secret-word"]))
    shown = []
    for at in range(0, len(data), piece):
        shown += log.feed(data[at : at + piece], AT)
    shown += log.close(AT)
    assert shown == ["naïve €", "••••", "", "10%", "20%", "end\\xff\\xe2\\x82"]
    assert texts(tmp_path) == shown


def test_the_first_and_the_newest_are_kept(tmp_path: Path) -> None:
    lines = [f"{number:07}" + "x" * 92 + "\n" for number in range(30_000)]
    log = RunLog(tmp_path, "job", "run", Mask())
    shown = []
    for at in range(0, len(lines), 100):
        shown += log.feed("".join(lines[at : at + 100]).encode(), AT)
    shown += log.close(AT)
    kept = texts(tmp_path)
    rest = next(at for at, line in enumerate(kept) if line.startswith("more output follows"))
    assert "left out" in kept[rest + 1]
    del kept[rest]
    whole = [line for line in kept if len(line) == 99]
    told = next(line for line in kept if "left out" in line)
    left_out = int("".join(filter(str.isdigit, told)))
    assert kept[0] == lines[0].rstrip()
    assert kept[-1] == lines[-1].rstrip()
    assert sum(map(len, kept)) <= HEAD + len(lines[0]) + TAIL + len(told)
    assert left_out == sum(map(len, lines)) - sum(len(line) + 1 for line in kept if line != told)
    assert len(whole) > 5_000
    assert shown[-1].startswith("more output follows")


@given(st.integers(min_value=0, max_value=3 * LONGEST_LINE))
def test_a_secret_in_an_endless_line_is_masked_wherever_it_stands(before: int) -> None:
    secret = "0123456789abcdef" * 4
    log = RunLog(Path("/dev/null/logs"), "job", "run", Mask([secret]))
    data = b"x" * before + secret.encode() + b"y" * 3 * LONGEST_LINE
    shown = [line for at in range(0, len(data), 4000) for line in log.feed(data[at : at + 4000], AT)]
    shown += log.close(AT)[:-1]
    assert "".join(shown) == "x" * before + "••••" + "y" * 3 * LONGEST_LINE
    assert max(map(len, shown)) <= LONGEST_LINE + 256


def test_a_further_attempt_goes_on_in_the_same_log(tmp_path: Path) -> None:
    for attempt in (1, 2):
        log = RunLog(tmp_path, "job", "run", Mask(), attempt)
        log.feed(b"hello", AT)
        log.add("its end", AT)
        log.close(AT)
    assert texts(tmp_path) == ["hello", "its end", "attempt 2", "hello", "its end"]


def test_logs_are_the_owners_alone(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "logs", "job", "run", Mask())
    log.feed(b"x\n", AT)
    log.close(AT)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "logs", tmp_path / "logs" / "job")]
    assert modes == [0o700, 0o700]


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "run.log").symlink_to(target)
    log = RunLog(tmp_path, "job", "run", Mask())
    log.feed(b"x\n", AT)
    assert "could not be kept" in log.close(AT)[-1]
    assert target.read_text() == "mine"


def test_results_are_masked_in_keys_and_values() -> None:
    assert Mask(["secret"]).value({"secret": ["a secret", 1, None]}) == {"••••": ["a ••••", 1, None]}


LONG = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1200))


def windows(secret: str, text: str) -> list[str]:
    return [secret[at : at + 8] for at in range(0, len(secret) - 8, 4) if secret[at : at + 8] in text]


@pytest.mark.parametrize("cut", [1, 600, 1199])
@pytest.mark.parametrize("before", [0, LONGEST_LINE - 300, 3 * LONGEST_LINE - 600])
def test_a_long_secret_is_masked_across_writes_and_cuts(tmp_path: Path, before: int, cut: int) -> None:
    log = RunLog(tmp_path, "job", "run", Mask([LONG]))
    shown = log.feed(b"x" * before + LONG[:cut].encode(), AT)
    shown += log.feed(LONG[cut:].encode() + b"z" * 20_000, AT) + log.close(AT)
    assert "".join(shown) == "x" * before + "••••" + "z" * 20_000
    assert windows(LONG, "".join(texts(tmp_path))) == []


@pytest.mark.parametrize("after", [b"\nmore\n", b"z" * 20_000, b""])
@pytest.mark.parametrize("within", [8, 600, 1192])
def test_a_secret_across_the_bound_of_the_log_is_masked(tmp_path: Path, within: int, after: bytes) -> None:
    lines = (b"y" * 99 + b"\n") * (HEAD // 100 - 20)
    start = lines + b"z" * (HEAD - len(lines) - within)
    log = RunLog(tmp_path, "job", "run", Mask([LONG]))
    for part in (start, LONG[:within].encode(), LONG[within:].encode() + after, b"\nend\n"):
        log.feed(part, AT)
    log.close(AT)
    kept = texts(tmp_path)
    assert windows(LONG, "".join(kept)) == []
    assert kept[-1] == "end"
    assert "z••••" in "".join(kept)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_half_a_secret_does_not_begin_the_newest_part(tmp_path: Path, end: bytes) -> None:
    log = RunLog(tmp_path, "job", "run", Mask([LONG]))
    log.feed(b"x" * HEAD + b"\n", AT)
    for _ in range(TAIL // len(LONG) + 9):
        log.feed(LONG.encode() + end, AT)
    log.close(AT)
    assert windows(LONG, "".join(texts(tmp_path))) == []


def test_an_error_is_masked_before_it_is_cut_or_collapsed() -> None:
    mask = Mask([LONG, "correct  horse"])
    for before in (MAX_ERROR - 10, LARGEST_ERROR - 10, LARGEST_ERROR - 1300):
        cut = (" " * before + LONG)[:LARGEST_ERROR]
        assert windows(LONG, shown_error(cut, mask)) == []
    assert windows(LONG, shown_error("x" * (MAX_ERROR - 10) + LONG, mask)) == []
    assert shown_error("it is correct  horse", mask) == "it is ••••"
