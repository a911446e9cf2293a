"""Finds jobs by importing the project's modules and those of installed packages, in a child process."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from jobctl.errors import ConfigurationError, UsageError, reason_of
from jobctl.files import PRIVATE_FILE, owner_to_drop_to, private_folder, write_whole
from jobctl.project_location import ProjectLocation, state_folder
from jobctl.text import printable, quote

if TYPE_CHECKING:  # completion loads this module: whatever only an import of jobs needs is loaded later
    import subprocess

    from jobctl.arguments import Schema
    from jobctl.catalogue.calendars import Calendars
    from jobctl.catalogue.project_file import ProjectFile
    from jobctl.model import Job
    from jobctl.settings.environment import Environment
    from jobctl.settings.masking import Mask

IMPORT_TIMEOUT_S = 60
ENTRY_POINT_GROUP = "jobctl.jobs"
IN_MODULES = "discovered.json"
"""Cache file of the jobs in the project's own modules."""
_CACHE_FORMAT = 4
_OF_PACKAGE = r"(?a)package-[a-z0-9_]+\.json"
_JOB_SHAPE = {"id": str, "settings": dict, "origin": str, "dry_run": bool}
_KEPT_OUTPUT = 65536


# Cache files: in a folder of their own, since the state folder may be any folder of the user's


def cache_folder(state: Path) -> Path:
    """The folder of the cache files."""
    return state / "found"


def package_caches(state: Path) -> list[Path]:
    """The cache files of packages, also of uninstalled ones.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(file for file in cache_folder(state).iterdir() if re.fullmatch(_OF_PACKAGE, file.name))


def cached_settings(cache: Path) -> list[tuple[str, dict[str, Any]]]:
    """The id and settings of each job in a cache file; empty if a file that defined them, as of a removed package, is gone.

    Raises:
        OSError, ValueError, KeyError, TypeError: it cannot be read.
    """
    text = cache.read_bytes()  # before json is imported for it
    import json

    data = json.loads(text)
    if not all(os.path.exists(path) for path, *_ in data["files"]):  # noqa: PTH110
        return []
    return [(job["id"], dict(job["settings"])) for job in data["jobs"]]


def _read_cache(file: Path, key: list[Any]) -> list[dict[str, Any]] | None:
    """The jobs in a cache file; None if it is damaged or out of date."""
    import json

    try:
        data = json.loads(file.read_bytes())
        if data["key"] != key:
            return None
        for path, changed, size in data["files"]:
            state = os.stat(path)  # noqa: PTH116 - a project may have thousands
            if (state.st_mtime_ns, state.st_size) != (changed, size):
                return None
        jobs: Any = data["jobs"]
        valid = isinstance(jobs, list) and all(
            {key: type(job[key]) for key in _JOB_SHAPE} == _JOB_SHAPE for job in jobs
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return jobs if valid else None


def _write_cache(file: Path, data: Mapping[str, Any], mask: "Mask") -> None:
    """Write a cache file if the state folder exists, unless it would contain secrets or a job's environment."""
    import json

    text = json.dumps(data)
    if any(job["settings"].get("environment") for job in data["jobs"]) or mask(text) != text:
        return
    with suppress(OSError):
        if file.parent.parent.is_dir():
            private_folder(file.parent)
        write_whole(file, text.encode(), mode=PRIVATE_FILE)


# Installed packages


class Package(NamedTuple):
    """An installed distribution with entry points in the group ``jobctl.jobs``.

    Attributes:
        key: its name as in the name of its folder, for file names.
        modules: the modules that its entry points name.
        problem: why they cannot be read, as a clause; its jobs are then left out.
    """

    key: str
    name: str
    version: str
    modules: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def label(self) -> str:
        """``acme-jobs 1.2``."""
        return f"{self.name} {self.version}".rstrip()


def packages(folders: Iterable[str] | None = None) -> list[Package]:
    """The packages with jobs in these folders, by default those of ``sys.path``; in order of name.

    The first of several with one name counts, as for ``importlib.metadata`` and ``import``. That module takes four
    times as long to import as Python to start, so it reads only distributions that contain the group at all.
    """
    places = [folder for folder in (sys.path if folders is None else folders) if folder]
    found = [_read_package(key, folder) for key, folder in _distributions_with_jobs(places)]
    with_jobs = (package for package in found if package.modules or package.problem)
    return sorted(with_jobs, key=lambda package: package.key)


def _read_package(key: str, folder: str) -> Package:
    """Read a ``.dist-info``. Others made it: errors in it are reported, never raised."""
    from importlib.metadata import Distribution

    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")  # noqa: PTH119
    try:
        distribution: Any = Distribution.at(folder)
        metadata = distribution.metadata
        name, version = metadata.get("Name", name), metadata.get("Version", version)
        entries = distribution.entry_points.select(group=ENTRY_POINT_GROUP)
    except Exception:
        return Package(key, name, version, problem="its metadata cannot be read")
    modules = []
    for entry in entries:
        try:
            modules.append(entry.module)
        except Exception:
            problem = f"its entry point {quote(entry.value)} names no module"
            return Package(key, name, version, problem=problem)
    return Package(key, name, version, tuple(dict.fromkeys(modules)))


def _distributions_with_jobs(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The key and the metadata folder of each distribution whose entry points contain the group."""
    seen = set()
    for place in places:
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if not entry.name.endswith((".dist-info", ".egg-info")):
                    continue
                key = entry.name.rpartition(".")[0].partition("-")[0].lower().replace(".", "_")
                if key not in seen:
                    seen.add(key)
                    if _contains_group(entry.path):
                        yield key, entry.path


def _contains_group(folder: str) -> bool:
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - hundreds, at each start
            return f"[{ENTRY_POINT_GROUP}]".encode() in file.read().replace(b" ", b"")
    except OSError:
        return False


# Finding jobs


class JobFinder:
    """Finds the jobs of a project that are defined by ``@job``.

    Args:
        environment: for the child processes; None is the environment of this process.
        calendars: whose dates the jobs may exclude.
    """

    def __init__(
        self, location: ProjectLocation, environment: "Environment | None", calendars: "Calendars"
    ) -> None:
        self._location = location
        self._environment = environment
        self._calendars = calendars

    def in_modules(self, file: "ProjectFile") -> "Iterator[Job]":
        """The jobs in the project's modules.

        Raises:
            ConfigurationError: a module cannot be imported.
        """
        return self._jobs(file.modules, file.place("modules"), IN_MODULES)

    def _build(self, definition: Mapping[str, Any]) -> "Job":
        from dataclasses import replace

        from jobctl.catalogue.job_keys import build_job

        job = build_job(
            definition["id"],
            definition["settings"],
            lambda _: str(definition["origin"]),
            calendars=self._calendars,
        )
        return replace(job, dry_run=definition["dry_run"])

    def in_packages(self) -> "tuple[list[Job], list[str]]":
        """The jobs in installed packages, and a warning for each broken package.

        Each package is imported in a process of its own, so that none affects the others or the project.
        """
        from dataclasses import replace

        jobs: list[Job] = []
        warnings: list[str] = []
        for package in packages():
            label, problem = package.label, package.problem
            try:
                if problem is None:
                    place = f"the entry points {ENTRY_POINT_GROUP} of {label}"
                    found = self._jobs(package.modules, place, f"package-{package.key}.json", label)
                    jobs += [
                        replace(job, origin=label, origins=dict.fromkeys(job.origins, label)) for job in found
                    ]
            except ConfigurationError as error:
                problem = error.problem
            if problem:
                warnings.append(f"{label} is broken, so its jobs are left out: {problem}")
        return jobs, warnings

    def _jobs(
        self, modules: Sequence[str], place: str, cache_name: str, version: str = ""
    ) -> "Iterator[Job]":
        if not modules:
            return
        for definition in self._definitions(modules, place, cache_name, version):
            yield self._build(definition)

    def _definitions(
        self, modules: Sequence[str], place: str, cache_name: str, version: str
    ) -> list[dict[str, Any]]:
        """Each job as ``{"id", "settings", "origin", "dry_run"}``, in the order of the modules.

        They are cached beside the run store until one of their files, or ``version``, changes.

        Args:
            place: where the modules are listed, for messages.

        Raises:
            ConfigurationError: a module cannot be imported within 60 seconds.
        """
        from jobctl.settings.masking import Mask, secret_texts

        variables = self._environment.merged() if self._environment else dict(os.environ)
        mask = self._environment.mask if self._environment else Mask(secret_texts(variables))
        folder = self._location.folder
        key = [_CACHE_FORMAT, sys.version, str(folder), list(modules), version]
        cache = cache_folder(state_folder(self._location, self._environment)) / cache_name
        jobs = _read_cache(cache, key)
        if jobs is None:
            answer = _ask_child(folder, modules, place, variables, mask)
            if "error" in answer:
                fault = answer["error"]
                raise ConfigurationError(
                    f"module {fault['module']} cannot be imported: {_shown(fault['error'], mask)[:500]}",
                    where=fault["where"],
                    hint=f"it is listed in {place}",
                )
            jobs = cast("list[dict[str, Any]]", answer["jobs"])
            if owner_to_drop_to(folder) is None:  # as root, an owner's links could lead elsewhere
                _write_cache(cache, {"key": key, **answer}, mask)
        return jobs


class Functions:
    """What the functions of jobs take. Those that are named by their import path are imported in child processes, once.

    Args:
        folder: of the project.
        variables: the environment of the child processes; a job's own is added to it.
        mask: removes secrets from messages.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], mask: "Mask") -> None:
        self._folder = folder
        self._variables = variables
        self._mask = mask
        self._known: dict[tuple[str, frozenset[tuple[str, str]]], dict[str, Any]] = {}

    def problem(self, job: "Job") -> str | None:
        """Why a run of the job on its schedule would fail: its function cannot be called, or not with its arguments.

        Raises:
            ConfigurationError: the module ends the importing process, or takes more than 60 seconds.
        """
        from jobctl.arguments import check

        found = self._find([job])[0]
        if "fault" in found:
            return f"{job.target}: {_shown(found['fault']['error'], self._mask)[:500]}"
        try:
            check(job.id, found["schema"], [], job.arguments, is_partial=job.schedule_text is None)
        except UsageError as error:
            return error.problem
        return None

    def check(
        self, job: "Job", values: Mapping[str, Any], texts: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """The arguments for a run of the job, as JSON values, with those of its definition that are not replaced.

        Secrets among them, by their names, are masked from now on.

        Args:
            values: JSON values.
            texts: names and values as typed; they replace ``values``.

        Raises:
            UsageError: a name is unknown or missing, or a value is not what the function takes.
            ConfigurationError: the function cannot be imported.
        """
        from jobctl.arguments import check
        from jobctl.settings.masking import secret_texts

        self._mask.add(secret_texts({**values, **dict(texts)}))
        found = self._find([job])[0]
        if "fault" in found:
            raise self._cannot_be_called(job, found["fault"])
        return check(job.id, found["schema"], texts, {**job.arguments, **values})

    def takes(self, job: "Job", name: str) -> bool:
        """Whether the function of the job has a parameter of this name.

        Raises:
            ConfigurationError: the module ends the importing process, or takes more than 60 seconds.
        """
        found = self._find([job])[0]
        return name in found.get("schema", {}).get("properties", {})

    def schema(self, job: "Job") -> "Schema":
        """The JSON Schema of the arguments that a job takes.

        Raises:
            ConfigurationError: its function cannot be imported.
        """
        found = self._find([job])[0]
        if "fault" in found:
            raise self._cannot_be_called(job, found["fault"])
        schema: Schema = found["schema"]
        return schema

    def _cannot_be_called(self, job: "Job", fault: Mapping[str, Any]) -> ConfigurationError:
        return ConfigurationError(
            f"{job.target} cannot be called: {_shown(fault['error'], self._mask)[:500]}", where=fault["where"]
        )

    def forget(self) -> None:
        """Import functions anew, since their modules may have changed."""
        self._known.clear()

    def prepare(self, jobs: "Iterable[Job]") -> None:
        """Import the functions of several jobs together, which takes less time than one by one."""
        self._find(list(jobs))

    def _find(self, jobs: "Sequence[Job]") -> list[dict[str, Any]]:
        """For each job the ``schema`` of its arguments, or the ``fault`` of its function."""
        from jobctl.arguments import OF_PROGRAM
        from jobctl.model import Command

        unknown: dict[frozenset[tuple[str, str]], dict[str, None]] = {}
        for job in jobs:
            target, own = job.target, frozenset(job.environment.items())
            if isinstance(target, str) and (target, own) not in self._known:
                unknown.setdefault(own, {})[target] = None
        for own, targets in unknown.items():
            variables = {**self._variables, **dict(own)}
            answer = _ask_child(self._folder, list(targets), "the jobs", variables, self._mask)
            for target, found in zip(targets, answer["functions"], strict=True):
                self._known[target, own] = found
        answers: list[dict[str, Any]] = []
        for job in jobs:
            if isinstance(job.target, str):
                answers.append(self._known[job.target, frozenset(job.environment.items())])
            elif isinstance(job.target, Command):
                answers.append({"schema": OF_PROGRAM})
            else:
                from jobctl.signature import schema_of

                answers.append({"schema": schema_of(job.target)})
        return answers


def _ask_child(
    folder: Path, names: Sequence[str], place: str, variables: Mapping[str, str], mask: "Mask"
) -> dict[str, Any]:
    """The answer of ``discovery_child`` about modules or functions."""
    import json
    import signal

    shown = quote(", ".join(names), 100)[1:-1]
    try:
        child = _start_child(folder, names, variables)
    except (OSError, ValueError) as error:  # ValueError: a zero character in a variable
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise ConfigurationError(f"importing {shown} cannot be started: {reason}", where=place) from error
    with child:
        try:
            line, output = _read_answer(child)
        except TimeoutError:
            raise ConfigurationError(
                f"importing {shown} took longer than {IMPORT_TIMEOUT_S} s", where=place
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with all processes that the modules started
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        last = _shown(output.decode("utf-8", "replace").strip(), mask, last_line=True)[:300]
        raise ConfigurationError(
            f"importing {shown} ended with code {child.returncode}: {last}", where=place
        ) from None
    return answer


def _shown(text: str, mask: "Mask", *, last_line: bool = False) -> str:
    """An error message or the last line of an output, without secrets."""
    shown = mask(text)
    return printable(" ".join((shown.rpartition("\n")[2] if last_line else shown).split()))


def _start_child(
    folder: Path, names: Sequence[str], variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    import subprocess

    rights: dict[str, Any] = {}
    if (owner := owner_to_drop_to(folder)) is not None:
        from jobctl.files import groups_of, home_of

        rights = {"user": owner.st_uid, "group": owner.st_gid}
        rights["extra_groups"] = groups_of(owner.st_uid, owner.st_gid)
        variables = {**variables, "HOME": str(home_of(owner.st_uid) or folder)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "jobctl.catalogue.discovery_child", *names],
        cwd=folder,
        env=dict(variables),
        **rights,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _read_answer(child: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """The child's answer, a line, and the end of what the modules printed.

    Does not wait for processes that the modules started, even if they hold the child's standard error open.

    Raises:
        TimeoutError: no answer in time.
    """
    import selectors
    import subprocess

    from jobctl.clock import SystemClock

    clock = SystemClock()
    deadline = clock.monotonic() + IMPORT_TIMEOUT_S
    stdout, stderr = cast("IO[bytes]", child.stdout), cast("IO[bytes]", child.stderr)
    answer, output = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ, answer)
        selector.register(stderr, selectors.EVENT_READ, output)
        while stdout in selector.get_map() and not answer.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline - clock.monotonic()))
            if not ready or clock.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            del output[:-_KEPT_OUTPUT]
    if not answer.endswith(b"\n"):
        with suppress(subprocess.TimeoutExpired):
            child.wait(1)  # it is exiting by itself: report its own exit code
    return bytes(answer), bytes(output)
