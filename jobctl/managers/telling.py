"""A notifier for a manager that runs jobs, made where the project wants somebody told."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobctl.catalogue import Catalogue
from jobctl.managers.local import LocalJobManager
from jobctl.managers.surroundings import Surroundings

if TYPE_CHECKING:
    from jobctl.notify.notifier import Notifier


class Telling:
    """Tells as the catalogue says, while its block runs; nothing is loaded where nobody is to be told.

    Raises:
        ConfigurationError: the variable of a URL holds none.
    """

    def __init__(self, manager: LocalJobManager, catalogue: Catalogue, around: Surroundings) -> None:
        self._manager = manager
        self._around = around
        self._notifier: Notifier | None = None
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Tell by these settings from now on.

        Raises:
            ConfigurationError: the variable of a URL holds none; what was before stays.
        """
        if self._notifier is not None:
            self._notifier.use(catalogue.notify, catalogue.jobs)
        elif catalogue.notify.anybody or any(job.check_in for job in catalogue):
            from jobctl.notify.notifier import Notifier, Place

            place = Place(self._around.environment, self._around.folder, self._around.state / "outbox")
            manager = self._manager
            self._notifier = Notifier(manager.bus, manager.store, catalogue.notify, catalogue.jobs, place)

    def close(self) -> None:
        """Hear no more; what waits is told first, for 15 seconds at most."""
        if self._notifier is not None:
            self._notifier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
