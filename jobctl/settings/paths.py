"""Paths in settings, as a shell would read them."""

from pathlib import Path

from jobctl.errors import ConfigurationError


def with_home(path: str, name: str) -> Path:
    """A path of the setting ``name``, with a ``~`` or ``~user`` at its start expanded: no shell does that in a file.

    Raises:
        ConfigurationError: there is no such user, or this one has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{name} begins with a home folder that is not known", hint="write the whole path"
        ) from None
