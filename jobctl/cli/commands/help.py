"""``jobctl help [COMMAND|TOPIC]``: help on a command, or a page on a topic."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument
from jobctl.cli.words import COMMANDS, EXIT_CODES, NAMES
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType


FILES = {
    "jobctl.toml": "the project's own jobs, and changes to built-in ones; or the table tool.jobctl of pyproject.toml",
    ".env.NODE_ENV.local, .env.local, .env.NODE_ENV, .env": "variables; the first that names one counts",
    ".jobctl/jobctl.db": "the run store",
    ".jobctl/logs/JOB/RUN.log": "what a run printed: its first 512 KiB and its newest 256 KiB",
    ".jobctl/reports, .jobctl/outbox": "reports, and outside production the mails that no provider takes",
    ".jobctl/crash-TIME.txt": "a fault of jobctl itself",
    ".content": "the content repository",
}
ELSEWHERE = {
    "SSL_CERT_FILE": "authorities to trust, for a server with one of its own",
    "NO_COLOR, FORCE_COLOR, COLUMNS, TERM": "as everywhere",
    "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID": "how a service manager listens, by sd_notify(3)",
}


class Options(NamedTuple):
    """What help is wanted on; None is the whole program."""

    what: Annotated[str | None, argument("COMMAND|TOPIC")] = None


def run(options: Options, context: Context) -> int:
    """Show it."""
    what, out = options.what, context.output
    if what in NAMES["help"]:
        text = _markdown(what)
        if out.json:
            out.document({"topic": what, "text": text})
        else:
            out.page(lambda _: _drawn(text), text.splitlines)
        return 0
    if what is not None and what not in COMMANDS:
        known = [*COMMANDS, *NAMES["help"]]
        raise UsageError(
            f"there is no help on {quote(what)}",
            hint=suggestion(what, known, f"commands: jobctl help; topics: {', '.join(NAMES['help'])}"),
        )
    from jobctl.cli.app import help_on

    help_on(what)
    return 0


def _drawn(text: str) -> "Iterable[RenderableType]":
    from rich.markdown import Markdown

    return [Markdown(text)]


def _markdown(topic: str) -> str:
    from jobctl.catalogue.job_keys import KEYS
    from jobctl.settings.variables import VARIABLES

    rows: dict[str, str] = {
        "exit-codes": EXIT_CODES,
        "files": FILES,
        "project-file": {name: key.meaning for name, key in KEYS.items()},
        "variables": {
            **{
                one.name: f"{one.help}{f' ({one.default})' if one.default else ''}"
                for one in VARIABLES.values()
            },
            **ELSEWHERE,
        },
    }[topic]
    title = {
        "exit-codes": "Exit codes",
        "files": "Files",
        "project-file": "Keys of a table [jobs.ID] in jobctl.toml",
        "variables": "Environment variables",
    }[topic]
    return "\n".join([f"# {title}", "", *(f"- `{name}`: {meaning}" for name, meaning in rows.items())])
