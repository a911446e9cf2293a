"""A disk without room stops starts, not the scheduler; what ended meanwhile is recorded when there is room again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.audit import audit, jobs_that_tell, told
from tests.support.disks import resize, small_disk
from tests.support.project import Site, until

MORE = '[jobs.hog]\ncall = "work:hog"\n[jobs.gated]\ncall = "work:gated"\n'
CODE = """
import errno, pathlib

def hog():
    with open("hog", "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
        file.truncate(file.tell() - 24 * 1024)  # room to say that this run has ended

def gated():
    while not pathlib.Path("../gate").exists():
        time.sleep(0.02)
"""


@pytest.fixture
def disk(site: Site) -> Iterator[Path]:
    """The project's folder, on a disk of its own."""
    site.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    with small_disk(site.folder, "1m"):
        jobs_that_tell(site, {"tick": 0.01}, MORE, CODE)
        yield site.folder
        site.clean_up()


def test_a_job_takes_all_room_and_the_scheduler_goes_on(site: Site, disk: Path) -> None:
    scheduler = site.run()
    gated = site.popen("trigger", "gated", "-q")
    until(lambda: told(site, "tick") >= 2)
    until(lambda: site.runs("gated"))
    assert site.call("trigger", "hog").returncode == 0

    until(lambda: "the disk is full" in site.log(scheduler))
    for look in ("status", "runs", "metrics"):
        assert site.call(look).returncode == 0, look
    assert scheduler.poll() is None
    (disk.parent / "gate").touch()  # what ends now has to wait for room
    refused = site.call("trigger", "tick")
    assert refused.returncode in {0, 70}  # folding the log may just have made some
    assert "Traceback" not in refused.stderr

    (disk / "hog").unlink()
    before = told(site, "tick")
    until(lambda: "the run store can be written again" in site.log(scheduler))
    until(lambda: told(site, "tick") >= before + 2)
    scheduler.terminate()
    assert (gated.wait(60), scheduler.wait(60)) == (0, 0)

    runs = audit(site, reasons=())
    assert {run["job_id"] for run in runs} == {"tick", "gated", "hog"}


def test_slots_to_catch_up_are_kept_when_there_is_room_again(site: Site, disk: Path) -> None:
    each = '[jobs.each]\nevery = "1s"\ncatch_up = "each"\ncatch_up_limit = 1000\ncall = "work:each"\n'
    jobs_that_tell(site, {}, each + MORE, f"{CODE}\ndef each(): work('each', 0.01)\n")
    scheduler = site.run()
    until(lambda: told(site, "each") >= 2)
    assert site.call("trigger", "hog").returncode == 0
    until(lambda: "the disk is full" in site.log(scheduler))
    before = told(site, "each")
    (disk / "hog").unlink()

    until(lambda: told(site, "each") >= before + 5)
    scheduler.terminate()
    assert scheduler.wait(60) == 0

    audit(site, reasons=())
    totals = {job["id"]: job for job in site.json("metrics")["jobs"]}
    assert totals["each"]["skipped"] == 0


def test_killed_on_a_full_disk_the_next_command_still_reports_it(site: Site, disk: Path) -> None:
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2)
    assert site.call("trigger", "hog").returncode == 0
    scheduler.kill()
    scheduler.communicate()

    assert site.json("status")["scheduler"]["running"] is False
    assert len(site.runs("tick")) >= 2
    (disk / "hog").unlink()
    assert site.call("trigger", "tick").returncode == 0
    audit(site, reasons={"lost"})


def test_no_room_for_a_first_store(site: Site, tmp_path: Path) -> None:
    site.jobs('[jobs.a]\ncommand = ["true"]\n')
    disk = tmp_path / "disk"
    with small_disk(disk, "16k"):
        site.environment["JOBCTL_STATE"] = str(disk / "state")
        for command in ("run", "trigger a"):
            refused = site.call(*command.split())
            assert refused.returncode == 70, refused
            assert "the disk is full" in refused.stderr
            assert "Traceback" not in refused.stderr
        assert not list(disk.glob("state/*db*"))
        resize(disk, "1m")
        assert site.call("trigger", "a").returncode == 0
        audit(site)
