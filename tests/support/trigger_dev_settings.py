"""Settings for Trigger.dev mode, from nothing but what a test names."""

from pathlib import Path

from jobctl.settings.environment import Environment


def settings(**variables: str) -> Environment:
    """As if the process had only these."""
    return Environment.load(Path("/nonexistent"), variables)


def in_charge(url: str, key: str) -> dict[str, str]:
    """What puts a Trigger.dev in charge."""
    return {
        "NODE_ENV": "production",
        "TRIGGER_DEV_ENABLED": "true",
        "TRIGGER_DEV_API_KEY": key,
        "TRIGGER_DEV_API_URL": url,
    }
