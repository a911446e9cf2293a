"""Monitors that are made from the definitions of jobs: at healthchecks.io or at Sentry.

https://healthchecks.io/docs/api/, and https://docs.sentry.io/product/crons/getting-started/http/.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlencode, urlsplit

from jobctl.catalogue.notify_settings import resolved
from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, JobctlError, ServiceError, StoreError
from jobctl.model import AUTO, Job
from jobctl.project import ProjectContext
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret
from jobctl.store.base import RunStore
from jobctl.subscribers.check_ins import CheckIn, Monitor, unique_id
from jobctl.subscribers.monitor_definition import MonitorDefinition
from jobctl.subscribers.notification_channels import TIMEOUT_S, request
from jobctl.text import printable
from jobctl.urls import demand_private, is_web_address

if TYPE_CHECKING:
    from jobctl.http import HttpClient, Response

_MINUTE = timedelta(minutes=1)
_HEALTHCHECKS_RANGE_S = (60, 365 * 24 * 60 * 60)
_SENTRY_RANGE_MIN = (1, 28 * 24 * 60)
_UNITS = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": _MINUTE}
_KEPT = timedelta(days=365)
_KEY = "monitor:"
"""Before the slug of a monitor, in the keys of cached results."""
_CHECKS = "/api/v3/checks/"


class MonitorService(ABC):
    """A service that makes monitors.

    Attributes:
        variable: that holds the key.
        address: the variable that holds the URL.
    """

    variable: ClassVar[str]
    address: ClassVar[str]

    def __init__(self, url: str, key: Secret) -> None:
        self.url, self.key = url, key

    @property
    def host(self) -> str:
        """For people."""
        return urlsplit(self.url).hostname or ""

    def demand_private(self) -> None:
        """Check that the key may be sent.

        Raises:
            PermanentJobError: it would cross the network unencrypted.
        """
        demand_private(self.url, self.address)

    @abstractmethod
    def monitor(self, job: Job, project: ProjectContext, store: RunStore) -> Monitor:
        """The monitor of a job. It is made later."""


class Healthchecks(MonitorService):
    """A project of healthchecks.io, or of a server of one's own: its API, and a key that may write."""

    variable = "HEALTHCHECKS_API_KEY"
    address = "HEALTHCHECKS_API_URL"

    def monitor(self, job: Job, project: ProjectContext, store: RunStore) -> Monitor:
        """The monitor of a job; the first check-in or ``update`` makes it."""
        return HealthchecksMonitor(self, job, project, store)


class Sentry(MonitorService):
    """A project of Sentry: the URL of its cron monitors, and its public key."""

    variable = address = "SENTRY_DSN"

    @classmethod
    def read(cls, dsn: Secret, where: str) -> Self:
        """From ``https://KEY@HOST/PROJECT``.

        Raises:
            ConfigurationError: it has another form. The message never holds it.
        """
        text = dsn.reveal()
        if is_web_address(text):
            parts = urlsplit(text)
            path, _, project = parts.path.rstrip("/").rpartition("/")
            key, place = parts.username or "", parts.netloc.rpartition("@")[2]
            if key.isascii() and key.isalnum() and project.isascii() and project.isdecimal():
                return cls(f"{parts.scheme}://{place}{path}/api/{project}/cron/", Secret(key))
        raise ConfigurationError(
            "SENTRY_DSN is not a DSN",
            where=where,
            hint="copy it from the page Client Keys of the project: https://KEY@HOST/PROJECT",
        )

    def monitor(self, job: Job, project: ProjectContext, store: RunStore) -> Monitor:  # noqa: ARG002
        """The monitor of a job; the first check-in makes it."""
        return SentryMonitor(self, job, project.folder.name)


def monitor_service(environment: Environment, where: str) -> MonitorService:
    """Where monitors are made: at healthchecks.io if its key is set, else at Sentry.

    Args:
        where: the place of the setting, for the error.

    Raises:
        ConfigurationError: neither is set, or the value is not valid.
    """
    key, dsn = environment.secret(Healthchecks.variable), environment.secret(Sentry.variable)
    if key is not None:
        return Healthchecks(environment.url(Healthchecks.address) or "", key)
    if dsn is not None:
        service = Sentry.read(dsn, str(environment.value(Sentry.variable).source))
        environment.mask.add([service.key.reveal()])
        return service
    raise ConfigurationError(
        f'check_in = "{AUTO}" needs {Healthchecks.variable} or {Sentry.variable}, and neither is set',
        where=where,
        hint="set one of them in the environment or an .env file, or write the URL of a monitor",
    )


def monitor_of(job: Job, project: ProjectContext, store: RunStore) -> Monitor | None:
    """The monitor of a job; None if it has none, or if none is made since the job is not scheduled now.

    Raises:
        ConfigurationError: a variable that it needs is not set or not valid.
    """
    if job.check_in is None:
        return None
    place = job.place("check_in")
    if job.check_in != AUTO:
        return Monitor(resolved(job.check_in, project.environment, place))
    service = monitor_service(project.environment, place)
    return service.monitor(job, project, store) if job.enabled and job.unmet is None else None


class HealthchecksMonitor(Monitor):
    """A monitor of healthchecks.io, found by its slug.

    It is updated when the definition is another than the one that was sent last, whose hash the run store keeps. Its ping
    URL grants access, so each process asks for it, at the first check-in.
    """

    def __init__(self, service: Healthchecks, job: Job, project: ProjectContext, store: RunStore) -> None:
        self._service, self._job, self._project, self._store = service, job, project, store
        self._lock = threading.Lock()
        self._is_known = False
        super().__init__(service.url)

    def check_in(self, state: CheckIn, run_id: str) -> None:
        """Report the state of a run. A monitor that does not answer well is asked for again the next time."""
        with self._lock:
            if not self._is_known:
                self._find()
        try:
            super().check_in(state, run_id)
        except JobctlError:
            self._is_known = False
            raise

    def update(self) -> None:
        """Make the monitor, or bring it up to date, unless its definition was sent before."""
        with self._lock:
            if not self._was_sent():
                self._find()

    @cached_property
    def _body(self) -> dict[str, Any]:
        return _of_healthchecks(MonitorDefinition.of(self._job, self._project.folder.name))

    @property
    def _key(self) -> str:
        return _KEY + str(self._body["slug"])

    @cached_property
    def _hash(self) -> str:
        return sha256(json.dumps([self._service.url, self._body]).encode()).hexdigest()

    def _was_sent(self) -> bool:
        with suppress(StoreError):
            sent = self._store.cache_get(self._key, SystemClock().now())
            return sent is not None and sent.value == self._hash
        return False

    def _find(self) -> None:
        """Find the monitor, or make it, and bring it up to date."""
        from jobctl.http import HttpClient, key_header

        service = self._service
        service.demand_private()
        client = HttpClient(
            service.url, key_header("X-Api-Key", service.key, service.variable), timeout=TIMEOUT_S
        )
        found = _checked(client, client.call(f"{_CHECKS}?{urlencode({'slug': self._body['slug']})}"))
        checks = found.get("checks")
        check = checks[0] if isinstance(checks, list) and checks else None
        if check is None:
            # without channels it would send no alert; later, people may choose others
            check = _checked(client, client.call(_CHECKS, {**self._body, "channels": "*"}))
            self._keep()
        elif not self._was_sent():
            check = _checked(client, client.call(_CHECKS, self._body))
            self._keep()
        url = check.get("ping_url") if isinstance(check, dict) else None
        if not (isinstance(url, str) and is_web_address(url)):
            raise ServiceError(
                f"{client.host} gives no ping URL: HEALTHCHECKS_API_KEY must be a key that may write"
            )
        self._project.environment.hide([url])
        self._url, self._is_known = url, True

    def _keep(self) -> None:
        now = SystemClock().now()
        with suppress(StoreError):  # then it is sent again
            self._store.cache_put({self._key: self._hash}, now, now + _KEPT)


class SentryMonitor(Monitor):
    """A monitor of Sentry. Each check-in carries its definition, from which Sentry creates or updates it.

    Sentry also accepts what it drops later, so its answer does not show whether it has the definition.
    """

    def __init__(self, service: Sentry, job: Job, folder: str) -> None:
        self._service, self._job, self._folder = service, job, folder
        super().__init__(service.url)

    def check_in(self, state: CheckIn, run_id: str) -> None:
        """Report the state of a run, with the definition."""
        self._service.demand_private()
        body = {
            "check_in_id": unique_id(run_id).hex,
            "status": state.value,
            "monitor_config": _of_sentry(self._definition),
        }
        request(f"{self._url}{self._definition.slug}/{self._service.key.reveal()}/", body)

    @cached_property
    def _definition(self) -> MonitorDefinition:
        return MonitorDefinition.of(self._job, self._folder)


def _of_healthchecks(definition: MonitorDefinition) -> dict[str, Any]:
    timing: dict[str, Any] = {"schedule": definition.cron, "tz": definition.timezone}
    if definition.cron is None:
        timing = {"timeout": _within(_HEALTHCHECKS_RANGE_S, definition.period.total_seconds())}
    return {
        "name": definition.slug,
        "slug": definition.slug,
        "tags": " ".join(filter(None, ("jobctl", definition.project))),
        **timing,
        "grace": _within(_HEALTHCHECKS_RANGE_S, definition.grace.total_seconds()),
        "unique": ["slug"],
    }


def _checked(client: "HttpClient", response: "Response") -> Mapping[str, Any]:
    if response.is_success:
        return response.fields
    detail = printable(str(response.fields.get("error") or ""))[:200]
    if response.status == 401:
        detail = f"{detail or 'the key is refused'}: see HEALTHCHECKS_API_KEY, a key that may write"
    elif response.status == 403:
        detail = detail or "the account has no room for another check"
    raise ServiceError(f"{client.host} answered {response.status}{detail and f' ({detail})'}")


def _within(limits: tuple[int, int], amount: float) -> int:
    return min(max(ceil(amount), limits[0]), limits[1])


def _of_sentry(definition: MonitorDefinition) -> dict[str, Any]:
    schedule: dict[str, Any] = {"type": "crontab", "value": definition.cron}
    if definition.cron is None:
        period = max(_MINUTE, ceil(definition.period / _MINUTE) * _MINUTE)
        unit = next(name for name, length in _UNITS.items() if not period % length)
        schedule = {"type": "interval", "value": period // _UNITS[unit], "unit": unit}
    return {
        "schedule": schedule,
        "checkin_margin": _within(_SENTRY_RANGE_MIN, definition.start_margin / _MINUTE),
        "max_runtime": _within(_SENTRY_RANGE_MIN, definition.run_limit / _MINUTE),
        "timezone": definition.timezone,
    }
