"""Checks of a deployment on Vercel: who may call it, which calls are scheduled, and when jobs last ran. No job is run."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from jobctl.durations import ago
from jobctl.errors import ConfigurationError, JobctlError, ScheduleError, ServiceError
from jobctl.http import NO_RETRY, HttpClient, Response, authorization
from jobctl.model import Job
from jobctl.project import ProjectContext
from jobctl.schedules import Cron, Excluding
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret
from jobctl.store.base import RunStore
from jobctl.store.open import open_existing_store
from jobctl.text import counted, quote
from jobctl.urls import demand_private, is_postgres_address, is_web_address
from jobctl.vercel.crons import Plan, Target
from jobctl.vercel.export import CONFIG, PlannedCall, is_next_project, plan_calls, read_config
from jobctl.vercel.vercel_json import own_entries
from jobctl.web.endpoints import ENDPOINTS, path_of

URL, SITE_URL, SECRET = "VERCEL_PROJECT_PRODUCTION_URL", "NEXT_PUBLIC_APP_URL", "CRON_SECRET"
_READ_PATH = "/api/jobs"
"""A path of jobctl that needs the secret and runs nothing. The site's own application does not have it."""
_SITE_PATH = "/api/cron/sync"
_LATE = timedelta(minutes=2)
_LATE_DAILY = timedelta(hours=1)
"""On the plan hobby Vercel calls within the hour."""
_YEAR = timedelta(days=366)
_SECOND = timedelta(seconds=1)


class Deployment(NamedTuple):
    """What is known of a deployment before it is requested.

    Attributes:
        url: of the production deployment.
        variable: the one that holds it.
        folder: the folder with its ``vercel.json``; None: there is none with calls of jobs.
    """

    url: str
    variable: str
    folder: Path | None


def find_deployment(environment: Environment, folder: Path) -> Deployment | None:
    """The deployment of a project; None where no variable names its URL.

    The URL of the site counts only where a ``vercel.json`` has calls of jobs: else the site may be anywhere.

    Raises:
        ConfigurationError: the URL cannot be used.
        UsageError: a ``vercel.json`` cannot be read.
    """
    config = next((each for each in _folders(folder) if any(_entries(each).values())), None)
    text = environment.text(URL)
    if text is None:
        url = environment.url(SITE_URL) if config and environment.set_text(SITE_URL) else None
        return Deployment(url, SITE_URL, config) if url else None
    url = text if "://" in text else f"https://{text}"
    if not is_web_address(url):
        raise ConfigurationError(f"{URL} is {quote(text)}, expected a host such as my-jobs.vercel.app")
    return Deployment(url, URL, config)


def check_deployment(
    deployment: Deployment, secret: Secret, project: ProjectContext, now: datetime, timeout: timedelta
) -> str:
    """Check who may call it, its scheduled calls, and the last run of each job.

    Returns:
        What was found, as clauses for people.

    Raises:
        ConfigurationError: something is wrong with it; names all of that.
        ServiceError: it does not answer, or jobs did not run.
    """
    jobs = project.catalogue.jobs
    is_site = deployment.folder is not None and is_next_project(deployment.folder)
    steps: tuple[Callable[[], str], ...] = (
        lambda: _check_access(deployment, secret, timeout),
        lambda: _check_schedules(deployment.folder, project.folder, jobs, now, is_site=is_site),
        lambda: _check_last_runs(deployment.folder, project, now, is_site=is_site),
    )
    clauses, problems = [], []
    for step in steps:
        try:
            clauses.append(step())
        except JobctlError as error:
            problems.append(error)
    if not problems:
        return "; ".join(filter(None, clauses))
    kind = (
        ServiceError
        if all(each.exit_code == ServiceError.exit_code for each in problems)
        else ConfigurationError
    )
    hints = [each.hint for each in problems if each.hint]
    raise kind("; ".join(each.problem for each in problems), hint="; ".join(hints) or None)


# Who may call


def _check_access(deployment: Deployment, secret: Secret, timeout: timedelta) -> str:
    demand_private(deployment.url, deployment.variable, SECRET)
    client = HttpClient(deployment.url.rstrip("/"), timeout=timeout.total_seconds(), retry=NO_RETRY)
    given = authorization("Bearer", secret, SECRET)
    probe = client.call(_READ_PATH)
    is_jobctl = probe.status != 404
    path = _READ_PATH if is_jobctl else _SITE_PATH
    if not is_jobctl:
        for each in ENDPOINTS:
            # Next.js answers this itself, whoever asks: the job is not run
            _demand_answer(client.call(each, method="OPTIONS"), client.host, each)
    wrong = {"Authorization": f"Bearer {secrets.token_urlsafe(24)}"}
    for headers, what in ((None, "without a secret"), (wrong, "with a wrong secret")):
        response = probe if is_jobctl and headers is None else client.call(path, headers=headers)
        _demand_answer(response, client.host, path)
        if response.status != 401:
            raise ConfigurationError(
                f"{client.host} answers {response.status} to {path} {what}, where 401 is expected"
                + (": every caller can run the jobs" if response.is_success else ""),
                hint=f"set {SECRET} in the Vercel project, for Production, and deploy again",
            )
    if not is_jobctl:
        return (
            f"{client.host} has the site's own endpoints, and answers 401 without a secret and with a wrong one;"
            f" {SECRET} itself was not tried: each endpoint runs its job"
        )
    if (status := client.call(path, headers=given).status) != 200:
        raise ConfigurationError(
            f"{client.host} answers {status} to {path} with {SECRET}",
            hint=f"its {SECRET} is another one, or Vercel's Deployment Protection is on; after a change deploy again",
        )
    return f"{client.host} answers 401 without a secret and with a wrong one, and 200 with {SECRET}"


def _demand_answer(response: Response, host: str, path: str) -> None:
    """Check that a path is there, by its response.

    Raises:
        ConfigurationError: it is not.
        ServiceError: the deployment is broken.
    """
    if response.status >= 500:
        raise ServiceError(f"{host} answers {response.status} to {path}", hint="see its log at Vercel")
    if 300 <= response.status < 400:
        raise ConfigurationError(
            f"{host} redirects {path}, and Vercel's calls follow no redirect: no job would run",
            hint=f"name the host that it redirects to in {URL}",
        )
    if response.status == 404:
        raise ConfigurationError(f"{host} has no {path}", hint="deploy it: see jobctl help vercel")


# The scheduled calls


class _Call(NamedTuple):
    path: str
    cron: str
    timezone: str


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))


def _entries(folder: Path) -> dict[Target, list[Any]]:
    text, name = read_config(folder), str(folder / CONFIG)
    return {target: own_entries(text, target.value, name) for target in Target}


def _calls(folder: Path) -> list[_Call]:
    """The calls of jobs that ``vercel.json`` schedules."""
    entries = _entries(folder)
    found = [_Call(str(each["path"]), str(each.get("schedule", "")), "UTC") for each in entries[Target.CRONS]]
    for each in entries[Target.SCHEDULES]:
        expression = each.get("expression")
        cron = expression.get("cron") if isinstance(expression, Mapping) else expression
        found.append(_Call(str(each["target"]["path"]), str(cron), str(each.get("timezone", "UTC"))))
    return found


def _check_schedules(
    folder: Path | None, project: Path, jobs: Sequence[Job], now: datetime, *, is_site: bool
) -> str:
    if folder is None:
        raise ConfigurationError(
            f"no {CONFIG} in {project}, or in a folder in it, has calls of jobs",
            hint="jobctl export vercel DIR writes it",
        )
    calls = _calls(folder)
    if is_site:
        missing = sorted(ENDPOINTS.keys() - {call.path for call in calls})
        if missing:
            raise ConfigurationError(f"{folder / CONFIG} has no call of {', '.join(missing)}")
        shown = ", ".join(f"{call.path.rpartition('/')[2]} at {quote(call.cron)}" for call in calls)
        return f"{CONFIG} calls {shown}"
    target = Target.SCHEDULES if _entries(folder)[Target.SCHEDULES] else Target.CRONS
    planned = [plan_calls(folder, jobs, plan, now, target) for plan in (Plan.PRO, Plan.HOBBY)]
    fewest = min((_differing(calls, each, jobs) for each in planned), key=len)
    if fewest:
        raise ConfigurationError(
            f"the calls of {', '.join(fewest)} in {folder / CONFIG} are not those of the jobs",
            hint=f"jobctl export vercel {folder.relative_to(project)}, and deploy again",
        )
    return f"{CONFIG} has {counted(len(calls), 'call')}, as the jobs are scheduled"


def _differing(calls: Iterable[_Call], planned: Iterable[PlannedCall], jobs: Iterable[Job]) -> list[str]:
    """The jobs whose calls are not the planned ones."""
    ids = {path_of(job.id): job.id for job in jobs}
    wanted = {_Call(call.path, call.cron, call.timezone) for call in planned if call.cron}
    return sorted({ids.get(call.path, call.path) for call in wanted.symmetric_difference(calls)})


# The last runs


def _check_last_runs(folder: Path | None, project: ProjectContext, now: datetime, *, is_site: bool) -> str:
    place = project.store_place
    if folder is None:
        return ""
    if is_site:
        return "its runs are in the log at Vercel"
    if not (isinstance(place, str) and is_postgres_address(place)):
        return "the last runs are not known: the run store is not on Postgres (JOBCTL_STATE)"
    store = open_existing_store(place)
    if store is None:
        return "no job has run yet"
    with closing(store):
        return _last_runs(_calls(folder), project.catalogue.jobs, store, now)


def _last_runs(calls: Sequence[_Call], jobs: Iterable[Job], store: RunStore, now: datetime) -> str:
    """A clause about the last runs.

    Raises:
        ServiceError: jobs have not run for twice their intervals.
    """
    records = store.jobs()
    late, never = [], []
    for job in jobs:
        own = [call for call in calls if call.path == path_of(job.id)]
        record = records.get(job.id)
        if not own or (record is not None and record.stopped is not None):
            continue
        if record is None or record.last is None:
            never.append(job.id)
        elif (due := _due_before_last(job, own, now)) and record.last.started_at < due - _SECOND:
            late.append(f"{job.id} ({ago(record.last.started_at, now)})")
    if late:
        raise ServiceError(
            f"not run for twice their intervals: {', '.join(late)}",
            hint="see Settings, Cron Jobs, and the log of the deployment at Vercel",
        )
    return "the last runs are in time" + (f"; not run yet: {', '.join(never)}" if never else "")


def _due_before_last(job: Job, calls: Sequence[_Call], now: datetime) -> datetime | None:
    """The due time before the latest one for which a call must have come; None: there were fewer."""
    found: list[Cron] = []
    for call in calls:
        try:
            found.append(Cron(call.cron, call.timezone))
        except ScheduleError:  # it is reported as another than the job's
            return None

    def latest(until: datetime) -> datetime | None:
        while True:
            due = max(filter(None, (cron.latest_until(until, now - _YEAR) for cron in found)), default=None)
            if due is None or not (isinstance(job.schedule, Excluding) and job.schedule.excludes(due)):
                return due
            until = due - _SECOND

    last = latest(now - _LATE)
    before = latest(last - _SECOND) if last else None
    if last is None or before is None:
        return None
    if last - before < timedelta(days=1):
        return before
    last = latest(now - _LATE_DAILY)
    return latest(last - _SECOND) if last else None
