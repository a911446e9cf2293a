"""``.works/works.yml`` of the content: its settings for mail and names override the environment, as on the site."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobctl.errors import ConfigurationError, reason_of
from jobctl.files import demand_trusted, platform_owns_files

FILE = ".works/works.yml"
PATHS = {
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
    """The file. It is read at first use, and parsed only if it may contain a value."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._file = folder / FILE
        self._variables = variables
        self._data: bytes | None = None
        self._values: Any = None

    def text(self, variable: str) -> str | None:
        """The value for a variable; None if the file does not set it.

        Raises:
            ConfigurationError: the file exists, but cannot be read or parsed.
        """
        path = PATHS[variable]
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
        return f"{self._file.parents[1].name}/{FILE}, {'.'.join(PATHS[variable])}"

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
