"""Any bytes as the log of a run: every line of it is shown, so that no terminal takes it for a command."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.execution.run_log import HEAD, TAIL, RunLog
from jobctl.settings.masking import Mask
from jobctl.text import printable
from tests.support.fuzzing import SECRET, anything, bounded, examples, mutated, repeated
from tests.support.terminal import Cli, Past

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
line = (
    st.builds("2026-11-23T09:10:00.123Z [hello] {}".format, anything)
    | anything
    | st.sampled_from(["Z [", "Z []", " [a] b", "]" * 20, "[" * 20, "\x1b[2J", "\x1b]0;x\x07", "[/red]", "\r", "\x9b31m"])
)  # fmt: skip
text = mutated(st.lists(line, max_size=8).map("\n".join), "\n\r []Z") | repeated(line)
data = text.map(lambda one: one.encode("utf-8", "surrogatepass")) | st.binary(max_size=80)


@pytest.fixture
def written(cli: Cli, here: Path) -> Callable[[bytes], str]:
    """A run, whose log can be given any bytes."""
    past = Past(here)
    run = past.ran()
    past.log(run, [])
    file = here / ".jobctl" / "logs" / run.job_id / f"{run.id}.log"
    return lambda data: f"{run.id}{file.write_bytes(data) * 0 or ''}"


@pytest.mark.slow
@examples(40)
@given(data)
@example(b"\r" * 100)
@example(b"\x1b[2JZ [hello] x")
@example(b"\xff\xfe\x00" * 100 + b"\n")
@example(b"Z " * 300_000)
@example("2026-11-23T09:10:00.123Z [hello] a\u2028b\x0cc\x85d\n".encode())
def test_any_log_is_shown(cli: Cli, written: Callable[[bytes], str], data: bytes) -> None:
    run = written(data)

    with bounded():
        plain, as_json, followed = cli("logs", run), cli("logs", run, "--json"), cli("logs", run, "--follow")
        tail = cli("logs", run, "--tail", "2", "--timestamps")

    assert (plain.code, as_json.code, followed.code, tail.code) == (0, 0, 0, 0)
    shown = plain.stdout.split("\n")
    assert all(printable(one) == one for one in [*shown, *tail.stdout.split("\n")])
    document = json.loads(as_json.stdout)
    assert [one["line"] for one in document["lines"]] == shown[:-1]
    assert len(tail.stdout.splitlines()) <= 2 or "\x85" in data.decode("latin-1")
    whole = data[: data.rfind(b"\n") + 1]
    if whole == data:
        assert followed.stdout == plain.stdout


@pytest.mark.slow
@examples(50)
@given(st.lists(data | st.just(SECRET.encode()), max_size=8))
@example([b"x" * HEAD, b"\xc3", b"\xa9" * 400_000])
@example([b"\r"] * 3000)
@example([b"hunter2-is", b"-the-secret"])
def test_any_output_is_kept_in_bounds_and_without_secrets(tmp_path: Path, chunks: list[bytes]) -> None:
    file = tmp_path / "hello" / "run.log"
    file.unlink(missing_ok=True)
    log = RunLog(tmp_path, "hello", "run", Mask([SECRET]))

    with bounded():
        shown = [line for chunk in chunks for line in log.feed(chunk, NOW)] + log.close(NOW)

    assert all(printable(one) == one for one in shown)
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    assert SECRET not in kept
    assert not [one for one in shown if SECRET in one]
    assert len(kept) < (HEAD + TAIL) * len("2026-11-23T09:00:00.000Z [hello] .\n")
    assert bool(kept) == any(chunks)
