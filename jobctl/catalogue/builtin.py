"""The built-in jobs, as data. The scheduler holds their import text and never their code."""

from typing import Any, NamedTuple


class BuiltIn(NamedTuple):
    """A job that comes with jobctl, in the words of a project file."""

    id: str
    name: str
    settings: dict[str, Any]


BUILT_IN = (
    BuiltIn(
        "repository-sync",
        "Repository Synchronization",
        {
            "call": "jobctl.jobs.repository_sync:repository_sync",
            "every": "5m",
            "timeout": "5m",
            "retries": 3,
            "retry_delay": "10s",
            "catch_up": True,
        },
    ),
)
