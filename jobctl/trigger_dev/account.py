"""Which Trigger.dev, which of its environments, and the key to it: read from the settings, and checked."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from jobctl.errors import ConfigurationError, ServiceError
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret
from jobctl.urls import is_in_clear

DEVELOPMENT = "development"
_ENVIRONMENTS = {
    "tr_dev_": DEVELOPMENT,
    "tr_stg_": "staging",
    "tr_prod_": "production",
    "tr_preview_": "preview",
}
"""What the beginning of a key says of its environment: https://trigger.dev/docs/apikeys."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests go, and as whom.

    Attributes:
        url: the origin, without a slash at its end.
        environment: ``development``, ``staging``, ``production`` or ``preview``; the key decides.
        branch: the preview branch, empty elsewhere.
    """

    url: str
    key: Secret
    environment: str
    branch: str = ""

    @property
    def host(self) -> str:
        """For people."""
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """What every deduplication key of ours begins with.

        Such a key is unique in a whole project, so the environment is a part of it: the same key used with
        another environment's API key would move the schedule there.
        """
        place = f"{self.environment}/{self.branch}" if self.branch else self.environment
        return f"jobctl:{place}:"

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """From ``TRIGGER_DEV_API_KEY``, ``TRIGGER_DEV_API_URL`` and what goes with them; nothing is asked.

        Raises:
            ConfigurationError: the address is none, is more than an origin, or would carry the key over a
                network in clear.
            ServiceError: the key is none that the API takes, or belongs to another environment than the
                settings name.
        """
        url = _url(environment)
        key = environment.secret("TRIGGER_DEV_API_KEY")
        where = str(environment.value("TRIGGER_DEV_API_KEY").source)
        if key is None:
            raise ServiceError("Trigger.dev cannot be asked: TRIGGER_DEV_API_KEY is not set")
        text = key.reveal()
        found = next((name for start, name in _ENVIRONMENTS.items() if text.startswith(start)), None)
        if found is None or not (text.isascii() and text.isprintable() and " " not in text):
            raise ServiceError(
                f"TRIGGER_DEV_API_KEY is {_kind(text)}",
                hint="take the secret key of one environment from the project's page API keys:"
                f" it begins with {', '.join(_ENVIRONMENTS)}",
                where=where,
            )
        wanted = environment.choice("TRIGGER_DEV_ENVIRONMENT")
        if wanted is not None and wanted != found:
            raise ServiceError(
                f"TRIGGER_DEV_API_KEY is a key of {found}, but TRIGGER_DEV_ENVIRONMENT is {wanted}"
                f" ({environment.value('TRIGGER_DEV_ENVIRONMENT').source})",
                hint="set both for the same environment",
                where=where,
            )
        branch = environment.text("TRIGGER_PREVIEW_BRANCH") if found == "preview" else None
        if found == "preview" and branch is None:
            raise ServiceError(
                "TRIGGER_DEV_API_KEY is a key of preview, but TRIGGER_PREVIEW_BRANCH is not set", where=where
            )
        return cls(url, key, found, branch or "")


def _url(environment: Environment) -> str:
    text = environment.url("TRIGGER_DEV_API_URL") or ""
    where = str(environment.value("TRIGGER_DEV_API_URL").source)
    parts = urlsplit(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            "TRIGGER_DEV_API_URL is more than an origin",
            hint="write only scheme and host, such as https://api.trigger.dev",
            where=where,
        )
    if is_in_clear(text):
        raise ConfigurationError(
            f"TRIGGER_DEV_API_URL begins with {parts.scheme}://, so the key would cross the network in clear",
            hint="write https://",
            where=where,
        )
    return text.rstrip("/")


def _kind(text: str) -> str:
    if text.startswith("tr_pat_"):
        return "a personal access token, which the API for schedules and runs does not take"
    if text.startswith("pk_"):
        return "a public key, which may start nothing"
    return "not a Trigger.dev secret key"
