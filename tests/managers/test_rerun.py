"""``rerun``: a run again, with the same arguments and slot, linked to the first."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.errors import AlreadyRunningError, NotRunError, UnknownJobError, UnknownRunError, UsageError
from jobctl.managers.base import NoOpJobManager
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, Run, RunStatus, Trigger
from jobctl.schedules import Every
from jobctl.settings.masking import MASK
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.support.project import until

CODE = """
import time
from jobctl import current_run
def tell(name="nobody", times=1):
    run = current_run()
    return [name, times, str(run.slot), str(run.previous_slot)]
def hang(): time.sleep(300)
"""


@pytest.fixture(autouse=True)
def code(project: Path) -> None:
    (project / "work.py").write_text(CODE)


def ended(manager: LocalJobManager, run: Run) -> Run:
    return manager.wait(run.id, 30)


def test_it_has_the_arguments_of_the_run_that_it_repeats(manager: LocalJobManager) -> None:
    manager.add([Job("tell", "Tell", None, "work:tell", arguments={"times": 2})])
    first = ended(manager, manager.trigger_job("tell", arguments={"name": "Ada"}))

    again = ended(manager, manager.rerun(first.id[:8]))

    assert again.result == first.result == ["Ada", 2, "None", "None"]
    assert (again.rerun_of, again.trigger, again.arguments) == (first.id, Trigger.MANUAL, first.arguments)


def test_it_has_the_slot_without_a_claim_of_it_also_as_the_rerun_of_a_rerun(
    manager: LocalJobManager, store: RunStore
) -> None:
    manager.add([Job("tell", "Tell", Every(timedelta(seconds=1)), "work:tell")])
    manager.start()
    until(lambda: len(store.runs("tell", statuses=[RunStatus.COMPLETED])) >= 2)
    manager.stop_job("tell")
    until(lambda: not store.unfinished("tell"))
    first = store.runs("tell")[0]

    again = ended(manager, manager.rerun(first.id))
    third = ended(manager, manager.rerun(again.id))

    assert third.result == again.result == first.result
    assert again.scheduled_for is None
    assert (third.rerun_of, again.rerun_of) == (again.id, first.id)


def test_what_cannot_be_repeated(
    manager: LocalJobManager, store: RunStore, make_manager: Callable[..., LocalJobManager], tmp_path: Path
) -> None:
    manager.add([Job(name, name, None, f"work:{name}") for name in ("tell", "hang")])
    first = ended(manager, manager.trigger_job("tell"))
    secret = ended(manager, manager.trigger_job("tell", arguments={"name": f"key={MASK}"}))
    going = manager.trigger_job("hang")
    elsewhere = make_manager(store=open_store(tmp_path / "state"))

    with pytest.raises(UnknownRunError, match='there is no run "0000"'):
        manager.rerun("0000")
    with pytest.raises(UsageError, match="hold a secret, which is not kept"):
        manager.rerun(secret.id)
    with pytest.raises(AlreadyRunningError, match="has not ended"):
        manager.rerun(going.id)
    with pytest.raises(UnknownJobError):
        elsewhere.rerun(first.id)
    with pytest.raises(NotRunError, match="tell was not run: scheduling is disabled"):
        NoOpJobManager(store, "scheduling is disabled").rerun(first.id)
    assert len(store.runs()) == 3
