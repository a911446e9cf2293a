"""The errors that a user can meet, each with its exit code. Modules may define more specific ones.

::

    JobctlError                 70  jobctl itself failed
    ├── UsageError               2  wrong use: unknown job, option, value
    │   ├── UnknownJobError      2
    │   ├── UnknownRunError      2
    │   ├── ScheduleError        2  an invalid cron expression, interval or time zone; also a ValueError
    │   └── ConfigurationError   2  an invalid setting or project file; says where
    │       └── ConfigurationErrors  2  several of these
    ├── AlreadyRunningError      3  the job has an unfinished run
    ├── SlotTakenError           3  the slot has had its run
    ├── NotRunningError          3  there is no unfinished run to end
    ├── NotRunError              4  scheduling is disabled, or what the job needs is not configured
    ├── ServiceError             5  a service did not answer
    ├── StoreError              70  the run store cannot be read or written
    │   ├── StoreBusyError      70  another process locked it for too long
    │   ├── StoreDamagedError   70  the file is not a valid run store
    │   └── UnknownToStoreError 70  the run store does not know this process or job
    │       ├── FencedError     70  this process was declared dead, so its writes are refused
    │       └── StoreLostError  70  the run store was deleted or replaced
    └── PermanentJobError        1  raised by a job that failed and need not be retried

A message is one sentence: what is wrong, and where. ``hint`` says what to do.
"""

import errno
from enum import IntEnum

DISTRIBUTION = "ever-jobctl"
"""The name of jobctl on the package index, where ``jobctl`` is another project."""


class ExitCode(IntEnum):
    """The exit codes of commands. Scripts rely on them: their meaning never changes."""

    DONE = 0
    JOB_FAILED = 1
    USAGE = 2
    ALREADY_RUNNING = 3
    NOT_RUN = 4
    SERVICE = 5
    INTERNAL = 70
    INTERRUPTED = 130


EXHAUSTED = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors when the system or a limit allows no more processes, open files or memory."""


def install_hint(extra: str) -> str:
    """The command that installs an extra of the distribution."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def reason_of(error: OSError) -> str:
    """The reason in the words of the system, as a clause."""
    return (error.strerror or str(error)).lower()


class JobctlError(Exception):
    """The base of all errors.

    Args:
        message: what is wrong, one sentence that quotes the wrong text.
        hint: what to do, one clause.
        where: the place of the error, ``file:line`` for example.
    """

    exit_code: ExitCode = ExitCode.INTERNAL
    code: str = "internal"

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        self.problem = message
        self.hint = hint
        self.where = where
        super().__init__(f"{where}: {message}" if where else message)


class UsageError(JobctlError):
    """Wrong use: nothing was started."""

    exit_code = ExitCode.USAGE
    code = "usage"


class UnknownJobError(UsageError):
    """No job of the catalogue has this id."""

    code = "unknown_job"


class UnknownRunError(UsageError):
    """No run has this id."""

    code = "unknown_run"


class ScheduleError(UsageError, ValueError):
    """An invalid cron expression, interval or time zone."""

    code = "bad_schedule"


class ConfigurationError(UsageError):
    """An invalid value in a setting or a project file."""

    code = "bad_configuration"


MAX_SHOWN = 20
"""The number of errors that people see; programs get all."""


class UntrustedError(ConfigurationError):
    """A file or folder that another user owns or may write to."""


class ConfigurationErrors(ConfigurationError):  # noqa: N818 - the plural is the point
    """Several configuration errors: ``problems``."""

    def __init__(self, problems: list[ConfigurationError]) -> None:
        self.problems = problems
        more = len(problems) - MAX_SHOWN
        shown = [*map(str, problems[:MAX_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__("; ".join(shown))


def raise_any(problems: list[ConfigurationError]) -> None:
    """Raise the only problem, or several as one error; nothing if there are none."""
    if problems:
        raise problems[0] if len(problems) == 1 else ConfigurationErrors(problems)


class AlreadyRunningError(JobctlError):
    """The job has an unfinished run, so no run was started."""

    exit_code = ExitCode.ALREADY_RUNNING
    code = "already_running"


class SlotTakenError(JobctlError):
    """The slot, or a later one of the job, has had its run, so no run was started."""

    exit_code = ExitCode.ALREADY_RUNNING
    code = "slot_taken"


class NotRunningError(JobctlError):
    """There is no unfinished run that could be ended."""

    exit_code = ExitCode.ALREADY_RUNNING
    code = "not_running"


class NotRunError(JobctlError):
    """No run was started: scheduling is disabled, or something is not configured."""

    exit_code = ExitCode.NOT_RUN
    code = "not_run"


class ServiceError(JobctlError):
    """A required service did not answer, or refused the request."""

    exit_code = ExitCode.SERVICE
    code = "service"


class StoreError(JobctlError):
    """The run store cannot be read or written.

    Attributes:
        transient: whether its server may answer again soon.
    """

    code = "store"
    transient: bool = False


class StoreBusyError(StoreError):
    """Another process locked the run store for too long."""

    code = "store_busy"


class StoreDamagedError(StoreError):
    """The file is not a valid run store."""

    code = "store_damaged"


class UnknownToStoreError(StoreError):
    """The run store does not know this process or job: it must be registered again."""

    code = "store_unknown"


class FencedError(UnknownToStoreError):
    """The registration of this process has ended: other processes may have taken over its jobs."""


class StoreLostError(UnknownToStoreError):
    """The run store was deleted or replaced while it was in use."""


class PermanentJobError(JobctlError):
    """Raised by a job to fail without a retry, since none could succeed (because of a wrong token, for example)."""

    exit_code = ExitCode.JOB_FAILED
    code = "job_failed"
    retry: bool = False
