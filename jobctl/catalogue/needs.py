"""What a job needs besides its code, and whether that is configured: looked up, never tried."""

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec

from jobctl.errors import install_hint
from jobctl.settings.environment import Environment
from jobctl.settings.libpq import is_address


def unmet(needs: Iterable[str], environment: Environment) -> str | None:
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


def unset(names: Iterable[str], own: Mapping[str, str], environment: Environment) -> str | None:
    """The first variable that has no text, as a clause; None where all have.

    Args:
        own: what the job brings itself.
    """
    wanted = list(names)
    if not wanted:
        return None
    known = {**environment.merged(), **own}
    return next((f"{name} is not set" for name in wanted if not known.get(name)), None)


def _database(environment: Environment) -> str | None:
    address = environment.database("DATABASE_URL")
    if address is None:
        return "DATABASE_URL is not set"
    if is_address(address) and find_spec("psycopg") is None:
        return f"psycopg is not installed: {install_hint('postgres')}"
    return None


def _mail(environment: Environment) -> str | None:
    from jobctl.site.mail.providers import unmet as unmet_mail

    return unmet_mail(environment)


NEEDS: dict[str, Callable[[Environment], str | None]] = {"database": _database, "mail": _mail}
