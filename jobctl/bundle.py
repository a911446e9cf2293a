"""What an export carries: the project's files, its requirements, and jobctl's own wheel."""

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
from jobctl.catalogue.discovery import packages
from jobctl.catalogue.location import ProjectLocation
from jobctl.catalogue.project_file import read_project_file
from jobctl.errors import DISTRIBUTION, UsageError, reason_of
from jobctl.export_folder import RECORD, Program
from jobctl.model import Command, Job
from jobctl.text import quote

PACKAGES = "packages.txt"
"""Debian packages that the worker's image gets, one a line; its comments name the programs that they bring."""
LARGEST = 20 * 1024 * 1024
"""Bytes of the project's files, together."""
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_IN_EVERY_IMAGE = {
    "awk", "bash", "cat", "cp", "date", "env", "false", "find", "git", "grep", "gzip", "head", "ls", "mkdir", "mv",
    "node", "npm", "npx", "printf", "rm", "sed", "sh", "sleep", "sort", "tail", "tar", "test", "touch", "true",
}  # fmt: skip
_SKIPPED = {"__pycache__", "node_modules"}
_NOT_UPLOADED = {"build", "coverage", "dist", "out", "venv"}
"""Names that the command of Trigger.dev leaves out of what it uploads (``deploy/archiveContext.js``)."""


_PACKAGE = Path(__file__).parent
_FIXED = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""
_MODE = 0o100644 << 16
_ABOUT = "Wheel-Version: 1.0\nGenerator: jobctl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Wheel(NamedTuple):
    """A wheel file."""

    name: str
    data: bytes


class Missing(NamedTuple):
    """Something that the export cannot carry.

    Attributes:
        name: the package or program; empty where naming it in a file of the export does not help.
        text: a sentence with what to do.
    """

    name: str
    text: str


class Carried(NamedTuple):
    """What goes along.

    Attributes:
        files: by their path in the project's folder.
        requirements: lines for pip, sorted.
        packages: what is to be named in ``requirements.txt`` by hand.
        programs: what is to be installed in the image by hand.
        others: what cannot be had there at all.
    """

    files: dict[str, bytes]
    requirements: list[str]
    packages: list[Missing]
    programs: list[Missing]
    others: list[Missing]


def carry(project: ProjectLocation, jobs: Iterable[Job], extras: Iterable[str]) -> Carried:
    """What these jobs need.

    Args:
        extras: those of jobctl that are installed there, whose packages need not be named.

    Raises:
        UsageError: a file of the project cannot be read.
    """
    search = _Search(project, extras)
    try:
        search.run(jobs)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {reason_of(error)}") from error
    return search.found


class _Search:
    def __init__(self, project: ProjectLocation, extras: Iterable[str]) -> None:
        self._folder = project.folder
        self._project = project
        self._extras = set(extras)
        self._known_modules: set[str] = set()
        self._size = 0
        self._sources: list[tuple[Path, str]] = []
        self.found = Carried({}, [], [], [], [])

    def run(self, jobs: Iterable[Job]) -> None:
        if self._project.file is not None:
            self._take(self._project.file)
        for module in read_project_file(self._project).modules:
            self._module(module, "the project file")
        brought = {one.label: one.name for one in packages()}
        for job in jobs:
            if isinstance(job.target, str):
                self._module(job.target.partition(":")[0], f"the job {job.id}")
            elif isinstance(job.target, Command):
                self._command(job, job.target.argv)
            if job.folder is not None:
                self._tree(self._folder / job.folder, f"the folder of {job.id}")
            name = next((name for label, name in brought.items() if job.origin.startswith(label)), None)
            if name is not None:
                self._distribution(name, f"the job {job.id}")
        while self._sources:
            self._imported_by(*self._sources.pop())
        self.found.requirements.sort()

    # The project's files

    def _take(self, path: Path) -> None:
        inside = _inside(path, self._folder)
        if inside is None or inside in self.found.files or not path.is_file():
            return
        size = path.stat().st_size
        if self._size + size > LARGEST:
            self._missing_file(
                f"{inside} stays out: the project's files may have {LARGEST >> 20} MiB together"
            )
            return
        self._size += size
        data = path.read_bytes()
        self.found.files[inside] = Program(data) if os.access(path, os.X_OK) else data
        if path.suffix == ".py":
            self._sources.append((path, inside))

    def _imported_by(self, path: Path, inside: str) -> None:
        for name, optional in _imports(self.found.files[inside]):
            beside = path.with_name(f"{name.partition('.')[0]}.py")  # of a script that is run by its path
            if beside.is_file():
                self._take(beside)
            else:
                self._module(name, inside, optional=optional)

    def _tree(self, folder: Path, what: str) -> None:
        if not folder.is_dir() or _inside(folder, self._folder) is None:
            self._missing_file(f"{what}, {quote(str(folder))}, is not a folder of the project")
            return
        for place, names, files in os.walk(folder):
            if RECORD in files and Path(place) != self._folder:  # another export
                names.clear()
                continue
            names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
            for name in sorted(files):
                if not name.startswith(".") and not name.endswith(".pyc"):
                    self._take(Path(place, name))

    def _missing_file(self, text: str) -> None:
        self.found.others.append(Missing("", text))

    # Modules

    def _module(self, name: str, by: str, *, optional: bool = False) -> None:
        top = name.partition(".")[0]
        if top in self._known_modules or top == "jobctl":
            return
        folder, file = self._folder / top, self._folder / f"{top}.py"
        if (folder / "__init__.py").is_file() or (
            folder.is_dir() and not file.is_file() and any(folder.glob("*.py"))
        ):
            self._known_modules.add(top)
            self._tree(folder, f"the package {top}")
        elif file.is_file():
            self._known_modules.add(top)
            self._take(file)
        elif top not in sys.stdlib_module_names:
            self._outside(top, by, optional=optional)

    def _outside(self, top: str, by: str, *, optional: bool) -> None:
        names = self._by_module.get(top)
        if names:
            self._known_modules.add(top)
            for name in names:
                self._distribution(name, by)
        elif not optional:
            self._known_modules.add(top)
            place = "comes from a folder of this machine" if _is_here(top) else "is not installed here"
            text = f"{by} imports {quote(top)}, which {place}: add its package to requirements.txt"
            self.found.packages.append(Missing(top, text))

    def _distribution(self, name: str, by: str) -> None:
        key = _key(name)
        if key in self._with_jobctl or any(
            _key(one) == key for one in map(_name_of, self.found.requirements)
        ):
            return
        about = distribution(name)
        line = _requirement(about)
        if line is not None:
            self.found.requirements.append(line)
        elif not any(one.name == about.name for one in self.found.packages):
            text = (
                f"{by} needs {about.name} {about.version}, which was installed from a folder of this machine:"
                " add a requirement for it to requirements.txt, or publish it"
            )
            self.found.packages.append(Missing(about.name, text))

    @cached_property
    def _by_module(self) -> dict[str, list[str]]:
        return {module: sorted(set(names)) for module, names in packages_distributions().items()}

    @cached_property
    def _with_jobctl(self) -> set[str]:
        """Whatever comes with jobctl and the extras."""
        found: set[str] = set()
        waiting = [(DISTRIBUTION, self._extras)]
        while waiting:
            name, extras = waiting.pop()
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
                    waiting.append(
                        (_name_of(wanted), {one.strip() for one in more[1].split(",")} if more else set())
                    )
        return found

    # Programs

    def _command(self, job: Job, argv: tuple[str, ...]) -> None:
        program, *arguments = argv
        begin = self._folder / (job.folder or "")
        if _PYTHON.fullmatch(program):
            if arguments[:1] == ["-m"] and len(arguments) > 1:
                self._module(arguments[1], f"the job {job.id}")
        elif "/" in program:
            path = begin / program
            if _inside(path, self._folder) is None or not path.is_file():
                self._missing_file(
                    f"{job.id} runs {quote(program)}, which is no file of the project: put it there"
                )
            else:
                self._take(path)
        elif program not in _IN_EVERY_IMAGE:
            self.found.programs.append(
                Missing(program, f"{job.id} runs {program}, which the image does not have")
            )
        for one in arguments:
            path = begin / one
            if not one.startswith("-") and len(one) < 256 and path.is_file():
                self._take(path)


def still_missing(folder: Path, carried: Carried, wheel: Wheel | None, platform: str) -> list[str]:
    """A sentence for everything that runs there will lack, as the export's folder is now.

    What the user has added to ``requirements.txt`` or ``packages.txt`` is there.

    Args:
        platform: ``vercel`` has no image of ours to install programs in.
    """
    named = _key(_text(folder / "requirements.txt"))
    lines = [line for line in _text(folder / PACKAGES).splitlines() if not line.startswith("#")]
    installed = set(re.split(r"[\s#,]+", " ".join(lines)))
    found = [one.text for one in carried.packages if _key(one.name) not in named]
    for one in carried.programs:
        if platform == "vercel":
            found.append(f"{one.text}, and nothing can be installed there")
        elif one.name not in installed:
            found.append(
                f"{one.text}: add its Debian package to {PACKAGES}, such as: some-package  # {one.name}"
            )
    found += [one.text for one in carried.others]
    if platform == "trigger-dev":
        dropped = [
            name for name in carried.files if _NOT_UPLOADED & {*Path(name).parts} or name.endswith(".log")
        ]
        found += [f"Trigger.dev's upload leaves {name} out, by its name: rename it" for name in dropped]
    expected = wheel.name if wheel else DISTRIBUTION
    if named and _key(expected) not in named:
        found.append(f"requirements.txt was edited and does not name {expected}")
    return found


def ignored(folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence where Git ignores files of the export, since builds from a repository then lack them."""
    import pygit2

    place = folder.absolute()
    try:
        found = pygit2.discover_repository(str(next(one for one in (place, *place.parents) if one.is_dir())))
        if found is None:
            return []
        repository = pygit2.Repository(found)
        base = Path(os.path.realpath(place)).relative_to(os.path.realpath(repository.workdir or found))
        hit = [name for name in names if repository.path_is_ignored((base / name).as_posix())]
    except (pygit2.GitError, ValueError, OSError):  # no repository that can be asked
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
    """The path as seen from the folder; None where it leads out of it."""
    whole, base = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not whole.is_relative_to(base):
        return None
    plain = Path(os.path.normpath(path))
    return plain.relative_to(folder).as_posix() if plain.is_relative_to(folder) else None


def _imports(source: bytes) -> Iterator[tuple[str, bool]]:
    """The modules that a source names, and whether it does without: behind ``try``, or for type checkers alone."""
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
            yield from ((one.name, id(node) in optional) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, id(node) in optional


def _requirement(about: Distribution) -> str | None:
    """What pip installs this from; None where that is a place of this machine."""
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
    """The line of a requirements file that names jobctl: the wheel beside that file, or the released version."""
    return f"./{wheel.name}[{extras}]" if wheel else f"{DISTRIBUTION}[{extras}]=={__version__}"


def pack() -> Wheel:
    """The running jobctl as a wheel.

    Raises:
        UsageError: it runs from files that were never installed, so its requirements are not known.
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
    files[f"{info}/WHEEL"] = _ABOUT.encode()
    files[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_hash(files[name])},{len(files[name])}\n" for name in sorted(files)]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files, key=lambda one: (one.startswith(info), one)):  # pip reads the metadata last
            entry = zipfile.ZipInfo(name, _FIXED)
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
    inside = [one for one in about.files or () if "licenses" in one.parts]
    return {f"{info}/licenses/{one.name}": Path(str(one.locate())).read_bytes() for one in inside}


def _metadata(about: Distribution) -> str:
    """What installers need; the version is that of the code, since an editable install remembers an older one."""
    known = about.metadata
    lines = [("Metadata-Version", "2.1"), ("Name", DISTRIBUTION), ("Version", __version__)]
    for field in ("Summary", "Requires-Python", "Requires-Dist", "Provides-Extra"):
        lines += [(field, value) for value in sorted(known.get_all(field) or [])]
    return "".join(f"{field}: {value}\n" for field, value in lines)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
