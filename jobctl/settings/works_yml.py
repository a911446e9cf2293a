"""``.works/works.yml`` of the content: what it says of mail and names wins over the environment, as on the site."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobctl.errors import ConfigurationError, reason_of
from jobctl.trust import demand_trusted, platform_owns_files

FILE = ".works/works.yml"
KEYS = {
    "EMAIL_PROVIDER": ("mail", "provider"),
    "EMAIL_FROM": ("mail", "default_from"),
    "NOVU_TEMPLATE_ID": ("mail", "template_id"),
    "NOVU_BASE_URL": ("mail", "backend_url"),
    "NEXT_PUBLIC_APP_URL": ("app_url",),
    "COMPANY_NAME": ("company_name",),
}
"""By variable, the key that stands above it."""
_LARGEST = 1024 * 1024


def content_folder(project: Path, variables: Mapping[str, str]) -> Path:
    """The content folder; on Vercel only the temporary folder can be written."""
    if not platform_owns_files(variables):
        return project / ".content"
    import tempfile

    return Path(tempfile.gettempdir()) / ".content"


class Works:
    """The file, read when a value of it is first asked for, and only where it may hold one."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._file = folder / FILE
        self._variables = variables
        self._data: bytes | None = None
        self._values: Any = None

    def text(self, variable: str) -> str | None:
        """What the file says for a variable; None where it says nothing.

        Raises:
            ConfigurationError: the file is there and cannot be used.
        """
        keys = KEYS[variable]
        if self._data is None:
            self._data = self._read()
        if keys[0].encode() not in self._data:
            return None
        if self._values is None:
            self._values = self._parsed(self._data)
        found = self._values
        if variable.startswith("NOVU_") and str(_at(found, ("mail", "provider"))).lower() != "novu":
            return None
        value = _at(found, keys)
        return (value.strip() or None) if isinstance(value, str) else None

    def place(self, variable: str) -> str:
        """Where the value stands, for people."""
        return f"{self._file.parents[1].name}/{FILE}, {'.'.join(KEYS[variable])}"

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


def _at(values: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values
