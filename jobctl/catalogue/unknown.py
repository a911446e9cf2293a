"""What is said where no job has an id."""

from collections.abc import Iterable

from jobctl.errors import UnknownJobError
from jobctl.text import quote, suggestion


def unknown_job(job_id: str, known: Iterable[str], *, also: str = "") -> UnknownJobError:
    """Says that there is no such job, which was probably meant, and ``also`` where to look."""
    return UnknownJobError(f"there is no job {quote(job_id)}", hint=suggestion(job_id, known, also) or None)
