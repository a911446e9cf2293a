"""All jobs that a project knows: the built-in ones, those of packages, of its modules and of its project file."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.errors import (
    ConfigurationError,
    ConfigurationErrors,
    UnknownJobError,
    UsageError,
    install_hint,
    raise_any,
)
from jobctl.files import demand_trusted_module, platform_owns_files
from jobctl.text import is_job_id, printable, quote, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jobctl.catalogue.builtin import BuiltIn
    from jobctl.catalogue.calendars import Calendars, FileState
    from jobctl.catalogue.notify_settings import Notify
    from jobctl.catalogue.project_file import ProjectFile
    from jobctl.model import Job
    from jobctl.project_location import ProjectLocation
    from jobctl.settings.environment import Environment

_NO_SITE = (
    f"the {len(BUILT_IN)} built-in jobs are left out: this is not an Ever Works site (it has no DATABASE_URL,"
    " DATA_REPOSITORY or .works); to add them, set one of these, or write builtin = true in the project file"
)


class Catalogue:
    """Jobs by id, in order: built-in, installed packages, the project's modules, the project file.

    Attributes:
        notify: where the project file sends notifications.
        warnings: what was left out, and why: a broken package, a job that is also defined elsewhere.
        others: ids of the jobs that are defined outside the project file, which may change them.
        note: why the built-in jobs are left out, and how to add them; None if they are in or turned off.
        ignored_warnings: codes of ``jobctl plan`` that are not reported about any job.
        calendar_files: the files of calendars, as they were when they were read.
    """

    def __init__(
        self,
        jobs: "tuple[Job, ...]",
        notify: "Notify",
        warnings: "Sequence[str]",
        others: "Sequence[str]",
        note: str | None = None,
        *,
        calendar_files: "Mapping[Path, FileState | None] | None" = None,
        ignored_warnings: "tuple[str, ...]" = (),
    ) -> None:
        self.jobs = jobs
        self.notify = notify
        self.warnings = warnings
        self.others = others
        self.note = note
        self.calendar_files = calendar_files or {}
        self.ignored_warnings = ignored_warnings
        self._by_id = {job.id: job for job in jobs}

    def __iter__(self) -> "Iterator[Job]":
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    def ids(self) -> tuple[str, ...]:
        """Every id, in order."""
        return tuple(self._by_id)

    def get(self, job_id: str, is_recorded: "Callable[[str], bool]" = lambda _: False) -> "Job":
        """The job with this id.

        Args:
            is_recorded: whether the run store has a job that the catalogue lacks.

        Raises:
            UnknownJobError: no job has this id; suggests a similar one.
        """
        if (job := self._by_id.get(job_id)) is not None:
            return job
        if (error := _absent_builtin(job_id, self.note)) is not None:
            raise error
        if not self.warnings and is_recorded(job_id):
            raise UnknownJobError(
                f"job {quote(job_id)} is in the run store, but this project does not define it",
                hint=f"what ran: jobctl runs {job_id}; run it where it is defined: with trigger_job() of the"
                " program's job manager, or with jobctl trigger in its own project",
            )
        raise unknown_job(job_id, self._by_id, also="All jobs: jobctl status", left_out=self.warnings)

    @classmethod
    def load(cls, location: "ProjectLocation", environment: "Environment | None" = None) -> Self:
        """Read the catalogue of a project.

        Args:
            environment: for the child process that imports the project's modules, and for what jobs need.

        Raises:
            ConfigurationError: the project file or a module has an error; ``ConfigurationErrors`` for several.
        """
        from jobctl.catalogue.calendars import Calendars
        from jobctl.catalogue.job_keys import build_job
        from jobctl.catalogue.project_file import read_project_file

        file = read_project_file(location)
        calendars = Calendars.load(file, location.folder)
        if not platform_owns_files():
            calls = (str(settings.get("call", "")).partition(":")[0] for settings in file.jobs.values())
            for module in filter(None, dict.fromkeys([*file.modules, *calls])):
                demand_trusted_module(location.folder, module)
        known, packaged, faults, left_out, note = _defined_outside_file(
            file, location, environment, calendars
        )
        others = tuple(known)
        for job_id, settings in file.jobs.items():
            if left_out and job_id not in known and not settings.keys() & {"call", "command"}:
                left_out.append(
                    f"{file.place('jobs', job_id)}: [jobs.{job_id}] is left out: it needs `call` or `command`,"
                    " unless it changes another job that is left out"
                )
                continue
            try:
                known[job_id] = build_job(
                    job_id, settings, _places(file, job_id), known.get(job_id), calendars=calendars
                )
            except ConfigurationErrors as error:
                faults.extend(error.problems)
        raise_any(faults or list(_faults_of_order(file, known, packaged, left_out, note)))
        jobs = known.values()
        if environment:
            environment.hide([*file.notify.urls, *(job.check_in for job in jobs)])
        warnings = [*([location.warning] if location.warning else []), *left_out]
        return cls(
            tuple(_with_unmet_needs(jobs, environment) if environment else jobs),
            file.notify,
            [printable(warning) for warning in warnings],
            others,
            note,
            calendar_files=calendars.files,
            ignored_warnings=file.ignored_warnings,
        )


def _defined_outside_file(
    file: "ProjectFile",
    location: "ProjectLocation",
    environment: "Environment | None",
    calendars: "Calendars",
) -> "tuple[dict[str, Job], set[str], list[ConfigurationError], list[str], str | None]":
    """The jobs that the project file may change, which are of packages, faults, what is left out, and the note."""
    from jobctl.catalogue.discovery import JobFinder

    finder = JobFinder(location, environment, calendars)
    faults: list[ConfigurationError] = []
    of_packages, left_out = finder.in_packages()
    of_modules = list(finder.in_modules(file))
    known: dict[str, Job] = {}
    note = None
    has_others = bool(of_packages or of_modules or file.jobs)
    if _has_builtin(file, location, environment, has_others=has_others):
        known = {builtin.id: _build(builtin) for builtin in BUILT_IN}
    elif file.builtin is None:
        note = _NO_SITE
    for job in of_packages:
        if known.setdefault(job.id, job) is not job:
            left_out.append(_left_out(job, known[job.id]))
    for job in of_modules:
        other = known.get(job.id)
        if other in of_packages:
            left_out.append(_left_out(other, job))
        elif other is not None:
            twice = f"job {quote(job.id)} is defined twice: also in {other.origin}"
            faults.append(ConfigurationError(twice, where=job.origin))
        known[job.id] = job
    packaged = {job.id for job in of_packages if known[job.id] is job}
    return known, packaged, faults, left_out, note


def _has_builtin(
    file: "ProjectFile", location: "ProjectLocation", environment: "Environment | None", *, has_others: bool
) -> bool:
    """Whether the project has the built-in jobs: as it says, else unless it has others and is no site."""
    if file.builtin is not None:
        return file.builtin
    if not has_others or environment is None or _changes_builtin(file):
        return True
    return _is_site(location, environment)


def _is_site(location: "ProjectLocation", environment: "Environment") -> bool:
    """Whether the project is an Ever Works site."""
    configured = any(environment.set_text(name) for name in ("DATABASE_URL", "DATA_REPOSITORY"))
    return configured or any(
        os.path.lexists(location.folder / name) for name in (".works", ".content/.works")
    )


def _changes_builtin(file: "ProjectFile") -> bool:
    return any(
        builtin.id in file.jobs and not file.jobs[builtin.id].keys() & {"call", "command"}
        for builtin in BUILT_IN
    )


def _left_out(job: "Job", other: "Job") -> str:
    return f"job {quote(job.id)} of {job.origin} is left out: it is defined twice, also in {other.origin}"


def _build(builtin: "BuiltIn") -> "Job":
    from dataclasses import replace

    from jobctl.catalogue.job_keys import build_job

    job = build_job(builtin.id, {"name": builtin.name, **builtin.settings}, lambda _: "built-in")
    return replace(job, dry_run=builtin.dry_run)


def _places(file: "ProjectFile", job_id: str) -> "Callable[[str], str]":
    return lambda key: file.place("jobs", job_id, *([key] if key else []))


def _faults_of_order(
    file: "ProjectFile",
    known: "dict[str, Job]",
    packaged: set[str],
    left_out: list[str],
    note: str | None,
) -> "Iterator[ConfigurationError]":
    """The faults in what jobs run after.

    Those of a package become warnings, as does an unknown job that may be among those that are left out.

    Args:
        packaged: ids of jobs that packages define.
    """
    from jobctl.catalogue.job_order import break_cycles

    in_file = {job_id for job_id, settings in file.jobs.items() if "after" in settings}
    tolerated = packaged - in_file
    found: list[tuple[Job, UsageError, bool]] = [
        (job, _unknown(other, known, note, left_out), bool(left_out) or job.id in tolerated)
        for job in known.values()
        for other in job.after
        if other not in known
    ]
    found += [(job, error, job.id in tolerated) for job, error in break_cycles(known, tolerated)]
    for job, error, is_tolerated in found:
        where = file.place("jobs", job.id, "after") if job.id in in_file else job.origin
        problem = f"[jobs.{job.id}].after: {error.problem}"
        if is_tolerated:
            left_out.append(f"{where}: {problem}, so {job.id} does not start by itself")
        else:
            yield ConfigurationError(problem, where=where, hint=error.hint)


def _unknown(
    job_id: str, known: "Iterable[str]", note: str | None, left_out: "Sequence[str]"
) -> UnknownJobError:
    return _absent_builtin(job_id, note) or unknown_job(job_id, known, left_out=left_out)


def _absent_builtin(job_id: str, note: str | None) -> UnknownJobError | None:
    """The error for the id of a built-in job where the project has none of them; None for another id."""
    if all(builtin.id != job_id for builtin in BUILT_IN):
        return None
    return UnknownJobError(
        f"job {quote(job_id)} is built-in, and this project has no built-in jobs",
        hint=note or "builtin = false in the project file turns them off",
    )


def unknown_job(
    job_id: str, known: "Iterable[str]", *, also: str = "", left_out: "Sequence[str]" = ()
) -> UnknownJobError:
    """The error for an unknown id, with a similar id or ``also`` as its hint.

    If anything is ``left_out``, the job may be part of it, so the hint says what.
    """
    among = " among those that can be read" if left_out else ""
    hint = suggestion(job_id, known, "; ".join(left_out) or also)
    return UnknownJobError(f"there is no job {quote(job_id)}{among}", hint=hint or None)


def _with_unmet_needs(jobs: "Iterable[Job]", environment: "Environment") -> "Iterator[Job]":
    """Each job, with its first need that is not configured.

    The needs of a built-in job are those of its function: with another target it needs only what ``needs`` names.
    """
    from dataclasses import replace

    by_id = {builtin.id: builtin for builtin in BUILT_IN}
    for job in jobs:
        missing = _unset_variable(job, environment)
        builtin = by_id.get(job.id)
        if missing is None and builtin and builtin.settings["call"] == job.target:
            try:
                missing = unmet_need(builtin.needs, environment)
            except ConfigurationError as error:  # only for commands that work despite invalid settings
                missing = error.problem
        yield job if missing is None else replace(job, unmet=missing)


def _unset_variable(job: "Job", environment: "Environment") -> str | None:
    if not job.needs:
        return None
    known = {**environment.merged(), **job.environment}
    return next((f"{name} is not set" for name in job.needs if not known.get(name)), None)


def unmet_need(needs: "Iterable[str]", environment: "Environment") -> str | None:
    """The first of these needs, ``database`` or ``mail``, that is not configured, as a clause; None if all are.

    Nothing is connected to.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    reasons = (
        _unmet_database(environment) if need == "database" else _unmet_mail(environment) for need in needs
    )
    return next(filter(None, reasons), None)


def _unmet_database(environment: "Environment") -> str | None:
    from importlib.util import find_spec

    from jobctl.urls import is_postgres_address

    address = environment.database("DATABASE_URL")
    if address is None:
        return "DATABASE_URL is not set"
    if is_postgres_address(address) and find_spec("psycopg") is None:
        return f"psycopg is not installed: {install_hint('postgres')}"
    return None


def _unmet_mail(environment: "Environment") -> str | None:
    from jobctl.site.mail.providers import unmet

    return unmet(environment)


def job_names(folder: str) -> list[tuple[str, str]]:
    """The id and name of each job, for completion."""
    return [(job_id, str(settings.get("name", job_id))) for job_id, settings in job_settings(folder).items()]


def job_settings(folder: str) -> "dict[str, Mapping[str, Any]]":
    """The settings of each job by its id, for completion: no job is built, no module is imported, errors are ignored.

    Ids are checked: anyone may have written the files, and the shell inserts the id into the command line.
    """
    from jobctl.catalogue.discovery import IN_MODULES, cache_folder, cached_settings, package_caches
    from jobctl.catalogue.project_file import read_project_file
    from jobctl.errors import JobctlError
    from jobctl.files import with_home
    from jobctl.project_location import find_project
    from jobctl.settings.environment import Environment

    builtin = {job.id: {**job.settings, "name": job.name} for job in BUILT_IN}
    found: dict[str, Mapping[str, Any]] = {}
    ignored = (JobctlError, OSError, ValueError, KeyError, TypeError)
    with suppress(*ignored):
        location = find_project(with_home(folder, "--project"))
        state = location.folder / ".jobctl"
        with suppress(OSError):
            for cache in package_caches(state):
                with suppress(*ignored):
                    found.update(cached_settings(cache))
        file = read_project_file(location)
        found.update((job_id, {**builtin.get(job_id, {}), **own}) for job_id, own in file.jobs.items())
        if file.modules:
            with suppress(*ignored):
                found.update(cached_settings(cache_folder(state) / IN_MODULES))
        environment = Environment.load(location.folder, os.environ, pipes=False)
        if not _has_builtin(file, location, environment, has_others=any(map(is_job_id, found))):
            builtin = {}
    return {job_id: settings for job_id, settings in {**builtin, **found}.items() if is_job_id(job_id)}
