"""Who hears of a manager's runs besides the person at the terminal, each made where it is asked for."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobctl.catalogue.catalogue import Catalogue
from jobctl.errors import install_hint
from jobctl.managers.local import LocalJobManager
from jobctl.project import Surroundings
from jobctl.subscribers.tracing_settings import SPOKEN, asked_for, not_spoken, shows_headers
from jobctl.text import quote

if TYPE_CHECKING:
    from jobctl.subscribers.metrics_file import Textfile
    from jobctl.subscribers.notifier import Notifier
    from jobctl.subscribers.tracing import Tracer


class Telling:
    """While its block runs: a notifier as the catalogue says; a tracer and a scheduler's file of metrics
    as the variables say. What nobody asked for is not loaded.

    Attributes:
        trouble: why traces that were asked for are not sent, and what to do.

    Raises:
        ConfigurationError: the variable of a URL holds none.
    """

    def __init__(self, manager: LocalJobManager, catalogue: Catalogue, around: Surroundings) -> None:
        self.trouble: str | None = None
        self._manager = manager
        self._around = around
        self._notifier: Notifier | None = None
        self._textfile: Textfile | None = None
        self._tracer: Tracer | None = None
        self.use(catalogue)
        if asked_for(around.environment):
            self._trace()
        file = around.environment.textfile("JOBCTL_METRICS_FILE")
        if file is not None and manager.kind == "scheduler":
            self._textfile = self._keep(around.folder / file, catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Tell by these settings from now on.

        Raises:
            ConfigurationError: the variable of a URL holds none; what was before stays.
        """
        if self._notifier is not None:
            self._notifier.use(catalogue.notify, catalogue.jobs)
        elif catalogue.notify.anybody or any(job.check_in for job in catalogue):
            from jobctl.subscribers.notifier import Notifier, Place

            place = Place(self._around.environment, self._around.folder, self._around.state / "outbox")
            manager = self._manager
            self._notifier = Notifier(manager.bus, manager.store, catalogue.notify, catalogue.jobs, place)
        if self._textfile is not None:
            self._textfile.known = catalogue.ids()

    def close(self) -> None:
        """Hear no more; what waits is told first, for 15 seconds at most, and what was traced sent, for 5."""
        for one in (self._notifier, self._tracer, self._textfile):
            if one is not None:
                one.close()

    def _keep(self, file: Path, catalogue: Catalogue) -> "Textfile":
        from jobctl.subscribers.metrics_file import Textfile

        return Textfile(file, self._manager.store, self._manager.bus, catalogue.ids())

    def _trace(self) -> None:
        environment = self._around.environment
        protocol = not_spoken(environment)
        if protocol is not None:
            self.trouble = f"no traces are sent: they go by {SPOKEN}, not by {quote(protocol)}"
            return
        if shows_headers(environment):
            self.trouble = "no traces are sent: OTEL_EXPORTER_OTLP_HEADERS would cross the network in clear; write https://"
            return
        try:
            from jobctl.subscribers.tracing import Tracer

            self._tracer = Tracer(self._manager.bus, environment, joining=self._manager.kind == "trigger")
        except ModuleNotFoundError as error:
            self.trouble = (
                f"no traces are sent: the package {error.name} is not installed; {install_hint('otel')}"
            )
        except Exception as error:  # a value of one of its variables that OpenTelemetry cannot use
            self.trouble = f"no traces are sent: {error}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
