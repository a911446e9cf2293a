"""Logs on their way into the run store: once a second at most, and never waited for."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.execution.log_shipping import LogShipper, UnsentLogs, make_shipper
from jobctl.model import RunStatus, Trigger
from jobctl.store.base import RunStore
from jobctl.store.logs import append
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, Ending, Owner, Registration, new_run_id
from tests.support.postgres import Postgres
from tests.support.project import until
from tests.support.proxy import Proxy, proxied

NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
LIMIT = 1_000_000

pytestmark = pytest.mark.slow


class Machine:
    """A state folder, and a run whose log is in it."""

    def __init__(self, state: Path, store: RunStore) -> None:
        self.state = state
        self.store = store
        self.store.register([Registration("job", "Job", "every 1m", "UTC")], NOW)
        owner = Owner("owner-1", "scheduler", "here", 4711, "77", "boot", NOW)
        self.store.register_process(owner)
        (claimed,) = self.store.claim(owner, [Claim(new_run_id(), "job", Trigger.MANUAL, NOW)])
        assert isinstance(claimed, Claimed)
        self.run = claimed.run

    def shipper(self, store: RunStore | None = None) -> LogShipper:
        made = make_shipper(store or self.store, self.state, LIMIT, SystemClock())
        assert made is not None
        return made

    def print(self, text: bytes, *shippers: LogShipper) -> None:
        file = append(self.state / "logs", "job", self.run.id)
        os.write(file, text)
        os.close(file)
        for shipper in shippers:
            shipper.written("job", self.run.id, 1)

    def end(self) -> None:
        took = timedelta(seconds=1)
        ending = Ending(self.run.id, "job", RunStatus.COMPLETED, NOW, NOW + took, took)
        assert self.store.finish([ending]) == [True]

    def kept(self) -> bytes:
        assert self.store.stored_logs is not None
        return self.store.stored_logs.read(self.run.id, 0, LIMIT)

    def unsent(self) -> list[tuple[str, str]]:
        return list(UnsentLogs(self.state))


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.schema()


@pytest.fixture
def machine(tmp_path: Path, address: str) -> Iterator[Machine]:
    with closing(open_store(address)) as store:
        yield Machine(tmp_path / "state", store)


def test_it_sends_once_a_second_at_most(machine: Machine, postgres: Postgres, address: str) -> None:
    shipper, pause = machine.shipper(), threading.Event()
    began = time.monotonic()
    shipper.start()
    with closing(shipper):
        for number in range(30):
            machine.print(b"%d\n" % number, shipper)
            pause.wait(0.1)
        until(lambda: machine.kept().endswith(b"29\n"))
        took = time.monotonic() - began

    (pieces,) = postgres.execute(f"SELECT count(*) FROM {address.rpartition('=')[2]}.logs")[0]
    assert 1 <= pieces <= took + 2
    assert machine.kept() == b"".join(b"%d\n" % number for number in range(30))


def test_what_was_written_is_there_when_it_is_asked_for(machine: Machine) -> None:
    shipper = machine.shipper()
    shipper.start()
    with closing(shipper):
        machine.print(b"one\n", shipper)
        until(machine.kept)
        machine.print(b"two\n", shipper)
        shipper.ended(machine.run.id, 1)
        shipper.flush(machine.run.id, 30)
        assert machine.kept() == b"one\ntwo\n"
        assert machine.unsent() == []


def test_a_store_that_hangs_is_not_waited_for(machine: Machine, postgres: Postgres, address: str) -> None:
    with proxied(postgres.port) as proxy:
        far = open_store(address.replace(f":{postgres.port}/", f":{proxy.port}/"))
        with closing(far):
            shipper = machine.shipper(far)
            shipper.start()
            machine.print(b"one\n", shipper)
            until(machine.kept)
            _hang(proxy, machine, shipper)
    assert machine.kept() == b"one\n"

    machine.end()
    with closing(machine.shipper()) as next_one:
        next_one.start()
        until(lambda: machine.unsent() == [])
    assert machine.kept() == b"one\ntwo\n"


def _hang(proxy: Proxy, machine: Machine, shipper: LogShipper) -> None:
    proxy.hang()
    began = time.monotonic()
    machine.print(b"two\n", shipper)
    shipper.ended(machine.run.id, 1)
    assert time.monotonic() - began < 2
    shipper.flush(machine.run.id, 0.1)
    shipper.close()
    assert time.monotonic() - began < 9  # the connection alone would be waited for longer
    assert machine.unsent() == [("job", machine.run.id)]


def test_nothing_is_taken_from_a_run_in_progress(machine: Machine) -> None:
    shipper = machine.shipper()
    machine.print(b"one\n", shipper)  # of a process that has not sent yet
    with closing(machine.shipper()) as other:
        other.start()
        until(lambda: other._take_over_at > 0)
    assert machine.kept() == b""
    assert machine.unsent() == [("job", machine.run.id)]


def test_what_belongs_to_no_run_is_forgotten(machine: Machine) -> None:
    UnsentLogs(machine.state).add("job", "0" * 16)
    UnsentLogs(machine.state).add("job", machine.run.id)  # a log that was deleted
    machine.end()
    with closing(machine.shipper()) as shipper:
        shipper.start()
        until(lambda: machine.unsent() == [])
