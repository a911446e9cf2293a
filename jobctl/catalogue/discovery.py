"""Finds jobs by importing: the ``@job`` functions of the project's modules and of installed packages, in a child process."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from jobctl.catalogue.location import ProjectLocation, state_folder
from jobctl.errors import ConfigurationError, reason_of
from jobctl.files import PRIVATE_FILE, private_folder, write_whole
from jobctl.text import printable, quote
from jobctl.trust import owner_to_drop_to

if (
    TYPE_CHECKING
):  # this module is loaded by completion, too: what only an import of jobs needs is loaded there
    import subprocess

    from jobctl.catalogue.project_file import ProjectFile
    from jobctl.model import Job
    from jobctl.settings.environment import Environment
    from jobctl.settings.masking import Mask

FOLDER = "found"
IN_MODULES = "discovered.json"
_OF_PACKAGE = re.compile(r"package-[a-z0-9_]+\.json", re.ASCII)


def cache_folder(state: Path) -> Path:
    """Where they are."""
    return state / FOLDER


def in_package(key: str) -> str:
    """The file of one package: what becomes of another one's does not touch it."""
    return f"package-{key}.json"


def kept_packages(state: Path) -> list[Path]:
    """The files of packages, also of such as are no longer installed.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(one for one in cache_folder(state).iterdir() if _OF_PACKAGE.fullmatch(one.name))


GROUP = "jobctl.jobs"
_MARK = f"[{GROUP}]".encode()


class Package(NamedTuple):
    """A distribution that has the group.

    Attributes:
        key: its name as its folder has it, for file names.
        modules: those that it names.
        problem: why they cannot be told, as a clause; its jobs are then left out.
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
    """Every one in the folders, by default those that Python imports from; in order of name.

    Of several with one name the first counts, as for ``importlib.metadata`` and for ``import``.
    The standard library's reader takes four times as long to import as Python to start: it is asked only
    about those that have the group at all.
    """
    places = [one for one in (sys.path if folders is None else folders) if one]
    found = [_read(key, folder) for key, folder in _with_group(places)]
    return sorted((one for one in found if one.modules or one.problem), key=lambda one: one.key)


def _read(key: str, folder: str) -> Package:
    """What a ``.dist-info`` says. It was made by others: whatever is wrong with it is told, not raised."""
    from importlib.metadata import Distribution

    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")  # noqa: PTH119
    try:
        about: Any = Distribution.at(folder)
        known = about.metadata
        name, version = known.get("Name", name), known.get("Version", version)
        entries = about.entry_points.select(group=GROUP)
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


def _with_group(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for place in places:
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if not entry.name.endswith((".dist-info", ".egg-info")):
                    continue
                key = entry.name.rpartition(".")[0].partition("-")[0].lower().replace(".", "_")
                if key not in seen:
                    seen.add(key)
                    if _names_it(entry.path):
                        yield key, entry.path


def _names_it(folder: str) -> bool:
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - hundreds, at each start
            return _MARK in file.read().replace(b" ", b"")
    except OSError:
        return False


TIMEOUT_S = 60
_FORMAT = 4
_SHAPE = {"id": str, "settings": dict, "origin": str, "dry_run": bool}
_KEPT_PRINTS = 65536


class Source(NamedTuple):
    """Modules to look into.

    Attributes:
        modules: their names.
        place: where they are listed, for messages.
        cache: the name of the file, beside the run store, that keeps what was found.
        versions: what else decides whether that still counts.
    """

    modules: Sequence[str]
    place: str
    cache: str
    versions: Sequence[str] = ()


def discover(
    folder: Path, source: Source, environment: Mapping[str, str], state: Path, mask: "Mask"
) -> list[dict[str, Any]]:
    """Each decorated job as ``{"id", "settings", "origin", "dry_run"}``, in the order of the modules.

    What was found is kept beside the run store until a file of theirs, or of the project, changes; not where a
    job has an environment, which may hold secrets, or anything else of them does.

    Raises:
        ConfigurationError: a module cannot be imported, or not in 60 seconds.
    """
    key = [_FORMAT, sys.version, str(folder), list(source.modules), list(source.versions)]
    cache = cache_folder(state) / source.cache
    kept = _kept(cache, key)
    if kept is None:
        answer = _ask(folder, source, environment, mask)
        if "error" in answer:
            fault = answer["error"]
            raise ConfigurationError(
                f"module {fault['module']} cannot be imported: {_shown(fault['error'], mask)[:500]}",
                where=fault["where"],
                hint=f"it is listed in {source.place}",
            )
        kept = answer["jobs"]
        if owner_to_drop_to(folder) is None:  # root writes nothing where an owner may put links
            _keep(cache, {"key": key, **answer}, mask)
    return kept


def missing(
    folder: Path, targets: Sequence[str], environment: Mapping[str, str], mask: "Mask"
) -> dict[str, str]:
    """Each ``module:function`` that cannot be called, with the reason; they are imported by a child process.

    Raises:
        ConfigurationError: the modules end that process, or take more than 60 seconds.
    """
    if not targets:
        return {}
    faults = _ask(folder, Source(targets, "the jobs", ""), environment, mask)["faults"]
    return {
        target: _shown(fault["error"], mask)[:500]
        for target, fault in zip(targets, faults, strict=True)
        if fault
    }


def _ask(folder: Path, source: Source, environment: Mapping[str, str], mask: "Mask") -> dict[str, Any]:
    import json
    import signal

    names = quote(", ".join(source.modules), 100)[1:-1]
    try:
        child = _start(folder, source.modules, environment)
    except (OSError, ValueError) as error:  # ValueError: a zero character in a variable
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"importing {names} cannot be started: {reason}", where=source.place
        ) from error
    with child:
        try:
            said, printed = _listen(child)
        except TimeoutError:
            raise ConfigurationError(
                f"importing {names} took longer than {TIMEOUT_S} s", where=source.place
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with whatever the modules started
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        last = _shown(printed.decode("utf-8", "replace").strip(), mask, last=True)[:300]
        raise ConfigurationError(
            f"importing {names} ended with code {child.returncode}: {last}", where=source.place
        ) from None
    return answer


def _shown(text: str, mask: "Mask", *, last: bool = False) -> str:
    """What a module said, or the last line of it, without the secrets that it may have read."""
    shown = mask(text)
    return printable(" ".join((shown.rpartition("\n")[2] if last else shown).split()))


def _start(folder: Path, modules: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    import subprocess

    rights: dict[str, Any] = {}
    if (owner := owner_to_drop_to(folder)) is not None:
        from jobctl.trust import groups_of, home_of

        rights = {"user": owner.st_uid, "group": owner.st_gid}
        rights["extra_groups"] = groups_of(owner.st_uid, owner.st_gid)
        environment = {**environment, "HOME": str(home_of(owner.st_uid) or folder)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "jobctl.catalogue.discovery_child", *modules],
        cwd=folder,
        env=dict(environment),
        **rights,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _listen(child: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """The child's answer, one line, and the end of what the modules printed.

    Waits for no process that the modules started, though it holds their standard error.

    Raises:
        TimeoutError: no answer in time.
    """
    import selectors
    import subprocess

    from jobctl.clock import SystemClock

    clock = SystemClock()
    deadline = clock.monotonic() + TIMEOUT_S
    answers, prints = cast("IO[bytes]", child.stdout), cast("IO[bytes]", child.stderr)
    said, printed = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ, said)
        selector.register(prints, selectors.EVENT_READ, printed)
        while answers in selector.get_map() and not said.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline - clock.monotonic()))
            if not ready or clock.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            del printed[:-_KEPT_PRINTS]
    if not said.endswith(b"\n"):
        with suppress(subprocess.TimeoutExpired):
            child.wait(1)  # it ended by itself: its own code is the one to tell
    return bytes(said), bytes(printed)


def _kept(file: Path, key: list[Any]) -> list[dict[str, Any]] | None:
    import json

    try:
        data = json.loads(file.read_bytes())
        if data["key"] != key:
            return None
        for path, changed, size in data["files"]:
            state = os.stat(path)  # noqa: PTH116 - a listing may name thousands
            if (state.st_mtime_ns, state.st_size) != (changed, size):
                return None
        jobs: Any = data["jobs"]
        sound = isinstance(jobs, list) and all(
            {key: type(one[key]) for key in _SHAPE} == _SHAPE for one in jobs
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return jobs if sound else None


def _keep(file: Path, data: Mapping[str, Any], mask: "Mask") -> None:
    """Only where the state folder is there already: looking makes none."""
    import json

    text = json.dumps(data)
    if any(one["settings"].get("environment") for one in data["jobs"]) or mask(text) != text:
        return
    with suppress(OSError):
        if file.parent.parent.is_dir():
            private_folder(file.parent)
        write_whole(file, text.encode(), mode=PRIVATE_FILE)


class Finder:
    """Imports for a project, in child processes.

    Args:
        environment: for the children; the process's own where it is None.
    """

    def __init__(self, project: ProjectLocation, environment: "Environment | None") -> None:
        self._project = project
        self._environment = environment

    def in_modules(self, file: "ProjectFile") -> "Iterator[Job]":
        """Those of the project's modules.

        Raises:
            ConfigurationError: a module cannot be imported.
        """
        return self._jobs(file.modules, file.place("modules"), IN_MODULES)

    def in_packages(self) -> "tuple[list[Job], list[str]]":
        """Those of the installed packages, and a sentence for each package that is broken.

        Each is imported by itself, for none may stop the others, or the project.
        """
        jobs: list[Job] = []
        broken: list[str] = []
        for package in packages():
            try:
                jobs += self._brought(package)
            except ConfigurationError as error:
                broken.append(f"{package.label} is broken, so its jobs are left out: {error.problem}")
        return jobs, broken

    def _brought(self, package: Package) -> "list[Job]":
        from dataclasses import replace

        if package.problem:
            raise ConfigurationError(package.problem)
        place = f"the entry points {GROUP} of {package.label}"
        found = self._jobs(package.modules, place, in_package(package.key), package.label)
        return [replace(job, origin=package.label) for job in found]

    def _jobs(self, modules: Sequence[str], place: str, cache: str, *versions: str) -> "Iterator[Job]":
        if not modules:
            return
        from jobctl.settings.masking import Mask, secret_texts

        around = self._environment
        values = around.merged() if around else dict(os.environ)
        mask = around.mask if around else Mask(secret_texts(values))
        source = Source(modules, place, cache, versions)
        for one in discover(self._project.folder, source, values, self._state, mask):
            yield _built(one)

    @cached_property
    def _state(self) -> Path:
        return state_folder(self._project, self._environment)


def _built(found: Mapping[str, Any]) -> "Job":
    from dataclasses import replace

    from jobctl.catalogue.job_keys import build_job

    job = build_job(found["id"], found["settings"], lambda _: str(found["origin"]))
    return replace(job, dry_run=found["dry_run"])
