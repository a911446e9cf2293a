"""The Trigger.dev account of the settings: address, environment and key, checked."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from jobctl.errors import ConfigurationError
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
"""The prefix of a key names its environment: https://trigger.dev/docs/apikeys."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests go, and with which key.

    Attributes:
        url: the origin, without a slash at its end.
        environment: ``development``, ``staging``, ``production`` or ``preview``, by the key.
        branch: the preview branch; empty in other environments.
    """

    url: str
    key: Secret
    environment: str
    branch: str = ""

    @property
    def host(self) -> str:
        """The host and port, for people."""
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """The prefix of jobctl's deduplication keys.

        They are unique in a whole project, so the environment is a part of them: the same deduplication key used with
        another environment's API key would move the schedule there.
        """
        place = f"{self.environment}/{self.branch}" if self.branch else self.environment
        return f"jobctl:{place}:"

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """From the settings, without a request.

        Raises:
            ConfigurationError: the address is not valid, is more than an origin, or is not encrypted; the key is not
                valid, or belongs to another environment than the settings name.
        """
        url = _url(environment)
        key = environment.secret("TRIGGER_DEV_API_KEY")
        where = str(environment.value("TRIGGER_DEV_API_KEY").source)
        if key is None:
            raise ConfigurationError("Trigger.dev cannot be used: TRIGGER_DEV_API_KEY is not set")
        text = key.reveal()
        found = next((name for start, name in _ENVIRONMENTS.items() if text.startswith(start)), None)
        if found is None or not (text.isascii() and text.isprintable() and " " not in text):
            raise ConfigurationError(
                f"TRIGGER_DEV_API_KEY is {_kind(text)}",
                hint="copy the secret key of one environment from the project's page API keys:"
                f" it begins with {', '.join(_ENVIRONMENTS)}",
                where=where,
            )
        wanted = environment.choice("TRIGGER_DEV_ENVIRONMENT")
        if wanted is not None and wanted != found:
            raise ConfigurationError(
                f"TRIGGER_DEV_API_KEY is a key of {found}, but TRIGGER_DEV_ENVIRONMENT is {wanted}"
                f" ({environment.value('TRIGGER_DEV_ENVIRONMENT').source})",
                hint="set both for the same environment",
                where=where,
            )
        branch = environment.text("TRIGGER_PREVIEW_BRANCH") if found == "preview" else None
        if found == "preview" and branch is None:
            raise ConfigurationError(
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
            f"TRIGGER_DEV_API_URL begins with {parts.scheme}://, so the key would be sent unencrypted",
            hint="write https://",
            where=where,
        )
    return text.rstrip("/")


def _kind(text: str) -> str:
    if text.startswith("tr_pat_"):
        return "a personal access token, which the API for schedules and runs does not accept"
    if text.startswith("pk_"):
        return "a public key, which may not start runs"
    return "not a Trigger.dev secret key"
