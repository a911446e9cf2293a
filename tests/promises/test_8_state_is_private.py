"""State is readable by its owner alone: every file and folder that jobctl makes, whatever the umask."""

import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobctl.cli.context import Context
from jobctl.cli.error_output import record_crash
from jobctl.cli.output import Common
from jobctl.execution.run_log import RunLog
from jobctl.files import write_whole
from jobctl.jobs.mailing import MailJournal
from jobctl.jobs.reports import write_report
from jobctl.settings.masking import Mask
from jobctl.site.mail.message import Message, Sender
from jobctl.site.mail.transport import Outbox
from jobctl.store.open import open_store
from tests.support.postgres import Postgres
from tests.support.project import Site

AT = datetime(2026, 11, 23, tzinfo=UTC)
MAIL = Message("a@example.com", "Hello", "<p>Hello</p>", "Hello", "key")
CODE = """
from jobctl import job

def hello():
    print("hello")

@job(every="1d")
def decorated():
    print("decorated")
"""


def shared(top: Path) -> dict[str, str]:
    """What below a folder others may look into, or its owner may not use."""
    paths = [top, *top.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths}
    return {
        str(path): oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    }


@pytest.fixture(params=[0, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def log(state: Path) -> None:
    made = RunLog(state / "logs", "job", "run", Mask())
    made.feed(b"printed\n", AT)
    assert made.close(AT) == []


def journal(state: Path) -> None:
    with MailJournal(state / "outgoing" / "mails.jsonl"):
        pass


def store(state: Path) -> None:
    made = open_store(state)
    made.register([], AT)
    assert list(state.glob("*-wal"))
    made.close()


def crash(state: Path) -> None:
    told = record_crash(ValueError("no luck"), Context(Common(), {"JOBCTL_STATE": str(state)}))
    assert str(state) in (told.hint or "")


WRITERS: list[Callable[[Path], object]] = [
    log,
    journal,
    store,
    crash,
    lambda state: Outbox(state / "outbox", Sender("b@example.com")).send(MAIL),
    lambda state: Outbox(state / "outbox", Sender("b@example.com")).check(),
    lambda state: write_report(state / "reports" / "page.html", "text"),
]


@pytest.mark.parametrize(
    "write", WRITERS, ids=["log", "journal", "store", "crash", "mail", "check", "report"]
)
def test_whoever_writes_first(
    write: Callable[[Path], object], umask: int, here: Path, tmp_path: Path
) -> None:
    top = tmp_path / "not" / "there"

    write(top / "state")

    assert shared(tmp_path / "not") == {}


def test_a_file_that_is_written_whole_is_never_open_to_others(tmp_path: Path, umask: int) -> None:
    other = tmp_path / f".file.{os.getpid()}.new"
    other.write_text("a file of the user's own")

    write_whole(tmp_path / "file", b"secret", mode=0o600)

    assert {path.name for path in tmp_path.iterdir()} == {"file", other.name}
    assert oct((tmp_path / "file").stat().st_mode & 0o777) == "0o600"
    assert other.read_text() == "a file of the user's own"


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["000", "022"])
def test_all_that_commands_leave(mask: str, site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n', CODE)
    site.write("jobctl.toml", f'modules = ["work"]\n{(site.folder / "jobctl.toml").read_text()}')
    site.prefix = ["sh", "-c", f'umask {mask}; exec "$@"', "sh"]

    assert site.call("trigger", "hello").returncode == 0
    assert site.call("trigger", "decorated").returncode == 0
    site.call("status")

    names = {path.name for path in (site.folder / ".jobctl").iterdir()}
    assert {"jobctl.db", "logs", ".gitignore"} < names
    assert shared(site.folder / ".jobctl") == {}


@pytest.mark.slow
def test_logs_beside_a_store_elsewhere(site: Site, postgres: Postgres) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n', CODE)
    site.environment["JOBCTL_STATE"] = postgres.schema()
    site.prefix = ["sh", "-c", 'umask 0; exec "$@"', "sh"]

    assert site.call("trigger", "hello").returncode == 0

    assert len(list((site.folder / ".jobctl" / "logs" / "hello").iterdir())) == 1
    assert (site.folder / ".jobctl" / ".gitignore").read_text() == "*\n"
    assert shared(site.folder / ".jobctl") == {}


@pytest.mark.parametrize("link", ["logs", "logs/hello"])
def test_a_link_in_place_of_a_log_folder_is_not_followed(link: str, site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n', CODE)
    elsewhere = site.folder.parent / "elsewhere"
    elsewhere.mkdir()
    place = site.folder / ".jobctl" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)

    told = site.call("trigger", "hello")

    assert told.returncode == 0
    name = place.name
    assert f'the log of this run could not be kept: "{name}" is a link, which is not followed' in told.stdout
    assert list(elsewhere.iterdir()) == []
