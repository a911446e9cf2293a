"""The settings of a project, read by kind: a wrong value is an error that names its source."""

import os
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from jobctl.errors import ConfigurationError, raise_any, reason_of
from jobctl.files import demand_trusted, platform_owns_files, with_home
from jobctl.settings.env_files import NOT_SET, LoadedVariables, SettingValue, ValueSource, load_variables
from jobctl.settings.masking import MASK, Mask, Secret, secret_texts, url_secrets
from jobctl.settings.variables import DATABASES, ON, TEXTFILE_SUFFIX, VARIABLES, VariableKind
from jobctl.text import alternatives
from jobctl.urls import ascii_url, is_postgres_address, is_web_address

_WORKS = ".works/works.yml"
"""A file of the content: its settings for mail and names override the environment, as on the site."""
_WORKS_PATHS = {
    "EMAIL_PROVIDER": ("mail", "provider"),
    "EMAIL_FROM": ("mail", "default_from"),
    "NOVU_TEMPLATE_ID": ("mail", "template_id"),
    "NOVU_BASE_URL": ("mail", "backend_url"),
    "NEXT_PUBLIC_APP_URL": ("app_url",),
    "COMPANY_NAME": ("company_name",),
}
"""The path of the key that overrides each variable."""
_LARGEST = 1024 * 1024


def content_folder(project: Path, variables: Mapping[str, str]) -> Path:
    """The content folder; on Vercel it is in the temporary folder, since no other can be written."""
    if not platform_owns_files(variables):
        return project / ".content"
    import tempfile

    return Path(tempfile.gettempdir()) / ".content"


class Works:
    """The content's ``works.yml``. It is read at first use, and parsed only if it may contain a value."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._file = folder / _WORKS
        self._variables = variables
        self._data: bytes | None = None
        self._values: Any = None

    def text(self, variable: str) -> str | None:
        """The value for a variable; None if the file does not set it.

        Raises:
            ConfigurationError: the file exists, but cannot be read or parsed.
        """
        path = _WORKS_PATHS[variable]
        if self._data is None:
            self._data = self._read()
        if path[0].encode() not in self._data:
            return None
        if self._values is None:
            self._values = self._parsed(self._data)
        if variable.startswith("NOVU_") and str(_at(self._values, ("mail", "provider"))).lower() != "novu":
            return None
        value = _at(self._values, path)
        return (value.strip() or None) if isinstance(value, str) else None

    def place(self, variable: str) -> str:
        """The place of the value, for people."""
        return f"{self._file.parents[1].name}/{_WORKS}, {'.'.join(_WORKS_PATHS[variable])}"

    def _read(self) -> bytes:
        real = Path(os.path.realpath(self._file))
        if not real.is_relative_to(os.path.realpath(self._file.parents[1])):  # as on the site
            return b""
        try:
            with real.open("rb") as file:
                if not platform_owns_files(self._variables):
                    demand_trusted(real, os.fstat(file.fileno()))
                return file.read(_LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise ConfigurationError(f"{self._file} cannot be read: {reason_of(error)}") from error

    def _parsed(self, data: bytes) -> Any:
        from jobctl.settings.core_yaml import parse

        try:
            return parse(data.decode(errors="replace"))
        except ValueError as error:
            raise ConfigurationError(
                f"{self._file}: {' '.join(str(error).split())}", hint="correct it in the content repository"
            ) from error


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


_OF_THIS_PROCESS = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""Variables of sd_notify(3), meant for this process and not for its children."""


class Environment:
    """Every setting, from the process environment, the ``.env`` files and the content's ``works.yml``."""

    def __init__(self, loaded: LoadedVariables, folder: Path) -> None:
        self._values = loaded.values
        self._variables = {name: value.text or "" for name, value in loaded.values.items()}
        self.content = content_folder(folder, self._variables)
        self._works: Works | None = Works(self.content, self._variables)
        self._known: dict[str, SettingValue] = {}
        self._texts = loaded.texts
        self.files = loaded.files
        self.problems = loaded.problems
        self.warnings = loaded.warnings

    @classmethod
    def load(cls, folder: Path, process: Mapping[str, str], *, pipes: bool = True) -> Self:
        """Read the files of a folder, see ``load_variables``."""
        return cls(load_variables(folder, process, pipes=pipes), folder)

    def value(self, name: str) -> SettingValue:
        """A variable with its source. If it is not set or empty: its stand-in by that one's name, or its default.

        Raises:
            ConfigurationError: the content's ``works.yml`` may set it, and cannot be read.
        """
        if name not in self._known:
            value = self._without_works(name)
            if self._works and name in _WORKS_PATHS and (text := self._works.text(name)) is not None:
                lost = () if value.source.kind in {"none", "default"} else (value.source,)
                source = ValueSource("content", self._works.place(name))
                value = SettingValue(name, text, source, (*lost, *value.hidden))
            self._known[name] = value
        return self._known[name]

    def _without_works(self, name: str) -> SettingValue:
        found = self._values.get(name)
        known = VARIABLES.get(name)
        default = known.default if known else None
        if known and known.stand_in and not (found and found.text) and self.set_text(known.stand_in):
            return self._values[known.stand_in]
        if found is not None and (found.text or default is None):
            return found
        if default is not None:
            hidden = (found.source, *found.hidden) if found else ()
            return SettingValue(name, default, ValueSource("default"), hidden)
        return SettingValue(name, None, NOT_SET)

    def text(self, name: str) -> str | None:
        """The text of a variable without surrounding blanks; None if it is not set or empty."""
        return (self.value(name).text or "").strip() or None

    def set_text(self, name: str) -> str | None:
        """The same, but None instead of the default; ``works.yml`` does not count."""
        found = self._values.get(name)
        return (found.text or "").strip() or None if found is not None else None

    def secret(self, name: str) -> Secret | None:
        """The text of a variable as a secret; None if it is not set or empty."""
        text = self.text(name)
        return Secret(text) if text else None

    def flag(self, name: str) -> bool:
        """Whether a variable is ``1``, ``true``, ``yes`` or ``on``, in any case."""
        return (self.text(name) or "").lower() in ON

    @property
    def on_vercel(self) -> bool:
        """Whether this process runs at Vercel: ``VERCEL`` is 1 there."""
        return self.text("VERCEL") == "1"

    @property
    def logs_in_store(self) -> bool:
        """Whether the run store keeps what runs print.

        Raises:
            ConfigurationError: ``JOBCTL_LOGS`` has another value, or the run store is not on Postgres.
        """
        name = "JOBCTL_LOGS"
        if self.choice(name) != "store":
            return False
        if not is_postgres_address(self.text("JOBCTL_STATE") or ""):
            raise ConfigurationError(
                f'{name} is "store", but the run store is not on Postgres',
                where=str(self.value(name).source),
                hint=f"set JOBCTL_STATE to postgresql://user:password@host/name, or remove {name}",
            )
        return True

    def choice(self, name: str) -> str | None:
        """A variable that is one of its choices.

        Raises:
            ConfigurationError: it has another value.
        """
        text = self.text(name)
        known = VARIABLES[name]
        if text is not None and known.any_case:
            text = text.lower()
        if text is not None and text not in known.choices:
            if known.ignores_others:
                return known.default
            raise self._wrong(name, alternatives(known.choices))
        return text

    def url(self, name: str) -> str | None:
        """A variable that is a web address, in ASCII as a request needs it.

        Raises:
            ConfigurationError: it is not an ``http://`` or ``https://`` address with a host.
        """
        text = self.text(name)
        if text is None:
            return None
        if not is_web_address(text):
            raise self._wrong(name, "a URL such as https://example.com")
        return ascii_url(text)

    def database(self, name: str) -> str | None:
        """A variable that is the address of a database.

        Raises:
            ConfigurationError: its scheme is not that of a database that jobctl supports.
        """
        text = self.text(name)
        if (
            text is not None
            and not is_postgres_address(text)
            and text.partition(":")[0].lower() not in DATABASES
        ):
            raise self._wrong(name, "postgresql://… or sqlite:///file")
        return text

    def port(self, name: str) -> int | None:
        """A variable that is a port number.

        Raises:
            ConfigurationError: it is not a whole number from 1 to 65535.
        """
        text = self.text(name)
        return None if text is None else self._whole(name, text, 65535, "a port from 1 to 65535")

    def number(self, name: str) -> int:
        """A variable with a default that is a whole number.

        Raises:
            ConfigurationError: it is not a whole number from 1 to 1,000,000,000.
        """
        return self._whole(name, self.text(name) or "", 10**9, "a whole number from 1 to 1000000000")

    def _whole(self, name: str, text: str, most: int, expected: str) -> int:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0
        if not 1 <= number <= most:
            raise self._wrong(name, expected)
        return number

    def textfile(self, name: str) -> str | None:
        """A variable that is the path of a file for node_exporter's textfile collector.

        Raises:
            ConfigurationError: the collector does not read files of that name, or the path begins with an unknown
                home folder.
        """
        text = self.text(name)
        if text is not None and not text.endswith(TEXTFILE_SUFFIX):
            raise self._wrong(name, f"a file whose name ends in {TEXTFILE_SUFFIX}")
        return None if text is None else str(with_home(text, name))

    def check(self) -> list[ConfigurationError]:
        """Every file that cannot be read, and every known variable with an invalid value."""
        return [*self.problems, *self.wrong_values.values()]

    @cached_property
    def wrong_values(self) -> dict[str, ConfigurationError]:
        """The known variables with an invalid value.

        The content's ``works.yml`` does not count: an editor of the content must not be able to stop the scheduler.
        """
        faults: dict[str, ConfigurationError] = {}
        own = copy(self)
        own._works, own._known = None, {}  # noqa: SLF001 - of the same class
        readers: dict[VariableKind, Callable[[str], object]] = {
            VariableKind.CHOICE: own.choice,
            VariableKind.URL: own.url,
            VariableKind.DATABASE: own.database,
            VariableKind.PORT: own.port,
            VariableKind.NUMBER: own.number,
            VariableKind.TEXTFILE: own.textfile,
        }
        for variable in VARIABLES.values():
            reader = readers.get(variable.kind)
            if reader is not None:
                try:
                    reader(variable.name)
                except ConfigurationError as error:
                    faults[variable.name] = error
        try:
            _ = own.logs_in_store
        except ConfigurationError as error:
            faults["JOBCTL_LOGS"] = error
        return faults

    def require(self) -> None:
        """Check every setting.

        Raises:
            ConfigurationError: a setting is invalid; ``ConfigurationErrors`` for several.
        """
        raise_any(self.check())

    def merged(self) -> dict[str, str]:
        """All variables as the environment of a worker process."""
        return {
            name: value.text
            for name, value in self._values.items()
            if value.text is not None and name not in _OF_THIS_PROCESS
        }

    @cached_property
    def mask(self) -> Mask:
        """The mask of all secrets in these settings, shared by everything that shows text."""
        return Mask(secret_texts(self._variables))

    def hide(self, urls: Iterable[str | None]) -> None:
        """Let ``mask`` hide these URLs too, each of which grants access or is ``$NAME``."""
        for url in filter(None, urls):
            value = self._values.get(url[1:]) if url.startswith("$") else None
            self.mask.add(url_secrets(url if value is None else value.text or ""))

    def from_content(self) -> list[SettingValue]:
        """The values that the content's ``works.yml`` sets.

        Raises:
            ConfigurationError: it cannot be read.
        """
        return [value for value in map(self.value, _WORKS_PATHS) if value.source.kind == "content"]

    def python_dotenv_differences(self) -> list[SettingValue]:
        """The values in use that python-dotenv reads differently from the same line."""
        from jobctl.settings.env_files import differs_in_python_dotenv

        found = []
        for file in self.files:
            for name, line in differs_in_python_dotenv(self._texts.get(file.name) or ""):
                value = self.value(name)
                if value.source == ValueSource("file", file.name, line):
                    found.append(value)
        return found

    def _wrong(self, name: str, expected: str) -> ConfigurationError:
        value = self.value(name)
        state = "cannot be read as an address" if value.shown == MASK else f"is {value.shown}"
        return ConfigurationError(f"{name} {state}, expected {expected}", where=str(value.source))
