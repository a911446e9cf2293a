"""Any words on the command line, in any surroundings: an exit code of the table, one JSON document where it was asked for."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobctl.cli.app import app
from jobctl.cli.command_data import COMMANDS, COMMON
from jobctl.cli.completion import answer, candidates
from jobctl.errors import ExitCode
from jobctl.text import printable
from tests.support.fuzzing import SURROGATES, anything, bounded, examples, mutated
from tests.support.terminal import Cli, Past

WAITS = ("run", "serve", "trigger")
"""What would go on for ever, or start a process: given a word more, which each refuses."""
ENDLESS = ("--watch", "--follow", "-f")
CODES = {*map(int, ExitCode)} - {ExitCode.INTERNAL, ExitCode.INTERRUPTED}

options = st.sampled_from([one for command in COMMANDS.values() for one in [*command.options, *COMMON] if one not in ENDLESS])  # fmt: skip
usual = st.sampled_from(
    ["hello", "bad", "nightly", "repository-sync", "a-b", "--", "-", "", "5m", "0", "-1", "20", "30 2 * * *", "every 1h", "2d",
     "UTC", "Asia/Tokyo", "2027-03-27", "0001-01-01", "9999-12-31T23:59", "json", "prometheus", "abcdef", "jobs", "x" * 300,
     "9" * 25, "9" * 5000, SURROGATES, "1e400", "nan", "vercel", "schema", "trigger-dev", "-n", "-q", "-v", "-y", "-h", "--version",
     *(one for command in COMMANDS.values() for offers in command.arguments for one in offers), *COMMON]
)  # fmt: skip
word = mutated(usual | options, "-=./").filter(lambda one: ".." not in one and "/" not in one)
assigned = st.builds("{}={}".format, options, usual)
words = st.tuples(st.sampled_from([*COMMANDS, "", "stauts"]), st.lists(options | usual | word | assigned | anything.filter(lambda one: "/" not in one), max_size=6))  # fmt: skip


@pytest.fixture
def past(cli: Cli, here: Path) -> Past:
    """A project whose jobs have run."""
    past = Past(here)
    past.log(past.ran("hello"), ["a line"])
    past.ran("bad", error="no [/] way \x1b[31m")
    return past


def given_words(*words: str, **environment: str) -> None:
    """Call it, and check everything that it did."""
    words = tuple(one.replace("\0", "") for one in words)  # no process can be given one
    with bounded():
        done = CliRunner().invoke(app, list(words), env=environment)

    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in CODES, done.stderr
    assert "Traceback" not in done.stderr
    colours = re.compile(r"\x1b\[\d+m" if environment.get("FORCE_COLOR") else "(?!)")
    for shown in (colours.sub("", done.stdout), colours.sub("", done.stderr)):
        assert all(printable(line) == line for line in shown.split("\n"))
    if "--json" in words and not {"-h", "--help", "--version"} & set(words):
        document = json.loads(done.stdout, parse_constant=pytest.fail)  # NaN is no JSON
        if done.exit_code and "error" in document:
            assert document["error"]["exit_code"] == done.exit_code
            assert done.stdout.count("\n") == 1


@pytest.mark.slow
@examples(125)
@given(words)
@example(("runs", ["--limit", "9" * 25]))
@example(("status", ["--limit", "9" * 25]))
@example(("logs", ["hello", "--tail", "9" * 25]))
@example(("serve", ["--host", "a" * 64]))
@example(("status", ["--project", "x" * 300]))
@example(("export", ["vercel", "x" * 300]))
@example(("new", ["a-job", "--every", "5m", "--module", "m" * 300]))
@example(("next", ["* * * * *", "--from", "0001-01-01", "--timezone", "America/New_York"]))
@example(("next", ["* * * * *", "--from", "9999-12-31T23:58", "--timezone", "Asia/Tokyo", "-n", "1"]))
@example(("next", ["1s", "-n", "10000"]))
@example(("runs", ["--since", SURROGATES]))
@example(("stop", ["hello", "--reason", SURROGATES]))
@example(("mode", ["--json", "\x9b31m\u2028"]))
def test_any_words_are_answered_by_the_table(past: Past, given: tuple[str, list[str]]) -> None:
    command, more = given
    if command in WAITS:
        more = [*more, *(["--port", "x"] if command == "serve" else ["no-such-job"] * 2)]
    given_words(command, *more)


@pytest.mark.parametrize("host", ["a" * 64, "é" * 64, "a..b", SURROGATES, "256.256.256.256"])
def test_what_is_no_host_is_not_listened_on(cli: Cli, host: str) -> None:
    given_words("serve", "--host", host, "--port", "0")


environments = st.dictionaries(
    st.sampled_from(["COLUMNS", "TERM", "NO_COLOR", "FORCE_COLOR", "TZ", "NODE_ENV", "VERCEL", "DISABLE_AUTO_SYNC", "EMAIL_PROVIDER",
                     "TRIGGER_DEV_API_KEY", "TRIGGER_DEV_ENABLED", "DATABASE_URL", "CRON_SECRET", "LANG", "TRIGGER_DEV_ENVIRONMENT"]),
    (st.sampled_from(["0", "1", "-5", "7", "9" * 12, "9" * 5000, "٣", "true", "production", "development", "tr_prod_x", SURROGATES, "sqlite:///x.db", "dumb"]) | anything).map(lambda text: text.replace("\0", "")),
    max_size=5,
)  # fmt: skip


@examples(30)
@example("status", False, {"NO_COLOR": "", "NODE_ENV": "0", "FORCE_COLOR": "0"})
@given(st.sampled_from(["status", "mode", "metrics", "next 5m", "runs", "logs hello", "stop hello", "start hello"]), st.booleans(), environments)  # fmt: skip
@example("status", False, {"COLUMNS": "9" * 5000})
@example("status", False, {"COLUMNS": "9" * 12})
@example("mode", True, {"CRON_SECRET": SURROGATES, "NODE_ENV": SURROGATES})
def test_any_surroundings_are_answered_by_the_table(
    past: Past, words: str, as_json: bool, environment: dict[str, str]
) -> None:
    if {"TRIGGER_DEV_API_KEY", "TRIGGER_DEV_ENABLED"} <= set(environment):
        environment["TRIGGER_DEV_API_URL"] = "http://127.0.0.1:1"
    given_words(*words.split(), *(["--json"] if as_json else []), **environment)


@examples(100)
@given(st.sampled_from(["bash", "zsh", "fish", "", SURROGATES]), words)
def test_any_words_have_candidates_or_none(
    cli: Cli, capsys: pytest.CaptureFixture[str], shell: str, given: tuple[str, list[str]]
) -> None:
    given_ = [given[0], *given[1]]
    with bounded():
        assert all(isinstance(one, tuple) for one in candidates(given_))
        assert answer(shell, given_) == 0
    assert capsys.readouterr().err == ""
