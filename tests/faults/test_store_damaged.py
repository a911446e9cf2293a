"""Run stores that are damaged, cut short, of a newer jobctl, held by another program, or taken away."""

import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.audit import audit, jobs_that_tell, told
from tests.faults.budget import many
from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

PAGE = 4096
HELD_S = many(1.0, 35.0)
LOOKS = ("status", "status --json", "runs --limit 0 --json", "metrics --json", "logs hello", "stop hello")


def store_of(site: Site) -> Path:
    return site.folder / ".jobctl" / "jobctl.db"


# Whole


def text(path: Path) -> None:
    path.write_text("this is no database " * 500)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    os.truncate(path, 5000)


@pytest.mark.parametrize("damage", [text, nothing, cut_short])
def test_a_damaged_store_is_set_aside_and_reported(site: Site, damage: Callable[[Path], None]) -> None:
    site.jobs('[jobs.a]\ncommand = ["true"]\n')
    assert site.call("trigger", "a").returncode == 0
    with closing(sqlite3.connect(store_of(site))) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is in the log would mend it
    damage(store_of(site))
    left = store_of(site).read_bytes()

    looked = site.call("status")
    assert looked.returncode == 70
    assert "jobctl.db" in looked.stderr
    assert store_of(site).read_bytes() == left
    done = site.call("trigger", "a")
    assert done.returncode == 0, done
    assert "set aside" in done.stderr

    (kept,) = store_of(site).parent.glob("jobctl.db.damaged-*")
    assert kept.read_bytes() == left
    assert len(audit(site)) == 1


# In places


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def scatter(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 200)):
        data[chance.randrange(len(data))] = chance.randrange(256)


def overwrite(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // PAGE) * PAGE
    data[at : at + PAGE] = chance.choice((bytes(PAGE), chance.randbytes(PAGE)))


def swap(data: bytearray, chance: random.Random) -> None:
    one, other = (slice(at, at + PAGE) for at in chance.choices(range(0, len(data), PAGE), k=2))
    data[one], data[other] = data[other], data[one]


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def test_damage_anywhere_is_never_taken_for_a_fault_of_jobctl(cli: Cli, here: Path) -> None:
    past = Past(here)
    for number in range(40):
        past.ran("hello" if number % 2 else "bad", ago=6000 - number, error="no" * (number % 3))
    past.store.close()
    whole = (here / ".jobctl" / "jobctl.db").read_bytes()
    for seed in range(many(20, 1000)):
        chance = random.Random(seed)
        data = bytearray(whole)
        chance.choice((flip, scatter, overwrite, swap, cut))(data, chance)
        shutil.rmtree(here / ".jobctl")
        (here / ".jobctl").mkdir(mode=0o700)
        (here / ".jobctl" / "jobctl.db").write_bytes(data)
        for words in LOOKS:
            told = cli(*words.split())
            assert told.code in {0, 70}, (seed, words, told.stderr)
            assert "itself failed" not in told.stdout + told.stderr, (seed, words, told.stderr)


def test_a_scheduler_goes_on_beside_damage_and_the_next_sets_it_aside(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2)
    with store_of(site).open("r+b") as file:
        for page in range(3, store_of(site).stat().st_size // PAGE):
            file.seek(page * PAGE)
            file.write(b"\xa5" * PAGE)

    refused = site.call("run")
    assert refused.returncode == 70
    assert "another process has it open" in refused.stderr
    assert scheduler.poll() is None
    scheduler.terminate()
    assert scheduler.wait(60) in {0, 70}
    assert "Traceback" not in site.log(scheduler)

    scheduler = site.run()
    before = told(site, "tick")
    until(lambda: told(site, "tick") > before)
    scheduler.terminate()
    assert scheduler.wait(60) == 0
    assert "set aside" in site.log(scheduler)
    site.nothing_left()


# Of others


def test_a_newer_store_is_left_alone(site: Site) -> None:
    site.jobs('[jobs.a]\ncommand = ["true"]\n')
    assert site.call("trigger", "a").returncode == 0
    with closing(sqlite3.connect(store_of(site))) as store:
        store.execute("PRAGMA user_version = 99")
    before = store_of(site).read_bytes()
    for command in ("status", "trigger a", "run"):
        refused = site.call(*command.split())
        assert refused.returncode == 70, refused
        assert "was made by a newer jobctl" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert store_of(site).read_bytes() == before


def test_held_by_another_program_it_is_waited_for(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01, "other": 0.01})
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2)
    with closing(sqlite3.connect(store_of(site), isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        by_hand = site.popen("trigger", "other", "-q")
        until(lambda: "locked by another process" in site.log(scheduler))
        assert site.call("status").returncode == 0
        threading.Event().wait(HELD_S)
        before = told(site, "tick")
        other.execute("ROLLBACK")
    until(lambda: told(site, "tick") >= before + 2)
    assert by_hand.wait(60) in {0, 3, 70}
    scheduler.terminate()
    assert scheduler.wait(60) == 0

    assert site.log(scheduler).count("can be written again") == 1
    audit(site, reasons=())


def test_taken_away_nothing_is_run_that_cannot_be_recorded(site: Site, tmp_path: Path) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2)
    (site.folder / ".jobctl").rename(tmp_path / "away")
    until(lambda: "was moved while it was in use" in site.log(scheduler))
    before = told(site, "tick", "begin")
    threading.Event().wait(1.5)
    assert told(site, "tick", "begin") == before
    assert scheduler.poll() is None

    # what had begun before may have left its log
    shutil.rmtree(site.folder / ".jobctl", ignore_errors=True)
    (tmp_path / "away").rename(site.folder / ".jobctl")
    until(lambda: told(site, "tick", "begin") > before)
    scheduler.terminate()
    assert scheduler.wait(60) == 0
    audit(site)
