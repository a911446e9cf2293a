"""How much of a repository is taken: each limit a variable, far above what a real site holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import pygit2

from jobctl.errors import PermanentJobError
from jobctl.memory import MIB, bounded
from jobctl.settings.environment import Environment

_MAPPED = 128 * MIB
_WINDOW = 16 * MIB
_OUT_OF_MEMORY = ("out of memory", "failed to mmap", "failed to allocate", "cannot allocate")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sync takes at most.

    Attributes:
        files: of a commit, folders too.
        mib: of a commit's files together, and of one fetch.
        file_mib: of one file; a larger one is passed over.
        depth: folders in each other; what lies deeper is passed over.
        seconds: of one network step.
        memory_mib: above what the process has when a sync begins. Linux alone can keep to it.
    """

    files: int = 200_000
    mib: int = 5_120
    file_mib: int = 100
    depth: int = 64
    seconds: int = 120
    memory_mib: int = 512

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """As the variables say.

        Raises:
            ConfigurationError: one is not a number that it can be.
        """
        return cls(**{name: environment.number(variable_of(name)) for name in cls.__slots__})

    @property
    def rules(self) -> str:
        """What decides whether a file is passed over."""
        return f"{self.file_mib} {self.depth}"

    @property
    def step(self) -> timedelta:
        """How long one network step may take."""
        return timedelta(seconds=self.seconds)

    def exceeded(self, name: str) -> PermanentJobError:
        """The content goes over the limit of this name."""
        most = getattr(self, name)
        what = {
            "files": f"the content repository has more than {most:,} files and folders",
            "mib": f"the content repository has more than {most:,} MiB",
            "memory_mib": f"the content repository takes more than {most:,} MiB of memory",
        }[name]
        return PermanentJobError(what, hint=f"where it is meant to, raise {variable_of(name)}")

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Keep the block's memory within bounds: a delta of a few bytes may make an object of any size.

        Raises:
            PermanentJobError: it takes more.
        """
        pygit2.settings.mwindow_size = _WINDOW
        pygit2.settings.mwindow_mapped_limit = _MAPPED
        try:
            with bounded(self.memory_mib):
                yield
        except (MemoryError, pygit2.GitError) as error:
            if out_of_memory(error):
                raise self.exceeded("memory_mib") from error
            raise


def out_of_memory(error: Exception) -> bool:
    """Whether the memory was the fault."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in _OUT_OF_MEMORY)


def variable_of(name: str) -> str:
    """The variable that sets a limit."""
    return f"JOBCTL_CONTENT_MAX_{name.upper()}"
