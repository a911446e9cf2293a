"""What jobctl must come through, one file a scenario, black box. After each, ``audit`` adds up what is left.

=================================  =====================================================================
``test_killed_at_random``          ``kill -9`` of schedulers, workers and manual runs, or all, at any moment
``test_killed_at_a_moment``        between claim and start, end and record; while pruning, migrating, making
``test_many_schedulers``           several on one store, each killed and started again; machines that die
``test_paused``                    schedulers and workers that are stopped and go on
``test_clock_set``                 the wall clock forward and back, also with no scheduler; clock changes
``test_disk_full``                 a run store without room, and jobs that take it
``test_read_only``                 a run store that cannot be written, of another user, or is a file
``test_store_damaged``             damaged, cut short, of a newer jobctl, held, taken away
``test_hostile_jobs``              jobs against themselves, their worker, the scheduler and the machine
``test_waiting``                   runs for later and slots to catch up: many at once, schedulers that are killed
``test_many_triggers``             very many ``jobctl trigger`` at once
``test_ten_thousand_jobs``         very many jobs
``test_poor_environment``          no terminal, no home, no room, no UTF-8, streams that are closed or full
``test_hostile_configuration``     project files that are huge, deep, binary, endless, or change
=================================  =====================================================================

Stops by signals are in ``promises/test_6_a_stop_is_graceful``. ``JOBCTL_TEST_SECONDS=600`` makes those that
kill continue for that time, pauses 90 seconds long, and numbers as large as the scenario says.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.budget import seconds
from tests.support.project import Site

HERE = Path(__file__).parent
ROOT_WITHOUT_ITS_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are slow, and take longer where more time is given."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(120 + 3 * seconds(0)))


@pytest.fixture
def as_one_whom_modes_bind(site: Site, tmp_path: Path) -> None:
    """The superuser may write anywhere, unless he gives that up."""
    if os.geteuid() == 0:
        site.prefix = ROOT_WITHOUT_ITS_RIGHTS
    probe = tmp_path / "probe"
    probe.touch(0o444)
    able = not site.prefix or shutil.which(site.prefix[0])
    if not able or subprocess.run([*site.prefix, "test", "-w", str(probe)], check=False).returncode == 0:
        pytest.skip("modes do not bind this user")
