"""What an export carries: the project's files that jobs need, their requirements, and jobctl's own wheel.

It is found in the jobs' definitions and the imports of their code; no code is run.
"""

import ast
import base64
import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from jobctl import __version__
from jobctl.catalogue.calendars import PACKAGES as CALENDAR_PACKAGES
from jobctl.catalogue.calendars import named_files
from jobctl.catalogue.discovery import packages
from jobctl.catalogue.project_file import ProjectFile, read_project_file
from jobctl.errors import DISTRIBUTION, UsageError, reason_of
from jobctl.export_folder import RECORD, Executable
from jobctl.model import Command, Job
from jobctl.project_location import ProjectLocation
from jobctl.text import quote

PACKAGES = "packages.txt"
"""Debian packages for the worker's image, one per line; comments name their programs."""
MAX_SIZE = 20 * 1024 * 1024
"""Of the project's files together, in bytes."""
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_IN_EVERY_IMAGE = {
    "awk", "bash", "cat", "cp", "date", "env", "false", "find", "git", "grep", "gzip", "head", "ls", "mkdir", "mv",
    "node", "npm", "npx", "printf", "rm", "sed", "sh", "sleep", "sort", "tail", "tar", "test", "touch", "true",
}  # fmt: skip
_SKIPPED_FOLDERS = {"__pycache__", "node_modules"}
_NOT_UPLOADED = {"build", "coverage", "dist", "out", "venv"}
"""Names that Trigger.dev's command does not upload (``deploy/archiveContext.js``)."""


_PACKAGE = Path(__file__).parent
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip archive supports."""
_MODE = 0o100644 << 16
_WHEEL_FILE = "Wheel-Version: 1.0\nGenerator: jobctl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Wheel(NamedTuple):
    """A wheel file."""

    name: str
    data: bytes


class Missing(NamedTuple):
    """Something that the export cannot carry.

    Attributes:
        name: of the package or program.
        text: a sentence that says what to do.
    """

    name: str
    text: str


class Bundle(NamedTuple):
    """What the jobs need.

    Attributes:
        files: of the project, by their path in its folder.
        requirements: lines for pip, sorted.
        packages: that the user must add to ``requirements.txt``.
        programs: that the user must install in the image.
        problems: sentences about files that cannot be bundle.
    """

    files: dict[str, bytes]
    requirements: list[str]
    packages: list[Missing]
    programs: list[Missing]
    problems: list[str]


def collect(project: ProjectLocation, jobs: Iterable[Job], extras: Iterable[str]) -> Bundle:
    """Collect what the jobs need.

    Args:
        extras: of jobctl, which are installed there anyway.

    Raises:
        UsageError: a file of the project cannot be read.
    """
    search = _Collector(project, extras)
    try:
        search.run(jobs)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {reason_of(error)}") from error
    return search.found


class _Collector:
    def __init__(self, project: ProjectLocation, extras: Iterable[str]) -> None:
        self._folder = project.folder
        self._project = project
        self._extras = set(extras)
        self._modules: set[str] = set()
        self._size = 0
        self._sources: list[tuple[Path, str]] = []
        self.found = Bundle({}, [], [], [], [])

    def run(self, jobs: Iterable[Job]) -> None:
        if self._project.file is not None:
            self._add_file(self._project.file)
        self._add_named_in(read_project_file(self._project))
        by_label = {package.label: package.name for package in packages()}
        for job in jobs:
            if isinstance(job.target, str):
                self._add_module(job.target.partition(":")[0], f"the job {job.id}")
            elif isinstance(job.target, Command):
                self._add_program(job, job.target.argv)
            if job.folder is not None:
                self._add_folder(self._folder / job.folder, f"the folder of {job.id}")
            name = next((name for label, name in by_label.items() if job.origin.startswith(label)), None)
            if name is not None:
                self._add_distribution(name, f"the job {job.id}")
        while self._sources:
            self._imported_by(*self._sources.pop())
        self.found.requirements.sort()

    # The project's files

    def _add_file(self, path: Path) -> None:
        inside = _inside(path, self._folder)
        if inside is None or inside in self.found.files or not path.is_file():
            return
        size = path.stat().st_size
        if self._size + size > MAX_SIZE:
            self.found.problems.append(
                f"{inside} is left out: the project's files may have {MAX_SIZE >> 20} MiB together"
            )
            return
        self._size += size
        data = path.read_bytes()
        self.found.files[inside] = Executable(data) if os.access(path, os.X_OK) else data
        if path.suffix == ".py":
            self._sources.append((path, inside))

    def _add_named_in(self, file: ProjectFile) -> None:
        for module in file.modules:
            self._add_module(module, "the project file")
        for path in named_files(file, self._folder):
            self._add_calendar(path)

    def _add_calendar(self, path: Path) -> None:
        if _inside(path, self._folder) is None:
            self.found.problems.append(f"the calendar {quote(str(path))} is not a file of the project")
            return
        self._add_file(path)
        for package in CALENDAR_PACKAGES:
            self._add_distribution(package, f"the calendar {path.name}")

    def _imported_by(self, path: Path, inside: str) -> None:
        for name, optional in _imports(self.found.files[inside]):
            # a script that is run by its path imports modules beside it
            beside = path.with_name(f"{name.partition('.')[0]}.py")
            if beside.is_file():
                self._add_file(beside)
            else:
                self._add_module(name, inside, optional=optional)

    def _add_folder(self, folder: Path, what: str) -> None:
        if not folder.is_dir() or _inside(folder, self._folder) is None:
            self.found.problems.append(f"{what}, {quote(str(folder))}, is not a folder of the project")
            return
        for place, names, files in os.walk(folder):
            if RECORD in files and Path(place) != self._folder:  # another export
                names.clear()
                continue
            names[:] = sorted(
                name for name in names if not name.startswith(".") and name not in _SKIPPED_FOLDERS
            )
            for name in sorted(files):
                if not name.startswith(".") and not name.endswith(".pyc"):
                    self._add_file(Path(place, name))

    # Modules

    def _add_module(self, name: str, by: str, *, optional: bool = False) -> None:
        top = name.partition(".")[0]
        if top in self._modules or top == "jobctl":
            return
        folder, file = self._folder / top, self._folder / f"{top}.py"
        if (folder / "__init__.py").is_file() or (
            folder.is_dir() and not file.is_file() and any(folder.glob("*.py"))
        ):
            self._modules.add(top)
            self._add_folder(folder, f"the package {top}")
        elif file.is_file():
            self._modules.add(top)
            self._add_file(file)
        elif top not in sys.stdlib_module_names:
            self._add_installed(top, by, optional=optional)

    def _add_installed(self, top: str, by: str, *, optional: bool) -> None:
        names = self._by_module.get(top)
        if names:
            self._modules.add(top)
            for name in names:
                self._add_distribution(name, by)
        elif not optional:
            self._modules.add(top)
            place = "comes from a folder of this machine" if _is_here(top) else "is not installed here"
            text = f"{by} imports {quote(top)}, which {place}: add its package to requirements.txt"
            self.found.packages.append(Missing(top, text))

    def _add_distribution(self, name: str, by: str) -> None:
        key = _key(name)
        if key in self._requirements_of_jobctl or any(
            _key(_name_of(line)) == key for line in self.found.requirements
        ):
            return
        about = distribution(name)
        line = _requirement(about)
        if line is not None:
            self.found.requirements.append(line)
        elif not any(missing.name == about.name for missing in self.found.packages):
            text = (
                f"{by} needs {about.name} {about.version}, which was installed from a folder of this machine:"
                " add a requirement for it to requirements.txt, or publish it"
            )
            self.found.packages.append(Missing(about.name, text))

    @cached_property
    def _by_module(self) -> dict[str, list[str]]:
        return {module: sorted(set(names)) for module, names in packages_distributions().items()}

    @cached_property
    def _requirements_of_jobctl(self) -> set[str]:
        """The distributions that are installed with jobctl and the extras."""
        found: set[str] = set()
        pending = [(DISTRIBUTION, self._extras)]
        while pending:
            name, extras = pending.pop()
            if _key(name) in found:
                continue
            found.add(_key(name))
            try:
                lines = distribution(name).requires or []
            except PackageNotFoundError:
                continue
            for line in lines:
                wanted, _, marker = line.partition(";")
                extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
                if extra is None or extra[1] in extras:
                    more = re.search(r"\[([^]]*)\]", wanted)
                    pending.append(
                        (_name_of(wanted), {name.strip() for name in more[1].split(",")} if more else set())
                    )
        return found

    # Programs

    def _add_program(self, job: Job, argv: tuple[str, ...]) -> None:
        program, *arguments = argv
        begin = self._folder / (job.folder or "")
        if _PYTHON.fullmatch(program):
            if arguments[:1] == ["-m"] and len(arguments) > 1:
                self._add_module(arguments[1], f"the job {job.id}")
        elif "/" in program:
            path = begin / program
            if _inside(path, self._folder) is None or not path.is_file():
                self.found.problems.append(
                    f"{job.id} runs {quote(program)}, which is not a file of the project: add it"
                )
            else:
                self._add_file(path)
        elif program not in _IN_EVERY_IMAGE:
            self.found.programs.append(
                Missing(program, f"{job.id} runs {program}, which the image does not have")
            )
        for argument in arguments:
            path = begin / argument
            if not argument.startswith("-") and len(argument) < 256 and path.is_file():
                self._add_file(path)


def still_missing(folder: Path, bundle: Bundle, wheel: Wheel | None, platform: str) -> list[str]:
    """A sentence for everything that runs will lack, given the current files of the export's folder.

    Args:
        platform: on ``vercel`` no programs can be installed.
    """
    named = _key(_text(folder / "requirements.txt"))
    lines = [line for line in _text(folder / PACKAGES).splitlines() if not line.startswith("#")]
    installed = set(re.split(r"[\s#,]+", " ".join(lines)))
    found = [package.text for package in bundle.packages if _key(package.name) not in named]
    for name, text in bundle.programs:
        if platform == "vercel":
            found.append(f"{text}, and nothing can be installed there")
        elif name not in installed:
            found.append(f"{text}: add its Debian package to {PACKAGES}, such as: some-package  # {name}")
    found += bundle.problems
    if platform == "trigger-dev":
        dropped = [
            name for name in bundle.files if _NOT_UPLOADED & {*Path(name).parts} or name.endswith(".log")
        ]
        found += [f"Trigger.dev does not upload {name} because of its name: rename it" for name in dropped]
    expected = wheel.name if wheel else DISTRIBUTION
    if named and _key(expected) not in named:
        found.append(f"requirements.txt was edited and does not name {expected}")
    return found


def ignored(folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence where Git ignores files of the export: builds from a repository then lack them."""
    import pygit2

    place = folder.absolute()
    try:
        found = pygit2.discover_repository(
            str(next(path for path in (place, *place.parents) if path.is_dir()))
        )
        if found is None:
            return []
        repository = pygit2.Repository(found)
        base = Path(os.path.realpath(place)).relative_to(os.path.realpath(repository.workdir or found))
        hit = [name for name in names if repository.path_is_ignored((base / name).as_posix())]
    except (pygit2.GitError, ValueError, OSError):  # no repository, or one that cannot be read
        return []
    more = f" and {len(hit) - 1} more files" if len(hit) > 1 else ""
    return (
        [f"Git ignores {hit[0]}{more}, so a build from the repository lacks that: change .gitignore"]
        if hit
        else []
    )


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _inside(path: Path, folder: Path) -> str | None:
    """The path relative to the folder; None where it is outside."""
    whole, base = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not whole.is_relative_to(base):
        return None
    plain = Path(os.path.normpath(path))
    return plain.relative_to(folder).as_posix() if plain.is_relative_to(folder) else None


def _imports(source: bytes) -> Iterator[tuple[str, bool]]:
    """The modules that a source imports, and whether each is optional: inside ``try``, or only for type checkers."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    optional = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.Try)
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.dump(outer.test))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in optional) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, id(node) in optional


def _requirement(about: Distribution) -> str | None:
    """The line for pip; None where it was installed from a folder of this machine."""
    text = about.read_text("direct_url.json")
    if text is None:
        return f"{about.name}=={about.version}"
    origin = json.loads(text)
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"{about.name} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    return f"{about.name} @ {origin['url']}" if origin["url"].startswith("https://") else None


def _name_of(requirement: str) -> str:
    found = re.match(r"\s*([A-Za-z0-9._-]+)", requirement)
    return found[1] if found else ""


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement(extras: str, wheel: Wheel | None) -> str:
    """The line for jobctl in ``requirements.txt``: the wheel beside that file, or the released version."""
    return f"./{wheel.name}[{extras}]" if wheel else f"{DISTRIBUTION}[{extras}]=={__version__}"


def pack() -> Wheel:
    """The running jobctl as a wheel: an export needs no package index for it.

    The same files give the same bytes on every machine: names are sorted, timestamps fixed, and nothing is compressed,
    since zlib's output differs between versions.

    Raises:
        UsageError: jobctl is not installed, so its requirements are not known.
    """
    try:
        about = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise UsageError(
            f"the distribution {DISTRIBUTION} is not installed, so its wheel cannot be packed",
            hint="pip install . in its folder; or --from-index, where the target can reach a package index",
        ) from None
    stem = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"
    files = {
        f"jobctl/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in _package_files()
    }
    info = f"{stem}.dist-info"
    files |= _licenses(about, info)
    files[f"{info}/METADATA"] = _metadata(about).encode()
    files[f"{info}/WHEEL"] = _WHEEL_FILE.encode()
    files[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_hash(files[name])},{len(files[name])}\n" for name in sorted(files)]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(
            files, key=lambda name: (name.startswith(info), name)
        ):  # pip reads the metadata last
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.create_system, entry.external_attr = 3, _MODE
            archive.writestr(entry, files[name])
    return Wheel(f"{stem}-py3-none-any.whl", made.getvalue())


def _package_files() -> list[Path]:
    return [
        path
        for path in _PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]


def _licenses(about: Distribution, info: str) -> dict[str, bytes]:
    inside = [file for file in about.files or () if "licenses" in file.parts]
    return {f"{info}/licenses/{file.name}": Path(str(file.locate())).read_bytes() for file in inside}


def _metadata(about: Distribution) -> str:
    """What installers need. The version is that of the code: an editable install has an older one."""
    known = about.metadata
    lines = [("Metadata-Version", "2.1"), ("Name", DISTRIBUTION), ("Version", __version__)]
    for field in ("Summary", "Requires-Python", "Requires-Dist", "Provides-Extra"):
        lines += [(field, value) for value in sorted(known.get_all(field) or [])]
    return "".join(f"{field}: {value}\n" for field, value in lines)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
