"""The codes of the warnings of ``jobctl plan``. They are stable: a project file may name them to silence a warning."""

from typing import Any

from jobctl.errors import ConfigurationError
from jobctl.text import quote, suggestion

CODES = {
    "JC101": "more jobs begin in a minute than there are workers, and some wait for one",
    "JC102": "slots are skipped, since a run of the job or of its group goes on",
    "JC103": "a slot begins more than a minute late",
    "JC104": "slots are missed: no worker was free, or a newer slot took their place",
    "JC105": "a clock change moves a due time",
    "JC106": "a run takes longer than its timeout",
    "JC107": "a job waits for jobs that do not complete in this time",
    "JC108": "a cron expression may not mean what it seems to",
}
"""Each code, and what it means."""


def read_codes(value: Any) -> tuple[str, ...]:
    """Codes of warnings.

    Raises:
        ConfigurationError: it is no list of them.
    """
    if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ConfigurationError("expected a list of codes", hint='write ["JC101"]')
    for each in value:
        if each not in CODES:
            raise ConfigurationError(
                f"{quote(each)} is not a code of a warning",
                hint=suggestion(each, CODES, "jobctl help planning"),
            )
    return tuple(dict.fromkeys(value))
