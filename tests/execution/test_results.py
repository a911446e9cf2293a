"""What a returned ``JobResult`` means for the run."""

import pytest

from jobctl.execution.calling import call
from jobctl.model import JobResult


@pytest.mark.parametrize(
    ("result", "reason", "retry"),
    [
        (JobResult(), None, True),
        (JobResult(success=False, message="no"), "error", True),
        (JobResult(success=False, message="no", retry=False), "error", False),
    ],
)
def test_a_failed_result_is_tried_again_unless_it_says_no(
    result: JobResult, reason: str | None, *, retry: bool
) -> None:
    ending = call(lambda: result, {})

    assert (ending.reason, ending.retry) == (reason, retry)
    assert "retry" not in ending.result
