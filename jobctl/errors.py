"""The kinds of error that a user can meet, each with the exit code it leads to. Parts refine them for themselves.

::

    JobctlError                 70  jobctl itself failed
    ├── UsageError               2  the call is wrong: unknown job, option, value
    │   ├── UnknownJobError      2
    │   ├── ScheduleError        2  also a ValueError: a cron text or an interval that cannot be
    │   └── ConfigurationError   2  a setting or a project file is wrong; says where
    │       └── ConfigurationErrors  2  several of these, told together
    ├── AlreadyRunningError      3  the job has an unfinished run
    ├── NotRunError              4  scheduling is disabled, or what the job needs is not configured
    ├── ServiceError             5  a service did not answer
    ├── StoreError              70  the run store cannot be read or written
    │   ├── StoreBusyError      70  somebody else holds it longer than we waited
    │   ├── StoreDamagedError   70  the file is not, or no longer, a run store
    │   └── UnknownToStoreError 70  the run store does not know this process or job
    │       ├── FencedError     70  this process was declared dead: nothing that it writes is accepted
    │       └── StoreLostError  70  the run store was deleted, or replaced by another
    └── PermanentJobError        1  raised by a job: failed, and trying again would not help

A message is one sentence: what, where. ``hint`` says what to do.
"""

import errno
from enum import IntEnum

DISTRIBUTION = "ever-jobctl"
"""jobctl on the package index, where the name ``jobctl`` belongs to others."""


class ExitCode(IntEnum):
    """What a command's exit code means. Scripts rely on these; none changes its meaning."""

    DONE = 0
    JOB_FAILED = 1
    USAGE = 2
    ALREADY_RUNNING = 3
    NOT_RUN = 4
    SERVICE = 5
    INTERNAL = 70
    INTERRUPTED = 130


EXHAUSTED = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What a call fails with where the system, or a limit, allows no more processes, open files or memory now."""


def install_hint(extra: str) -> str:
    """The command that installs what one extra of the distribution needs."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def reason_of(error: OSError) -> str:
    """What the system says of it, as a clause."""
    return (error.strerror or str(error)).lower()


class JobctlError(Exception):
    """The root: a sentence, perhaps a place and a hint, and the exit code.

    Args:
        message: what is wrong, in one sentence with the offending text quoted.
        hint: what to do about it, one clause.
        where: ``file:line`` or another place that the fault comes from.
    """

    exit_code = ExitCode.INTERNAL
    code = "internal"

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        self.problem = message
        self.hint = hint
        self.where = where
        super().__init__(f"{where}: {message}" if where else message)


class UsageError(JobctlError):
    """The call is wrong; nothing was started."""

    exit_code = ExitCode.USAGE
    code = "usage"


class UnknownJobError(UsageError):
    """No job of the catalogue has this id."""

    code = "unknown_job"


class ScheduleError(UsageError, ValueError):
    """A cron expression, an interval or a time zone that cannot be a schedule."""

    code = "bad_schedule"


class ConfigurationError(UsageError):
    """A setting or a project file holds a value that cannot be used."""

    code = "bad_configuration"


MOST_TOLD = 20
"""Of several faults, so many are told to people; programs get all."""


class UntrustedError(ConfigurationError):
    """A file or folder that another user owns or may write."""


class ConfigurationErrors(ConfigurationError):  # noqa: N818 - the plural is the point
    """Several configuration faults, told together. ``problems`` holds each one."""

    def __init__(self, problems: list[ConfigurationError]) -> None:
        self.problems = problems
        more = len(problems) - MOST_TOLD
        told = [*map(str, problems[:MOST_TOLD]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__("; ".join(told))


class AlreadyRunningError(JobctlError):
    """The job has an unfinished run, so nothing was started."""

    exit_code = ExitCode.ALREADY_RUNNING
    code = "already_running"


class NotRunError(JobctlError):
    """Nothing was run: scheduling is disabled, or something is not configured."""

    exit_code = ExitCode.NOT_RUN
    code = "not_run"


class ServiceError(JobctlError):
    """A service that is needed did not answer, or refused."""

    exit_code = ExitCode.SERVICE
    code = "service"


class StoreError(JobctlError):
    """The run store cannot be read or written.

    Attributes:
        transient: its server may answer again within a moment.
    """

    code = "store"
    transient = False


class StoreBusyError(StoreError):
    """Another process holds the run store for longer than we wait."""

    code = "store_busy"


class StoreDamagedError(StoreError):
    """The file is not a run store, or no longer a sound one."""

    code = "store_damaged"


class UnknownToStoreError(StoreError):
    """The run store does not know this process or job: it must be registered (again)."""

    code = "store_unknown"


class FencedError(UnknownToStoreError):
    """The registration of this process has ended: others may have taken over its jobs."""


class StoreLostError(UnknownToStoreError):
    """The run store was deleted, or replaced by another, while it was in use."""


class PermanentJobError(JobctlError):
    """Raised inside a job: it failed, and a retry could not help (a wrong token, say)."""

    exit_code = ExitCode.JOB_FAILED
    code = "job_failed"
    retry = False
