"""The cron endpoints of the site over HTTP: ``jobctl.web:app`` is an ASGI application for the working folder."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'jobctl.web' has no attribute {name!r}")
    from jobctl.web.app import create_app

    found = globals()["app"] = create_app()
    return found
