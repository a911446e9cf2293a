"""Which jobs run after which: checks of the key ``after`` that need all jobs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobctl.model import Job


def cycles(jobs: "Mapping[str, Job]") -> Iterator[tuple[str, ...]]:
    """The ids of jobs that wait for each other, each cycle once: every job runs after the next, the last after the first."""
    checked: set[str] = set()
    for start in jobs:
        path: dict[str, None] = {}
        unvisited = [iter((start,))]
        while unvisited:
            job_id = next(unvisited[-1], None)
            if job_id is None:
                unvisited.pop()
                if path:
                    checked.add(path.popitem()[0])
            elif job_id in path:
                ids = list(path)
                yield tuple(ids[ids.index(job_id) :])
            elif job_id in jobs and job_id not in checked:
                path[job_id] = None
                unvisited.append(iter(jobs[job_id].after))


def describe(cycle: tuple[str, ...]) -> str:
    """What is wrong with a cycle, as a clause: ``the jobs run after each other: a after b after a``."""
    if len(cycle) == 1:
        return f"{cycle[0]} runs after itself"
    return f"the jobs run after each other: {' after '.join((*cycle, cycle[0]))}"
