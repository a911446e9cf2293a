"""Slots that wait for the end of a run that is in their way: one a job, the newest."""

from dataclasses import replace

from jobctl.managers.agenda import Due

_ASK_AGAIN_S = 1.0


class Queue:
    """Asked for again whenever a run ends here, and each second for those that end elsewhere."""

    def __init__(self) -> None:
        self._dues: dict[str, Due] = {}
        self._asked = 0.0
        self._nudged = False

    def __bool__(self) -> bool:
        return bool(self._dues)

    def hold(self, due: Due, now: float) -> None:
        """Keep a slot that could not run at ``now``, in seconds of the steady clock."""
        self._dues[due.entry.job.id] = due
        self._asked = now

    def passed_by(self, due: Due) -> Due:
        """A newer slot of the job takes the place of the one that waits, which was missed."""
        return due if self._dues.pop(due.entry.job.id, None) is None else replace(due, alone=False)

    def forget(self, job_id: str | None = None) -> None:
        """Of a job that is off its schedule nothing waits; nor of any where none is named."""
        if job_id is None:
            self._dues.clear()
        else:
            self._dues.pop(job_id, None)

    def nudge(self) -> None:
        """A run has ended here."""
        self._nudged = True

    def again(self, now: float) -> list[Due]:
        """Those to ask for now."""
        if not self._dues or not (self._nudged or now - self._asked >= _ASK_AGAIN_S):
            return []
        self._nudged = False
        found = list(self._dues.values())
        self._dues.clear()
        return found
