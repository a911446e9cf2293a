"""Trying what is configured, for real: each part is used as the jobs use it, and nothing of the site is changed."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from jobctl import threads
from jobctl.catalogue.catalogue import Catalogue, unmet_need
from jobctl.catalogue.discovery import import_problems
from jobctl.catalogue.location import store_place
from jobctl.catalogue.notify_settings import demand_private_url, resolved
from jobctl.durations import format_duration
from jobctl.errors import (
    DISTRIBUTION,
    ConfigurationError,
    ExitCode,
    JobctlError,
    PermanentJobError,
    raise_any,
)
from jobctl.model import Command, Job
from jobctl.settings.environment import Environment
from jobctl.text import counted, quote

TIMEOUT = timedelta(seconds=10)
_LONGEST_STEP = timedelta(hours=1)
"""libgit2 counts milliseconds in 32 bits."""


class State(StrEnum):
    """How a part is."""

    FINE = "ok"
    FAILED = "failed"
    ABSENT = "not configured"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of trying one part. ``exit_code`` is what its failure means for the process."""

    part: str
    state: State
    detail: str
    hint: str | None = None
    exit_code: int = ExitCode.DONE


class AbsentError(Exception):
    """The part is not configured; says which variable is missing."""


@dataclass(frozen=True, slots=True)
class Checker:
    """Tries the parts of one project, each for ``timeout`` at most."""

    environment: Environment
    project: Path
    state: Path
    catalogue: Catalogue
    timeout: timedelta

    def check(self, part: str) -> Checked:
        """Try one of ``PARTS``; never raises.

        It is tried in a thread that is left behind when the time is over: some parts wait inside a library.
        """
        answer: list[Checked] = []
        work = threading.Thread(target=lambda: answer.append(self._tried(part)), daemon=True)
        try:
            threads.start(work)
        except threads.NoThreadError as error:
            return Checked(part, State.FAILED, str(error), error.hint, error.exit_code)
        work.join(self.timeout.total_seconds())
        if answer:
            return answer[0]
        silence = f"no answer in {format_duration(self.timeout)}"
        return Checked(part, State.FAILED, silence, exit_code=ExitCode.SERVICE)

    def _tried(self, part: str) -> Checked:
        try:
            return Checked(part, State.FINE, PARTS[part](self))
        except AbsentError as absent:
            return Checked(part, State.ABSENT, str(absent))
        except JobctlError as error:
            code = (
                ExitCode.USAGE
                if isinstance(error, ConfigurationError | PermanentJobError)
                else error.exit_code
            )
            # a hint to run a check would send people to what runs now
            hint = None if (error.hint or "").startswith("jobctl check") else error.hint
            return Checked(part, State.FAILED, str(error), hint, code)
        except Exception as error:
            text = " ".join(self.environment.mask(str(error)).split())[:200]
            return Checked(part, State.FAILED, f"{type(error).__name__}: {text}", exit_code=ExitCode.INTERNAL)

    def settings(self) -> str:
        """The receivers of notifications and check-ins, and what the project's own jobs run.

        The variables and the project file were read before.
        """
        receivers = [(url, self.catalogue.notify.where) for url in self.catalogue.notify.urls]
        for url, where in [*receivers, *((job.check_in, job.origin) for job in self.catalogue)]:
            if url:
                demand_private_url(resolved(url, self.environment, where))
        raise_any(list(self._not_there()))
        files = [file.name for file in self.environment.files if file.found]
        return f"{counted(len(self.catalogue), 'job')}; {', '.join(files) or 'no .env file'}"

    def _not_there(self) -> Iterator[ConfigurationError]:
        """The functions that cannot be imported, and the programs that cannot be found."""
        values = self.environment.merged()
        calls = {job.target for job in self.catalogue if isinstance(job.target, str)}
        own = sorted(one for one in calls if not one.startswith("jobctl."))
        why = import_problems(self.project, own, values, self.environment.mask)
        for job in self.catalogue:
            if isinstance(job.target, str) and job.target in why:
                yield ConfigurationError(
                    f"job {job.id} cannot be run: {job.target}: {why[job.target]}", where=job.origin
                )
            elif isinstance(job.target, Command) and not self._has_program(job, values):
                yield ConfigurationError(
                    f"job {job.id} cannot be run: there is no program {quote(job.target.argv[0])}",
                    where=job.origin,
                    hint="install it, or write its whole path",
                )

    def _has_program(self, job: Job, values: Mapping[str, str]) -> bool:
        program = job.target.argv[0] if isinstance(job.target, Command) else ""
        if os.sep in program:
            return os.access(self.project / (job.folder or "") / program, os.X_OK)
        path = job.environment.get("PATH", values.get("PATH"))
        return shutil.which(program, path=path) is not None

    def store(self) -> str:
        """The run store: opened, made where there is none, looked through, and able to write."""
        from jobctl.store.open import open_store

        with closing(open_store(store_place(self.environment, self.state), verify=True)) as store:
            store.count({})  # a transaction that writes nothing
            return store.place

    def database(self) -> str:
        """Connected to, its tables compared with what the jobs use, its tenant found."""
        missing = unmet_need(("database",), self.environment)
        if missing is not None:
            raise AbsentError(missing)
        from jobctl.site.database.session import Database

        database = Database.open(self.environment, self.project)
        trip = database.round_trip()
        database.demand_tables()
        return f"{database.place}, tenant {database.tenant_id}, round trip {_ms(trip)}"

    def content(self) -> str:
        """The content repository asked for its branch."""
        text = self.environment.text("DATA_REPOSITORY")
        if text is None:
            raise AbsentError("DATA_REPOSITORY is not set")
        from jobctl.site.content.remote import fetch_tip, read_repository_address

        address = read_repository_address(text, self.environment.secret("GH_TOKEN"), self.project)
        tip = fetch_tip(address, self.environment.text("GITHUB_BRANCH"), min(self.timeout, _LONGEST_STEP))
        return "; ".join(
            filter(None, (f"{address.url}, branch {tip.branch} at {tip.commit[:8]}", tip.warning))
        )

    def site(self) -> str:
        """Whether the site accepts the notification of changed content; the request changes nothing."""
        url = self.environment.url("JOBCTL_CONTENT_CHANGED_URL")
        if url is None:
            raise AbsentError("JOBCTL_CONTENT_CHANGED_URL is not set")
        from jobctl.site.content.change_notice import ChangeNotice

        return ChangeNotice(self.environment, url).check()

    def mail(self) -> str:
        """The provider logged in to; no mail is sent."""
        missing = unmet_need(("mail",), self.environment)
        if missing is not None:
            raise AbsentError(missing)
        from jobctl.site.mail.providers import note, open_transport

        said = [
            note(self.environment),
            *(f"{one.name} is from {one.source}" for one in self.environment.from_content()),
        ]
        with open_transport(self.environment, self.state / "outbox") as transport:
            return "; ".join(
                [f"{transport.name} at {transport.place}: {transport.check()}", *filter(None, said)]
            )

    def trigger_dev(self) -> str:
        """Asked for its schedules with the key; nothing is changed there."""
        if self.environment.secret("TRIGGER_DEV_API_KEY") is None:
            raise AbsentError("TRIGGER_DEV_API_KEY is not set")
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.client import TriggerDevClient

        account = Account.read(self.environment)
        with closing(TriggerDevClient(account)) as api:
            count = len(api.schedules())
        return f"{account.host}, environment {account.environment}, {counted(count, 'schedule')}"


PARTS: dict[str, Callable[[Checker], str]] = {
    "settings": Checker.settings,
    "store": Checker.store,
    "database": Checker.database,
    "content": Checker.content,
    "site": Checker.site,
    "mail": Checker.mail,
    "trigger-dev": Checker.trigger_dev,
}


def stranger_beside() -> str | None:
    """A sentence where a distribution named ``jobctl`` is installed too, another project's; None where none is."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("jobctl")
    except PackageNotFoundError:
        return None
    return (
        f"the distribution jobctl {found} is installed beside {DISTRIBUTION}: it is another project's, or an old one"
        f" of ours, and may have replaced files of this one; pip uninstall jobctl, and then"
        f" pip install --force-reinstall {DISTRIBUTION}"
    )


def exit_code(found: Iterable[Checked]) -> int:
    """What it all means: a wrong setting before a silent service, for it is the one to mend first."""
    codes = {one.exit_code for one in found}
    worst_first = (ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.SERVICE, ExitCode.NOT_RUN)
    return next((code for code in worst_first if code in codes), 0)


def _ms(duration: timedelta) -> str:
    return f"{duration.total_seconds() * 1000:.1f} ms"
