"""Checks of everything that is configured. Each part is used as the jobs use it; nothing of the site is changed."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from jobctl import thread_start
from jobctl.catalogue.catalogue import unmet_need
from jobctl.catalogue.discovery import Functions
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
from jobctl.model import AUTO, Command, Job
from jobctl.project import ProjectContext
from jobctl.text import counted, quote

_MAX_FETCH = timedelta(hours=1)
"""libgit2 counts milliseconds in 32 bits."""


class CheckState(StrEnum):
    """The result of a check."""

    OK = "ok"
    FAILED = "failed"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result for one part. ``exit_code`` is the process's if the part failed."""

    part: str
    state: CheckState
    detail: str
    hint: str | None = None
    exit_code: int = ExitCode.DONE


class NotConfiguredError(Exception):
    """The part is not configured; names the missing variable."""


def check(part: str, project: ProjectContext, timeout: timedelta) -> CheckResult:
    """Check one of ``PARTS``; never raises.

    It runs in a thread that is abandoned after the timeout: some parts wait inside a library.
    """
    results: list[CheckResult] = []
    thread = threading.Thread(target=lambda: results.append(_result(part, project, timeout)), daemon=True)
    try:
        thread_start.start(thread)
    except thread_start.NoThreadError as error:
        return CheckResult(part, CheckState.FAILED, str(error), error.hint, error.exit_code)
    thread.join(timeout.total_seconds())
    if results:
        return results[0]
    text = f"no answer in {format_duration(timeout)}"
    return CheckResult(part, CheckState.FAILED, text, exit_code=ExitCode.SERVICE)


def _result(part: str, project: ProjectContext, timeout: timedelta) -> CheckResult:
    try:
        return CheckResult(part, CheckState.OK, PARTS[part](project, timeout))
    except NotConfiguredError as error:
        return CheckResult(part, CheckState.NOT_CONFIGURED, str(error))
    except JobctlError as error:
        is_usage = isinstance(error, ConfigurationError | PermanentJobError)
        # a hint to run this check would be of no use
        hint = None if (error.hint or "").startswith("jobctl check") else error.hint
        code = ExitCode.USAGE if is_usage else error.exit_code
        return CheckResult(part, CheckState.FAILED, str(error), hint, code)
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(project.environment.mask(str(error)).split())[:200]}"
        return CheckResult(part, CheckState.FAILED, text, exit_code=ExitCode.INTERNAL)


def check_settings(project: ProjectContext, _: timedelta) -> str:
    """Check the URLs of notifications and check-ins, and the functions and programs of the project's jobs.

    Reading the variables and the project file has checked the rest.
    """
    notify, jobs = project.catalogue.notify, project.catalogue.jobs
    automatic = [job for job in jobs if job.check_in == AUTO]
    urls = [
        *((url, notify.where) for url in notify.urls),
        *((job.check_in, job.place("check_in")) for job in jobs if job.check_in != AUTO),
    ]
    for url, where in urls:
        if url:
            demand_private_url(resolved(url, project.environment, where))
    monitors = _place_of_monitors(project, automatic)
    raise_any(list(_missing_targets(project)))
    files = [file.name for file in project.environment.files if file.found]
    return "; ".join(filter(None, (counted(len(jobs), "job"), ", ".join(files) or "no .env file", monitors)))


def _place_of_monitors(project: ProjectContext, jobs: Sequence[Job]) -> str:
    """Where the monitors of jobs with ``check_in = "auto"`` are made; empty if there are no such jobs."""
    if not jobs:
        return ""
    from jobctl.subscribers.monitor_services import monitor_service

    service = monitor_service(project.environment, jobs[0].place("check_in"))
    service.demand_private()
    return f"{counted(len(jobs), 'monitor')} at {service.host} ({service.variable})"


def _missing_targets(project: ProjectContext) -> Iterator[ConfigurationError]:
    """Errors for functions that cannot be imported, and for programs and folders that do not exist."""
    variables = project.environment.merged()
    own = [
        job
        for job in project.catalogue
        if isinstance(job.target, str) and not job.target.startswith("jobctl.")
    ]
    functions = Functions(project.folder, variables, project.environment.mask)
    functions.prepare(own)
    problems = {job.id: problem for job in own if (problem := functions.problem(job))}
    for job in project.catalogue:
        target, hint = job.target, None
        if job.folder is not None and not (project.folder / job.folder).is_dir():
            problem, hint = (
                f"there is no folder {quote(job.folder)}",
                "make it, or correct the setting folder",
            )
        elif job.id in problems:
            problem = problems[job.id]
        elif isinstance(target, Command) and not _is_installed(
            target.argv[0], job, project.folder, variables
        ):
            problem = f"there is no program {quote(target.argv[0])}"
            hint = "install it, or write its whole path"
        else:
            continue
        yield ConfigurationError(f"job {job.id} cannot be run: {problem}", where=job.origin, hint=hint)


def _is_installed(program: str, job: Job, folder: Path, variables: Mapping[str, str]) -> bool:
    if os.sep in program:
        return os.access(folder / (job.folder or "") / program, os.X_OK)
    path = job.environment.get("PATH", variables.get("PATH"))
    return shutil.which(program, path=path) is not None


def check_store(project: ProjectContext, _: timedelta) -> str:
    """Open the run store, create it if there is none, check the whole file, and write."""
    from jobctl.store.open import open_store

    with closing(open_store(project.store_place, verify=True)) as store:
        store.count({})  # a transaction that writes nothing
        return store.place


def check_database(project: ProjectContext, _: timedelta) -> str:
    """Connect to the site's database, compare its tables with what the jobs use, and find the tenant."""
    _demand_configured(project, "database")
    from jobctl.site.database.session import Database

    database = Database.open(project.environment, project.folder)
    round_trip = database.round_trip().total_seconds()
    database.demand_tables()
    return f"{database.place}, tenant {database.tenant_id}, round trip {round_trip * 1000:.1f} ms"


def check_content(project: ProjectContext, timeout: timedelta) -> str:
    """Fetch the tip of the content repository's branch."""
    environment = project.environment
    text = environment.text("DATA_REPOSITORY")
    if text is None:
        raise NotConfiguredError("DATA_REPOSITORY is not set")
    from jobctl.site.content.remote import fetch_tip, read_repository_address

    address = read_repository_address(text, environment.secret("GH_TOKEN"), project.folder)
    tip = fetch_tip(address, environment.text("GITHUB_BRANCH"), min(timeout, _MAX_FETCH))
    return "; ".join(filter(None, (f"{address.url}, branch {tip.branch} at {tip.commit[:8]}", tip.warning)))


def check_site(project: ProjectContext, _: timedelta) -> str:
    """Check that the site accepts the notification of changed content; the request changes nothing."""
    url = project.environment.url("JOBCTL_CONTENT_CHANGED_URL")
    if url is None:
        raise NotConfiguredError("JOBCTL_CONTENT_CHANGED_URL is not set")
    from jobctl.site.content.change_notice import ChangeNotice

    return ChangeNotice(project.environment, url).check()


def check_mail(project: ProjectContext, _: timedelta) -> str:
    """Log in to the mail provider; no mail is sent."""
    _demand_configured(project, "mail")
    from jobctl.site.mail.providers import note, open_transport

    notes = [
        note(project.environment),
        *(f"{value.name} is from {value.source}" for value in project.environment.from_content()),
    ]
    with open_transport(project.environment, project.outbox) as transport:
        result = f"{transport.name} at {transport.place}: {transport.check()}"
    return "; ".join([result, *filter(None, notes)])


def check_trigger_dev(project: ProjectContext, _: timedelta) -> str:
    """Read the schedules at Trigger.dev; nothing is changed there."""
    if project.environment.secret("TRIGGER_DEV_API_KEY") is None:
        raise NotConfiguredError("TRIGGER_DEV_API_KEY is not set")
    from jobctl.trigger_dev.account import Account
    from jobctl.trigger_dev.client import TriggerDevClient

    account = Account.read(project.environment)
    with closing(TriggerDevClient(account)) as client:
        count = len(client.schedules())
    return f"{account.host}, environment {account.environment}, {counted(count, 'schedule')}"


def check_notify(project: ProjectContext, _: timedelta) -> str:
    """Send a test to every receiver of notifications."""
    from jobctl.clock import SystemClock
    from jobctl.subscribers.notification import test_notification
    from jobctl.subscribers.notification_channels import channels

    notify = project.catalogue.notify
    if not notify.has_receivers:
        raise NotConfiguredError("notify is not set in the project file")
    test, delivered, failures = test_notification(SystemClock().now()), [], []
    for channel in channels(notify, project):
        try:
            channel.send(test)
        except JobctlError as error:
            failures.append((channel.label, error))
        else:
            delivered.append(channel.label)
    if failures:
        kind = type(failures[0][1])
        raise kind("; ".join(f"{label}: {error.problem}" for label, error in failures))
    return f"a test was sent: {', '.join(delivered)}"


def check_vercel(project: ProjectContext, timeout: timedelta) -> str:
    """Check who may call the deployment on Vercel, its scheduled calls, and the last run of each job. Runs no job."""
    from jobctl.clock import SystemClock
    from jobctl.modes import Mode, resolve
    from jobctl.vercel import deployment_check

    deployment = deployment_check.find_deployment(project.environment, project.folder)
    if deployment is None:
        raise NotConfiguredError(f"{deployment_check.URL} is not set")
    secret = project.environment.secret(deployment_check.SECRET)
    if secret is None:
        raise NotConfiguredError(f"{deployment_check.SECRET} is not set")
    now = SystemClock().now()
    found = deployment_check.check_deployment(deployment, secret, project, now, timeout)
    mode = resolve(project.environment)
    others = {Mode.TRIGGER_DEV: "Trigger.dev is in charge", Mode.DISABLED: "scheduling is disabled"}
    return f"{found}; by these settings {others[mode]}" if mode in others else found


def _demand_configured(project: ProjectContext, need: str) -> None:
    missing = unmet_need((need,), project.environment)
    if missing is not None:
        raise NotConfiguredError(missing)


PARTS: dict[str, Callable[[ProjectContext, timedelta], str]] = {
    "settings": check_settings,
    "store": check_store,
    "database": check_database,
    "content": check_content,
    "site": check_site,
    "mail": check_mail,
    "trigger-dev": check_trigger_dev,
    "vercel": check_vercel,
    "notify": check_notify,
}
ON_REQUEST = ("notify",)
"""Parts that are checked only where they are named: people receive the test."""


def other_distribution() -> str | None:
    """A warning if a distribution named ``jobctl``, which is another project's, is installed too; else None."""
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


def exit_code(results: Iterable[CheckResult]) -> int:
    """The exit code for all results: a wrong setting counts before a service that does not answer."""
    codes = {result.exit_code for result in results}
    by_priority = (ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.SERVICE, ExitCode.NOT_RUN)
    return next((code for code in by_priority if code in codes), 0)
