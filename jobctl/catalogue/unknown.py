"""What is said where no job has an id."""

from collections.abc import Iterable

from jobctl.errors import UnknownJobError
from jobctl.text import nearest, quote


def unknown_job(job_id: str, known: Iterable[str], *, also: str = "") -> UnknownJobError:
    """Says that there is no such job, which was probably meant, and ``also`` where to look."""
    near = nearest(job_id, known)
    guess = f'did you mean "{near}"?' if near else ""
    hint = " ".join(part for part in (guess, also) if part)
    return UnknownJobError(f"there is no job {quote(job_id)}", hint=hint or None)
