"""Limits of the content repository: each has a variable, and a default far above what a real site has."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import pygit2

from jobctl.errors import PermanentJobError
from jobctl.memory_limit import MIB, bounded
from jobctl.settings.environment import Environment

_MAPPED = 128 * MIB
_WINDOW = 16 * MIB
_OUT_OF_MEMORY = ("out of memory", "failed to mmap", "failed to allocate", "cannot allocate")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a sync.

    Attributes:
        files: files and folders of a commit.
        mib: all files of a commit together, and one fetch.
        file_mib: one file; a larger one is skipped.
        depth: nested folders; what is deeper is skipped.
        seconds: one network step.
        memory_mib: memory beyond what the process has when a sync begins; only on Linux.
    """

    files: int = 200_000
    mib: int = 5_120
    file_mib: int = 100
    depth: int = 64
    seconds: int = 120
    memory_mib: int = 512

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """The limits that the settings name.

        Raises:
            ConfigurationError: a variable has an invalid value.
        """
        return cls(**{name: environment.number(variable_of(name)) for name in cls.__slots__})

    @property
    def rules(self) -> str:
        """The limits that decide whether a file is skipped."""
        return f"{self.file_mib} {self.depth}"

    @property
    def step(self) -> timedelta:
        """The time limit of one network step."""
        return timedelta(seconds=self.seconds)

    def exceeded(self, name: str) -> PermanentJobError:
        """The error for content above a limit."""
        most = getattr(self, name)
        what = {
            "files": f"has more than {most:,} files and folders",
            "mib": f"has more than {most:,} MiB",
            "memory_mib": f"takes more than {most:,} MiB of memory",
        }[name]
        return PermanentJobError(
            f"the content repository {what}", hint=f"if this is intended, raise {variable_of(name)}"
        )

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Limit the memory of the block: a delta of a few bytes may expand to any size.

        Raises:
            PermanentJobError: it takes more.
        """
        pygit2.settings.mwindow_size = _WINDOW
        pygit2.settings.mwindow_mapped_limit = _MAPPED
        try:
            with bounded(self.memory_mib):
                yield
        except (MemoryError, pygit2.GitError) as error:
            if is_out_of_memory(error):
                raise self.exceeded("memory_mib") from error
            raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python or libgit2 is about memory."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def variable_of(name: str) -> str:
    """The variable of a limit."""
    return f"JOBCTL_CONTENT_MAX_{name.upper()}"
