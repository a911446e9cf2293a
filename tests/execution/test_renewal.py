"""Workers of several kinds under one limit, and workers that make room for others."""

from typing import Any

import pytest

from jobctl.model import Reason

CODE = "import os, time\nMINE = os.environ.get('MINE')\ndef tell(): return MINE\ndef slow():\n    time.sleep(0.7)\n    return MINE\n"


def mine(value: str) -> dict[str, str]:
    return {"MINE": value}


@pytest.mark.slow
def test_each_has_its_own_worker_and_there_are_no_more_than_allowed(bench: Any) -> None:
    bench.write(CODE)
    tasks = [bench.task("work:tell", worker_environment=mine(str(n % 4))) for n in range(12)]
    most = 0
    for task in tasks:
        assert bench.pool.capacity(quick=False) <= 2
        bench.submit(task)
        bench.until(lambda: bench.pool.capacity(quick=False) > 0)
        most = max(most, len(bench.processes()))

    assert [run.result for run in bench.finish(*tasks)] == [str(n % 4) for n in range(12)]
    assert most <= 2


def test_its_worker_is_kept_warm(bench: Any) -> None:
    bench.write(CODE)
    runs = [bench.run("work:tell", worker_environment=mine("x")) for _ in range(3)]
    plain = [bench.run("work:tell") for _ in range(2)]

    assert len({run.pid for run in runs}) == len({run.pid for run in plain}) == 1
    assert runs[0].pid != plain[0].pid


def test_quick_ones_go_out_together_only_with_their_like(bench: Any) -> None:
    bench.write(CODE)
    tasks = [bench.task("work:tell", quick=True, worker_environment=mine(str(n // 5))) for n in range(20)]
    bench.submit(*tasks)

    assert [run.result for run in bench.finish(*tasks)] == [str(n // 5) for n in range(20)]


@pytest.mark.faults
def test_variables_with_which_no_worker_starts_fail_their_own_job_alone(bench: Any) -> None:
    bench.write(CODE)
    broken = [bench.task("work:tell", worker_environment={"PYTHONHOME": "/nowhere"}) for _ in range(2)]
    fine = bench.task("work:tell", worker_environment=mine("1"))
    bench.submit(*broken)
    bench.submit(fine)

    assert {run.reason for run in bench.finish(*broken)} == {Reason.CRASHED}
    assert all((run.error or "").startswith("no worker could be started: ") for run in bench.finish(*broken))
    assert bench.finish(fine)[0].result == "1"


def test_after_a_renewal_code_is_imported_anew_and_what_runs_goes_on(bench: Any) -> None:
    bench.write(CODE)
    bench.run("work:tell")
    slow = bench.task("work:slow")
    bench.submit(slow)
    bench.wait_started(slow)
    other = bench.task("work:tell")
    bench.submit(other)
    idle = bench.finish(other)[0].pid
    bench.write(CODE + "def added(): return 'added'\n")

    bench.pool.renew("owner")

    added = bench.run("work:added")
    assert (added.reason, added.result) == (None, "added")
    assert added.pid != idle
    ended = bench.finish(slow)[0]
    assert ended.reason is None
    again = [bench.run("work:added") for _ in range(3)]
    assert all(run.reason is None for run in again)
    assert not {run.pid for run in again} & {idle, ended.pid}
    assert len(bench.processes()) <= 2


def test_a_renewal_takes_back_what_was_not_begun(make_bench: Any) -> None:
    bench = make_bench(workers=1)
    bench.write(CODE)
    slow = bench.task("work:slow", quick=True)
    behind = [bench.task("work:added", quick=True) for _ in range(3)]
    bench.submit(slow, *behind)
    bench.wait_started(slow)
    bench.write(CODE + "def added(): return 'added'\n")

    for _ in range(4):  # a worker that has not come up yet is no failed start
        bench.pool.renew("owner")

    assert {run.result for run in bench.finish(*behind)} == {"added"}
    assert bench.finish(slow)[0].reason is None
    assert all(len(times) == 1 for times in bench.started.values())
