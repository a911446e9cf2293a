"""When runs that another run blocks are tried again."""

_INTERVAL_S = 1.0


class RetryTimer:
    """Due whenever a run has ended here, and each second for runs that end in other processes."""

    def __init__(self) -> None:
        self._recorded = 0
        self._due_at = 0.0

    def is_due(self, now: float, recorded: int) -> bool:
        """Whether the runs in the way may have ended since the last call.

        Args:
            now: in seconds of the steady clock.
            recorded: how many runs have ended here.
        """
        has_ended, self._recorded = recorded != self._recorded, recorded
        return has_ended or now >= self._due_at

    def restart(self, now: float) -> None:
        """A run was blocked at ``now``."""
        self._due_at = now + _INTERVAL_S

    def expire(self) -> None:
        """Be due at once."""
        self._due_at = 0.0
