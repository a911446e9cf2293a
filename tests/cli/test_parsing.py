"""What is understood of a command line, and what is answered to one that is not."""

import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import typer

import jobctl
from jobctl.cli.app import app, build
from jobctl.cli.options import behind_command
from jobctl.cli.perform import understood
from jobctl.cli.words import COMMANDS, COMMON, GROUPS, NAMES
from tests.support.terminal import Cli

ROOT = Path(jobctl.__file__).parents[1]


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == cli("-V").stdout == f"jobctl {jobctl.__version__}\n"


def test_without_arguments_it_shows_the_short_help(cli: Cli) -> None:
    alone = cli()

    assert alone.code == 0
    assert alone.stdout == cli("--help").stdout == cli("-h").stdout
    for name, words in COMMANDS.items():
        shown = f" {name:<11} {words.summary}\n" if name != "help" else "jobctl help COMMAND"
        assert shown in alone.stdout
        assert words.group in GROUPS


def test_the_short_help_fits_a_small_terminal_above_the_next_prompt(cli: Cli) -> None:
    lines = cli("--help").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert len(lines) <= 23


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_words_is_the_application(name: str, cli: Cli) -> None:
    command = build(name)
    options = {one.opts[0]: one for one in command.params if one.param_type_name == "option"}
    expected = {**COMMANDS[name].options, **COMMON}

    assert set(options) == set(expected)
    for long, words in expected.items():
        assert options[long].help == words.text
        assert options[long].opts[1:] == ([words.short] if words.short else [])
        assert options[long].is_flag is not bool(words.value), long
        choices = getattr(options[long].type, "choices", ())
        assert tuple(str(getattr(one, "value", one)) for one in choices) == words.choices


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples_of_its_own(name: str, cli: Cli) -> None:
    shown = cli(name, "--help")

    assert shown.code == 0
    assert shown.stdout == cli(name, "-h").stdout
    assert all(f"  $ {example}\n" in shown.stdout for example in COMMANDS[name].examples)
    assert all(f"jobctl {name}" in example for example in COMMANDS[name].examples)
    assert all(option in shown.stdout for option in COMMANDS[name].options)
    assert shown.stdout == cli("help", name).stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    plain = " ".join(shown.stdout.split())
    assert all(words.text in plain for words in COMMANDS[name].options.values())
    assert all(value in plain for value in NAMES.get(COMMANDS[name].argument, ()))


def test_help_on_help_names_the_topics(cli: Cli) -> None:
    assert all(topic in cli("help", "--help").stdout for topic in NAMES["help"])


def test_help_on_help_and_on_nothing_that_there_is(cli: Cli) -> None:
    assert cli("help").stdout == cli().stdout
    assert cli("help", "help").stdout == cli("help", "-h").stdout
    told = cli("help", "stauts")
    assert (told.code, told.stdout) == (2, "")
    assert 'did you mean "status"?' in told.stderr
    assert cli("help", "exit-codes", "--json").json["topic"] == "exit-codes"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("triger hello", 'there is no command "triger"', 'did you mean "trigger"?'),
        ("status --jsno", 'there is no option "--jsno"', 'did you mean "--json"?'),
        ("trigger helo", 'there is no job "helo"', 'did you mean "hello"?'),
        ("status repositry-sync", 'there is no job "repositry-sync"', '"repository-sync"'),
        ("logs helo", 'there is no job "helo"', '"hello"'),
        ("next hello-x", 'there is no job "hello-x"', '"hello"'),
        ("stop helo", 'there is no job "helo"', '"hello"'),
        ("run 5m", "run takes no argument; it is the scheduler", "jobctl trigger ID"),
        ("run --only helo", 'there is no job "helo"', '"hello"'),
        ("run --grace soon", '--grace: "soon" is not a duration', "30s"),
        ("start", "start needs the id of a job", "jobctl run"),
        ("stop", "stop needs the id of a job", "jobctl stop --all"),
        ("stop hello --all", "stop takes an id or --all, not both", ""),
        ("trigger", "trigger needs the id of a job", "jobctl status"),
        (
            "trigger hello --dry-run",
            "hello does not support --dry-run",
            "jobs that do: subscription-renewal-reminder, ",
        ),
        ("trigger hello --timeout 0s", '--timeout is at least 1 s, not "0s"', ""),
        ("logs abcdef", 'there is no run "abcdef"', "jobctl runs"),
        ("next", "next needs a job id or a cron expression", "jobctl next"),
        ("runs --since tomorrowish", '--since "tomorrowish" is not a time', "2d"),
        ("runs --failed --status completed", "--failed and --status completed exclude each other", ""),
        ("metrics --json --format prometheus", "--json and --format prometheus exclude each other", ""),
        ("completion bsh", 'there is no completion for "bsh"', 'did you mean "bash"?'),
        ("completion", "completion needs a shell", "completion --help"),
        ("status --project /nowhere-at-all", 'there is no folder "/nowhere-at-all"', "--project"),
        ("run --workers 0", '--workers must be between 1 and 256, not "0"', "jobctl run --help"),
        (
            "run --workers x",
            '--workers must be a whole number between 1 and 256, not "x"',
            "jobctl run --help",
        ),
        ("runs --limit -1", '--limit must be 0 or more, not "-1"', "jobctl runs --help"),
        ("trigger user-growth", 'there is no job "user-growth"', 'did you mean "analytics-user-growth" or'),
        ("trigger zzz", 'there is no job "zzz"', "All jobs: jobctl status"),
        ("status --color blue", "invalid value", "jobctl status --help"),
        ("mode extra", "got unexpected extra argument", "jobctl mode --help"),
    ],
)
def test_a_wrong_use_is_told_with_what_to_do(words: str, message: str, hint: str, cli: Cli) -> None:
    told = cli(*words.split())
    as_json = cli(*words.split(), "--json")

    assert told.code == as_json.code == 2
    if "--json" not in words:
        assert f"error: {message}" in told.stderr
        assert hint in told.stderr
        assert told.stdout == ""
    error = as_json.json["error"]
    assert set(error) == {"code", "message", "hint", "where", "exit_code"}
    assert message in error["message"]
    assert hint in (error["hint"] or "")
    assert error["exit_code"] == 2
    assert as_json.stderr == ""


def test_common_options_may_stand_before_the_command(cli: Cli, tmp_path: Path) -> None:
    assert behind_command(["--json", "--color", "never", "-q", "status", "x"]) == [
        "status", "--json", "--color", "never", "-q", "x",
    ]  # fmt: skip
    assert behind_command(["--project=/x", "mode"]) == ["mode", "--project=/x"]
    assert json.loads(cli("--json", "mode").stdout)["mode"] == "local"
    assert cli("--project", str(tmp_path), "status", "hello").code == 2


def test_several_faults_are_told_together(cli: Cli, here: Path) -> None:
    (here / ".env.local").write_text("SMTP_PORT=maybe\nNODE_ENV=moon\n")

    told = cli("trigger", "repository-sync")
    as_json = cli("trigger", "repository-sync", "--json").json["error"]

    assert told.code == 2
    assert "error: .env.local:1: SMTP_PORT is" in told.stderr
    assert told.stderr.endswith("2 problems, nothing was started\n")
    assert [one["where"] for one in as_json["problems"]] == [".env.local:2", ".env.local:1"]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_understood_without_typer_is_what_typer_understands(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(f"jobctl.cli.commands.{name}")
    taken: list[object] = []
    monkeypatch.setattr(module, "run", lambda options, context: taken.append((options, context.common)))
    command = COMMANDS[name]
    flags = [long for long, one in {**command.options, **COMMON}.items() if not one.value]
    declared = [kind.__metadata__[0] for kind in module.Options.__annotations__.values()]
    words = ["x" for one in declared if not one.names and not one.settings["hidden"]]

    for args in (
        [name],
        [name, *words],
        [name, *("" for _ in words)],
        ["-q", name, *flags, "-v", *words],
        [*flags[-3:], name],
    ):
        call = understood(args)
        assert call is not None, args
        call()
        with suppress(SystemExit):
            typer.main.get_command(app).main(args)
        assert taken[-2] == taken[-1]
        assert len(taken) % 2 == 0

    for args in (
        [name, "-h"],
        [name, "--color", "never"],
        [name, "--"],
        [name, "x", "y", "z"],
        [name, "--nonsense"],
    ):
        assert understood(args) is None


def test_what_names_no_command_is_for_typer() -> None:
    assert [understood(args) for args in ([], ["-V"], ["--json"], ["stauts"], ["--project"])] == [None] * 5


def test_only_the_asked_command_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def building(name: str) -> object:
        built.append(name)
        return build(name)

    monkeypatch.setattr("jobctl.cli.app.build", building)
    root = typer.main.get_command(app)

    with pytest.raises(SystemExit):
        root.main(["mode", "--short"])

    assert built == ["mode"]
