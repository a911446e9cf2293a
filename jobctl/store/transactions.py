"""What each part of the run store is written with."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from jobctl.store.connection import Connection


class Transactions(ABC):
    """The transactions of a run store."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """For queries."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """One transaction, one writer at a time."""
