"""All jobs that a project knows: the built-in ones, those of packages, of its modules and of its project file."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.errors import ConfigurationError, ConfigurationErrors, UnknownJobError, install_hint
from jobctl.text import is_job_id, printable, quote, suggestion
from jobctl.trust import demand_trusted_module, platform_owns_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jobctl.catalogue.builtin import BuiltIn
    from jobctl.catalogue.location import ProjectLocation
    from jobctl.catalogue.notify_settings import Notify
    from jobctl.catalogue.project_file import ProjectFile
    from jobctl.model import Job
    from jobctl.settings.environment import Environment

NO_SITE = (
    f"the {len(BUILT_IN)} built-in jobs are left out: this is no Ever Works site (there is no DATABASE_URL,"
    " DATA_REPOSITORY or .works); to add them, set one of these, or write builtin = true in the project file"
)


class Catalogue:
    """Jobs by id, in order: built-in, installed packages, the project's modules, the project's file.

    Attributes:
        warnings: what is left out, and why: a package that is broken, a job of one that is defined elsewhere too.
        others: ids of the jobs that are not the project file's own, whatever it changes of them.
        note: that the built-in jobs are left out because the project is no Ever Works site, and how to add them;
            None where they are in, or were turned off.
    """

    def __init__(
        self,
        jobs: "tuple[Job, ...]",
        notify: "Notify",
        warnings: "Sequence[str]",
        others: "Sequence[str]",
        note: str | None = None,
    ) -> None:
        self.jobs = jobs
        self.notify = notify
        self.warnings = warnings
        self.others = others
        self.note = note
        self._by_id = {job.id: job for job in jobs}

    def __iter__(self) -> "Iterator[Job]":
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    def ids(self) -> tuple[str, ...]:
        """Every id, in order."""
        return tuple(self._by_id)

    def get(self, job_id: str) -> "Job":
        """The job with this id.

        Raises:
            UnknownJobError: there is none; says which was probably meant.
        """
        job = self._by_id.get(job_id)
        if job is None:
            hidden = [self.note] if self.note and any(one.id == job_id for one in BUILT_IN) else []
            raise unknown_job(
                job_id, self._by_id, also="All jobs: jobctl status", left_out=[*self.warnings, *hidden]
            )
        return job

    @classmethod
    def load(cls, project: "ProjectLocation", environment: "Environment | None" = None) -> Self:
        """Put the catalogue of a project together.

        Args:
            project: where the file is, if there is one.
            environment: for the child that imports the project's modules.

        Raises:
            ConfigurationError: something in the file, or in a module, is wrong; several are told together.
        """
        from jobctl.catalogue.job_keys import build_job
        from jobctl.catalogue.project_file import read_project_file

        file = read_project_file(project)
        if not platform_owns_files():
            calls = (str(settings.get("call", "")).partition(":")[0] for settings in file.jobs.values())
            for module in filter(None, dict.fromkeys([*file.modules, *calls])):
                demand_trusted_module(project.folder, module)
        known, faults, left_out, note = _found(file, project, environment)
        others = tuple(known)
        for job_id, settings in file.jobs.items():
            if left_out and job_id not in known and not settings.keys() & {"call", "command"}:
                left_out.append(
                    f"{file.place('jobs', job_id)}: [jobs.{job_id}] needs `call` or `command`, so it is left out:"
                    " it may change a job that is left out"
                )
                continue
            try:
                known[job_id] = build_job(job_id, settings, _places(file, job_id), known.get(job_id))
            except ConfigurationErrors as error:
                faults.extend(error.problems)
        if len(faults) == 1:
            raise faults[0]
        if faults:
            raise ConfigurationErrors(faults)
        jobs = _with_unmet(known.values(), environment) if environment else known.values()
        if environment:
            environment.hide([*file.notify.urls, *(one.check_in for one in known.values())])
        warnings = [*([project.warning] if project.warning else []), *left_out]
        return cls(tuple(jobs), file.notify, [printable(one) for one in warnings], others, note)


def _found(
    file: "ProjectFile", project: "ProjectLocation", environment: "Environment | None"
) -> "tuple[dict[str, Job], list[ConfigurationError], list[str], str | None]":
    """The jobs that the project's file may change, what is wrong with them, what is left out, and the note."""
    from jobctl.catalogue.discovery import Finder

    finder = Finder(project, environment)
    faults: list[ConfigurationError] = []
    brought, left_out = finder.in_packages()
    own = list(finder.in_modules(file))
    note = None
    if file.builtin is None and environment is not None and (brought or own or file.jobs):
        note = None if is_site(project, environment) or _changes_builtin(file) else NO_SITE
    known = {one.id: _built(one) for one in BUILT_IN} if note is None and file.builtin is not False else {}
    for job in brought:
        if known.setdefault(job.id, job) is not job:
            left_out.append(_left_out(job, known[job.id]))
    for job in own:
        other = known.get(job.id)
        if other in brought:
            left_out.append(_left_out(other, job))
        elif other is not None:
            twice = f"job {quote(job.id)} is defined twice: also in {other.origin}"
            faults.append(ConfigurationError(twice, where=job.origin))
        known[job.id] = job
    return known, faults, left_out, note


def is_site(project: "ProjectLocation", environment: "Environment") -> bool:
    """Whether the project's folder is, or looks like, an Ever Works site."""
    named = any(environment.set_text(one) for one in ("DATABASE_URL", "DATA_REPOSITORY"))
    return named or any(os.path.lexists(project.folder / one) for one in (".works", ".content/.works"))


def _changes_builtin(file: "ProjectFile") -> bool:
    return any(one.id in file.jobs and not file.jobs[one.id].keys() & {"call", "command"} for one in BUILT_IN)


def _left_out(job: "Job", other: "Job") -> str:
    return f"job {quote(job.id)} of {job.origin} is left out: it is defined twice, also in {other.origin}"


def _built(one: "BuiltIn") -> "Job":
    from dataclasses import replace

    from jobctl.catalogue.job_keys import build_job

    job = build_job(one.id, {"name": one.name, **one.settings}, lambda _: "built-in")
    return replace(job, dry_run=one.dry_run)


def _with_unmet(jobs: "Iterable[Job]", environment: "Environment") -> "Iterator[Job]":
    """Each with what it needs and lacks. A job whose target was changed has only the needs that it names."""
    from dataclasses import replace

    needs = {one.id: (one.settings["call"], one.needs) for one in BUILT_IN if one.needs}
    for job in jobs:
        call, needed = needs.get(job.id, (None, ()))
        missing = unset(job.needs, job.environment, environment)
        if missing is None and call == job.target:
            try:
                missing = unmet(needed, environment)
            except ConfigurationError as error:  # only where settings are looked at despite it
                missing = error.problem
        yield job if missing is None else replace(job, unmet=missing)


def _places(file: "ProjectFile", job_id: str) -> "Callable[[str], str]":
    return lambda key: file.place("jobs", job_id, *([key] if key else []))


def unknown_job(
    job_id: str, known: "Iterable[str]", *, also: str = "", left_out: "Sequence[str]" = ()
) -> UnknownJobError:
    """Says that there is no such job, which was probably meant, and ``also`` where to look.

    Where something is ``left_out``, the job may be part of that.
    """
    among = " among those that can be read" if left_out else ""
    hint = suggestion(job_id, known, "; ".join(left_out) or also)
    return UnknownJobError(f"there is no job {quote(job_id)}{among}", hint=hint or None)


def unmet(needs: "Iterable[str]", environment: "Environment") -> str | None:
    """The first need that is not configured, as a clause that names the variable; None where all are.

    Args:
        needs: names from ``NEEDS``.

    Raises:
        ConfigurationError: it is configured with a value that cannot be used.
    """
    for need in needs:
        reason = NEEDS[need](environment)
        if reason is not None:
            return reason
    return None


def unset(names: "Iterable[str]", own: "Mapping[str, str]", environment: "Environment") -> str | None:
    """The first variable that has no text, as a clause; None where all have.

    Args:
        own: what the job brings itself.
    """
    wanted = list(names)
    if not wanted:
        return None
    known = {**environment.merged(), **own}
    return next((f"{name} is not set" for name in wanted if not known.get(name)), None)


def _database(environment: "Environment") -> str | None:
    from importlib.util import find_spec

    from jobctl.urls import is_postgres_address

    address = environment.database("DATABASE_URL")
    if address is None:
        return "DATABASE_URL is not set"
    if is_postgres_address(address) and find_spec("psycopg") is None:
        return f"psycopg is not installed: {install_hint('postgres')}"
    return None


def _mail(environment: "Environment") -> str | None:
    from jobctl.site.mail.providers import unmet as unmet_mail

    return unmet_mail(environment)


NEEDS: "dict[str, Callable[[Environment], str | None]]" = {"database": _database, "mail": _mail}


def job_names(folder: str) -> list[tuple[str, str]]:
    """Each job's id and name, as far as they can be had at once; what is wrong is passed over.

    Only valid ids are among them: the files may be anybody's, and a shell puts an id on the line.
    """
    from jobctl.catalogue.discovery import IN_MODULES, cache_folder, kept_packages
    from jobctl.catalogue.location import find_project
    from jobctl.errors import JobctlError
    from jobctl.files import with_home

    found = {one.id: one.name for one in BUILT_IN}
    passed_over = (JobctlError, OSError, ValueError, KeyError, TypeError)
    with suppress(*passed_over):
        project = find_project(with_home(folder, "--project"))
        kept = project.folder / ".jobctl"
        with suppress(OSError):
            for one in kept_packages(kept):
                with suppress(*passed_over):
                    found.update(_kept(one))
        if project.file is not None:
            from jobctl.catalogue.project_file import read_project_file

            file = read_project_file(project)
            if file.builtin is False:
                for builtin in BUILT_IN:
                    del found[builtin.id]
            found.update((job_id, str(one.get("name", job_id))) for job_id, one in file.jobs.items())
            if file.modules:
                found.update(_kept(cache_folder(kept) / IN_MODULES))
    return [(job_id, name) for job_id, name in found.items() if is_job_id(job_id)]


def _kept(file: Path) -> list[tuple[str, str]]:
    """What ``discover`` found last time; nothing where a file that it read, as of a removed package, is gone."""
    text = file.read_bytes()  # before anything is imported for it
    import json

    data = json.loads(text)
    if not all(os.path.exists(path) for path, *_ in data["files"]):  # noqa: PTH110
        return []
    return [(one["id"], one["settings"]["name"]) for one in data["jobs"]]
