"""Which jobs run after which: checks of the key ``after`` that need all jobs."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from jobctl.errors import UsageError
from jobctl.model import Job


def cycles(jobs: Mapping[str, Job]) -> Iterator[tuple[str, ...]]:
    """The ids of jobs that wait for each other, each cycle once: every job runs after the next, the last after the first."""
    checked: set[str] = set()
    for start in [job_id for job_id, job in jobs.items() if job.after]:
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


def cycle_error(cycle: tuple[str, ...]) -> UsageError:
    """The error for a cycle: ``the jobs run after each other: a after b after a``."""
    if len(cycle) == 1:
        return UsageError(f"{cycle[0]} runs after itself")
    return UsageError(f"the jobs run after each other: {' after '.join((*cycle, cycle[0]))}")


def break_cycles(jobs: dict[str, Job], first: Collection[str]) -> Iterator[tuple[Job, UsageError]]:
    """In each cycle remove ``after`` of a job: one of ``first`` if it has any. Yields the job as it was, and the error."""
    while found := list(cycles(jobs)):
        for cycle in found:
            job = jobs[next((job_id for job_id in cycle if job_id in first), cycle[0])]
            if job.after:  # else another cycle had it too
                jobs[job.id] = replace(job, after=())
                yield job, cycle_error(cycle)
