"""The logs that the run store keeps: copies of log files, made piece by piece."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.model import Run
from jobctl.store import logs as run_logs
from jobctl.store.open import open_store
from jobctl.store.stored_logs import LogEnd, LogPiece, StoredLogs
from tests.store.conftest import Desk
from tests.support.postgres import Postgres


@pytest.fixture
def desk(postgres: Postgres) -> Iterator[Desk]:
    address = postgres.schema()
    desk = Desk(lambda: open_store(address))
    desk.register("job")
    with closing(desk):
        yield desk


def logs_of(desk: Desk) -> StoredLogs:
    assert desk.store.stored_logs is not None
    return desk.store.stored_logs


@pytest.fixture
def logs(desk: Desk) -> StoredLogs:
    return logs_of(desk)


@pytest.fixture
def run(desk: Desk) -> Run:
    return desk.begin()


def text_of(logs: StoredLogs, run: Run) -> bytes:
    file = logs.open(run.id)
    assert file is not None
    with file:
        return file.read()


def test_a_store_in_a_file_keeps_none(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        assert store.stored_logs is None


def test_it_is_read_as_its_file_would_be(logs: StoredLogs, run: Run) -> None:
    whole = b"".join(b"%04d \x00\xff \xe2\x82\xac\n" % number for number in range(10_000))
    assert logs.open(run.id) is None
    position = 0
    for size in (1, 7, 64 * 1024, 100, len(whole)):
        data = whole[position : position + size]
        position += len(data)
        assert logs.append([LogPiece(run.id, position - len(data), data)]) == {run.id: LogEnd(position, None)}

    assert text_of(logs, run) == whole
    file = logs.open(run.id)
    assert file is not None
    with file:
        for begin in (0, 3, 8, 64 * 1024 + 7, len(whole) - 5, len(whole), len(whole) + 9):
            assert file.seek(begin) == begin
            assert file.read(1000) == whole[begin : begin + 1000]
        file.seek(13)
        assert file.readline() == whole[13 : whole.index(b"\n", 13) + 1]
    assert logs.read(run.id, 3, 2) == whole[3:5]


def test_a_piece_that_is_not_the_next_changes_nothing(logs: StoredLogs, run: Run) -> None:
    logs.append([LogPiece(run.id, 0, b"one\n")])

    for position in (0, 2, 5):
        assert logs.append([LogPiece(run.id, position, b"other\n", 1)]) == {run.id: LogEnd(4, None)}
    assert logs.append([LogPiece("0" * 16, 0, b"of no run\n")]) == {}
    assert text_of(logs, run) == b"one\n"


@pytest.mark.slow
def test_two_senders_of_one_log_never_double_a_piece(desk: Desk, run: Run) -> None:
    whole = b"".join(b"%06d\n" % number for number in range(5_000))

    def send(size: int) -> None:
        logs = desk.again().stored_logs
        assert logs is not None
        position = 0
        while position < len(whole):
            piece = LogPiece(run.id, position, whole[position : position + size])
            position = logs.append([piece])[run.id].position

    with ThreadPoolExecutor(3) as senders:
        list(senders.map(send, [700, 1000, 1300]))

    assert text_of(logs_of(desk), run) == whole


def test_the_end_of_an_attempt_is_marked(desk: Desk, logs: StoredLogs, run: Run) -> None:
    logs.append([LogPiece(run.id, 0, b"one\n")])
    assert logs.append([LogPiece(run.id, 4, b"", 1)]) == {run.id: LogEnd(4, 1)}
    assert logs.append([LogPiece(run.id, 4, b"two\n")]) == {run.id: LogEnd(8, None)}
    assert logs.append([LogPiece(run.id, 8, b"end\n", 2)]) == {run.id: LogEnd(12, 2)}
    assert logs.ends([run.id, "0" * 16]) == {run.id: LogEnd(12, 2)}
    assert logs.attempts([run.id, "0" * 16]) == {run.id: None}
    desk.end(run)
    assert logs.attempts([run.id]) == {run.id: 1}


def test_logs_go_with_their_runs(desk: Desk, logs: StoredLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_logs, "KEEP_PER_JOB", 2)
    runs = [desk.ran(slot=slot + 1) for slot in range(4)]
    logs.append([LogPiece(run.id, 0, b"hello\n", 1) for run in runs])

    run_logs.prune_runs_and_logs(desk.store, Path("/nowhere/logs"), desk.at(40 * 24 * 60))

    assert [logs.open(run.id) is not None for run in runs] == [False, False, True, True]


def test_the_oldest_logs_of_a_job_are_deleted_beyond_its_limit(desk: Desk, logs: StoredLogs) -> None:
    desk.register("other")
    other = desk.ran("other")
    runs = [desk.ran(slot=slot + 1) for slot in range(4)]
    running = desk.begin(slot=9)
    logs.append([LogPiece(run.id, 0, b"x" * 100, 1) for run in (other, *runs, running)])

    logs.trim("job", 300)
    assert [logs.size(run.id) for run in (other, *runs, running)] == [100, 0, 0, 100, 100, 100]

    logs.trim("job", 0)
    assert [logs.size(run.id) for run in (other, *runs, running)] == [100, 0, 0, 0, 0, 100]


def test_no_other_writer_is_waited_for(desk: Desk, logs: StoredLogs, run: Run) -> None:
    with desk.store._writing() as connection:
        connection.execute("SELECT 1")  # takes the lock of all writers
        with ThreadPoolExecutor(1) as other:
            sent = other.submit(logs.append, [LogPiece(run.id, 0, b"hello\n")])
            assert sent.result(timeout=5) == {run.id: LogEnd(6, None)}
