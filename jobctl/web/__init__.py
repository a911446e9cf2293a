"""ASGI applications for the working folder: ``jobctl.web:app``, the cron endpoints and the page; ``jobctl.web:page``, the page."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name not in {"app", "page"}:
        raise AttributeError(f"module 'jobctl.web' has no attribute {name!r}")
    if name == "app":
        from jobctl.web.app import create_app

        found = create_app()
    else:
        from jobctl.web.pages.application import create_page

        found = create_page()
    globals()[name] = found
    return found
