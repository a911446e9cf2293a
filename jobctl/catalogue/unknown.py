"""What is said where no job has an id."""

from collections.abc import Iterable, Sequence

from jobctl.errors import UnknownJobError
from jobctl.text import quote, suggestion


def unknown_job(
    job_id: str, known: Iterable[str], *, also: str = "", left_out: Sequence[str] = ()
) -> UnknownJobError:
    """Says that there is no such job, which was probably meant, and ``also`` where to look.

    Where something is ``left_out``, the job may be part of that.
    """
    among = " among those that can be read" if left_out else ""
    hint = suggestion(job_id, known, "; ".join(left_out) or also)
    return UnknownJobError(f"there is no job {quote(job_id)}{among}", hint=hint or None)
