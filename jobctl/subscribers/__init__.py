"""Optional subscribers to a manager's events: notifications, traces, expectations, and a file of metrics."""

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from jobctl.errors import install_hint
from jobctl.text import quote

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.catalogue.catalogue import Catalogue
    from jobctl.events import Bus
    from jobctl.project import ProjectContext
    from jobctl.store.base import RunStore
    from jobctl.subscribers.expectation_watch import ExpectationWatch
    from jobctl.subscribers.notifier import Notifier
    from jobctl.subscribers.prometheus import MetricsFile
    from jobctl.subscribers.tracing import Tracer


class Publisher(Protocol):
    """A manager that publishes the events of its runs."""

    bus: "Bus"
    store: "RunStore"
    kind: str


class Subscribers:
    """The subscribers that the catalogue and the variables ask for, until ``close``. The others are not imported.

    Attributes:
        warning: why traces that were asked for are not sent, and what to do about it.

    Raises:
        ConfigurationError: a variable that should hold a URL or a key does not.
    """

    def __init__(self, manager: Publisher, catalogue: "Catalogue", project: "ProjectContext") -> None:
        from jobctl.subscribers import tracing_settings

        self.warning: str | None = None
        self._manager = manager
        self._project = project
        self._notifier: Notifier | None = None
        self._watch: ExpectationWatch | None = None
        self._metrics_file: MetricsFile | None = None
        self._tracer: Tracer | None = None
        self.use(catalogue)
        if tracing_settings.is_requested(project.environment):
            self.warning = self._start_tracer()
        file = project.environment.textfile("JOBCTL_METRICS_FILE")
        if file is not None and manager.kind == "scheduler":
            self._write_metrics(project.folder / file, catalogue)

    def use(self, catalogue: "Catalogue") -> None:
        """Use the settings of a catalogue that was read again.

        Raises:
            ConfigurationError: a variable that should hold a URL does not; the settings before it stay in use.
        """
        if self._notifier is not None:
            self._notifier.use(catalogue.notify, catalogue.jobs)
        elif catalogue.notify.has_receivers or any(job.check_in for job in catalogue):
            from jobctl.subscribers.notifier import Notifier

            manager = self._manager
            self._notifier = Notifier(
                manager.bus, manager.store, catalogue.notify, catalogue.jobs, self._project
            )
        if self._watch is not None:
            self._watch.jobs = list(catalogue)
        elif self._manager.kind != "trigger" and any(job.expect for job in catalogue):
            self._start_watch(catalogue)
        if self._metrics_file is not None:
            self._metrics_file.jobs = catalogue.jobs

    def close(self) -> None:
        """Unsubscribe. Notifications in the queue are delivered first, for at most 15 seconds, and spans sent, for 5."""
        for subscriber in (self._watch, self._notifier, self._tracer, self._metrics_file):
            if subscriber is not None:
                subscriber.close()

    def _start_watch(self, catalogue: "Catalogue") -> None:
        from jobctl.subscribers.expectation_watch import ExpectationWatch

        self._watch = ExpectationWatch(self._manager.bus, self._manager.store, catalogue)
        self._watch.start()

    def _write_metrics(self, file: "Path", catalogue: "Catalogue") -> None:
        from jobctl.subscribers.prometheus import MetricsFile

        self._metrics_file = MetricsFile(file, self._manager.store, self._manager.bus, catalogue.jobs)

    def _start_tracer(self) -> str | None:
        """Why traces cannot be sent, or None."""
        from jobctl.subscribers import tracing_settings

        environment = self._project.environment
        protocol = tracing_settings.unsupported_protocol(environment)
        if protocol is not None:
            return (
                f"no traces are sent: the protocol must be {tracing_settings.PROTOCOL}, not {quote(protocol)}"
            )
        if tracing_settings.exposes_headers(environment):
            return "no traces are sent: OTEL_EXPORTER_OTLP_HEADERS would be sent unencrypted; write https://"
        try:
            from jobctl.subscribers.tracing import Tracer

            self._tracer = Tracer(self._manager.bus, environment, joining=self._manager.kind == "trigger")
        except ModuleNotFoundError as error:
            return f"no traces are sent: the package {error.name} is not installed; {install_hint('otel')}"
        except Exception as error:  # a value of one of its variables that OpenTelemetry cannot use
            return f"no traces are sent: {error}"
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
