"""The manual page, ``man jobctl``, from the tables that the help is made of: ``python -m jobctl.cli.manual``.

In the macros of man(7). ``jobctl.1`` beside this module is what it prints; wheels carry that to ``share/man``.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobctl import __version__
from jobctl.catalogue.json_schema import KEYS
from jobctl.catalogue.notify_settings import KEYS as NOTIFY_KEYS
from jobctl.cli.words import COMMANDS, COMMON, EXIT_CODES, GROUPS, HELP, VERSION, Command, Option
from jobctl.settings.variables import VARIABLES

FILE = Path(__file__).with_name("jobctl.1")

_ABOUT = """\
\\fBjobctl run\\fR holds a scheduler in the foreground: it runs the jobs of the project in this folder, each in a
process of its own, and keeps what came of them. The other commands look at that from any terminal, run one job, or
change what is scheduled.
.PP
The nearest folder upward with a \\fIjobctl.toml\\fR, or a \\fIpyproject.toml\\fR with a table \\fBtool.jobctl\\fR, is the
project; else it is this folder. Its variables are read from the process, then
from its \\fI.env\\fR files as Next.js reads them. \\fBjobctl mode\\fR shows which scheduler they put in charge, and why."""

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
_MARKS = {
    "…": "...", "\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq",
}  # fmt: skip


def page() -> str:
    """The whole page, in roff."""
    return "\n".join([*_head(), *_commands(), *_tables(), ""])


def _head() -> Iterator[str]:
    yield '.\\" Made by "python -m jobctl.cli.manual".'
    yield f'.TH JOBCTL 1 "" "jobctl {__version__}" "User Commands"'
    yield from (".nr HY 0", ".nh", ".ad l")  # words whole, as people search for them
    yield ".SH NAME"
    yield "jobctl \\- runs the background jobs of an Ever Works site, and your own"
    yield ".SH SYNOPSIS"
    yield "\\fBjobctl\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]"
    yield ".SH DESCRIPTION"
    yield _ABOUT


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    for group in GROUPS:
        yield f".SS {group}"
        for name, command in COMMANDS.items():
            if command.group == group:
                yield from _command(name, command)
    yield ".SH OPTIONS"
    yield "Every command takes:"
    for name, option in {**COMMON, "--help": HELP}.items():
        yield from _option(name, option)
    yield ".PP"
    yield "And jobctl alone:"
    yield from _option("--version", VERSION)


def _command(name: str, command: Command) -> Iterator[str]:
    yield ".TP"
    yield f"\\fBjobctl {name}\\fR{_operands(name)}"
    yield _text(command.summary)
    yield ".RS"
    for option, words in command.options.items():
        yield from _option(option, words)
    yield ".PP"
    yield ".EX"
    yield from (f"$ {_text(example)}" for example in command.examples)
    yield ".EE"
    yield ".RE"


def _operands(name: str) -> str:
    """As the usage line of the command's help has them."""
    from jobctl.cli.app import build

    command = build(name)
    usage = command.collect_usage_pieces(command.make_context(name, [], resilient_parsing=True))
    return "".join(f" {_text(piece)}" for piece in usage)


def _option(name: str, option: Option) -> Iterator[str]:
    names = ", ".join(f"\\fB{_text(one)}\\fR" for one in (option.short, name) if one)
    value = _text("|".join(option.choices)) or (f"\\fI{option.value}\\fR" if option.value else "")
    yield from _item(f"{names} {value}".rstrip(), _text(option.text))


def _tables() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for codes, meaning in EXIT_CODES.items():
        yield from _item(f"\\fB{codes}\\fR", _text(meaning))
    yield ".SH PROJECT FILE"
    yield "Of \\fIjobctl.toml\\fR the key \\fBmodules\\fR lists modules whose @job functions join, and the table"
    yield f"\\fBnotify\\fR says who is told of what; its keys: {', '.join(NOTIFY_KEYS)}."
    yield ".PP"
    yield "A job is a table \\fB[jobs.ID]\\fR, with these keys:"
    for key, (_, meaning) in KEYS.items():
        yield from _item(f"\\fB{key}\\fR", _text(meaning))
    yield ".SH ENVIRONMENT"
    for variable in VARIABLES.values():
        default = f" ({variable.default})" if variable.default else ""
        yield from _item(f"\\fB{variable.name}\\fR", _text(variable.help + default))
    for names, meaning in ELSEWHERE.items():
        yield from _item(f"\\fB{names}\\fR", _text(meaning))
    yield ".SH FILES"
    for file, meaning in FILES.items():
        yield from _item(f"\\fI{_text(file)}\\fR", _text(meaning))
    yield ".SH SEE ALSO"
    yield from (".BR crontab (5),", ".BR systemd.service (5)")


def _item(term: str, meaning: str) -> Iterable[str]:
    return ".TP", term, meaning


def _text(text: str) -> str:
    """Text as it is: nothing in it is a request, an escape, or a character that roff would set otherwise."""
    marked = "".join(_MARKS.get(one, one) for one in text)
    plain = re.sub(r"[^\x20-\x7e]", lambda found: f"\\[u{ord(found[0]):04X}]", marked)
    return f"\\&{plain}" if plain[:1] in {".", "'"} else plain


if __name__ == "__main__":
    sys.stdout.write(page())
