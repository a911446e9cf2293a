import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobctl.execution.calling import call
from tests.support.site_database import SiteDatabase
from tests.support.smtp_server import Mails, smtp_server

REMINDER = "jobctl.jobs.renewal_reminder:renewal_reminder"
CLEANUP = "jobctl.jobs.expired_cleanup:expired_cleanup"


class Desk:
    """A project whose jobs are called as a worker calls them, in this process."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch

    def set(self, **variables: object) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, str(value))

    def run(self, target: str, **arguments: Any) -> dict[str, Any]:
        """How the run ended: ``reason``, ``error``, ``result``."""
        return call(target, arguments, trace=True)._asdict()

    @property
    def journal(self) -> list[dict[str, Any]]:
        found = []
        for file in (self.folder / ".jobctl" / "outgoing").glob("*.jsonl"):
            found += [json.loads(line) for line in file.read_text().split("\n") if line]
        return found


@pytest.fixture
def desk(here: Path, monkeypatch: pytest.MonkeyPatch, database: SiteDatabase) -> Desk:
    desk = Desk(here, monkeypatch)
    desk.set(DATABASE_URL=database.url)
    return desk


@pytest.fixture
def mails(desk: Desk) -> Iterator[Mails]:
    """A mail server that the project's settings name."""
    with smtp_server() as server:
        desk.set(EMAIL_PROVIDER="smtp", SMTP_HOST="127.0.0.1", SMTP_PORT=server.port)
        yield server
