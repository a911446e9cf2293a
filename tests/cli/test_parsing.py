"""What is understood of a command line, and what is answered to one that is not."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

import jobctl
from jobctl.cli.app import PANELS, app, build, common_last
from jobctl.cli.command_data import ALIASES, COMMANDS, COMMON
from jobctl.cli.commands.help import TOPICS
from tests.support.command_data import FILE, examples, source
from tests.support.terminal import Cli

ROOT = Path(jobctl.__file__).parents[1]


def arguments(name: str) -> list[Any]:
    return [one for one in build(name).params if one.param_type_name == "argument"]


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == cli("-V").stdout == f"jobctl {jobctl.__version__}\n"


def test_without_arguments_it_shows_the_short_help(cli: Cli) -> None:
    alone = cli()

    assert alone.code == 0
    assert alone.stdout == cli("--help").stdout == cli("-h").stdout
    for panel, names in PANELS.items():
        assert f"{panel:<7} {names[0]:<13} {COMMANDS[names[0]].summary}\n" in alone.stdout
        for name in names:
            elsewhere = {
                "help": "help COMMAND",
                "completion": "completion SHELL",
                "watch": "watch exits with 1 if a job is late",
                "explain": "explain says it in words",
                "import": "import reads a crontab",
                "uninstall": "uninstall removes it",
                "report": "report makes a report",
            }
            listed = ", ".join([name, *(alias for alias, named in ALIASES.items() if named == name)])
            assert elsewhere.get(name, f" {listed:<13} {COMMANDS[name].summary}\n") in alone.stdout


def test_the_short_help_fits_a_small_terminal_above_the_next_prompt(cli: Cli) -> None:
    lines = cli("--help").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert len(lines) <= 23


def test_the_generated_data_is_what_the_application_declares() -> None:
    assert FILE.read_text(encoding="utf-8") == source(), "make it anew: python -m tests.support.command_data"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples_of_its_own(name: str, cli: Cli) -> None:
    shown = cli(name, "--help")

    assert shown.code == 0
    assert shown.stdout == cli(name, "-h").stdout
    assert examples(name)
    assert all(f"  $ {example}\n" in shown.stdout for example in examples(name))
    assert all(f"jobctl {name}" in example for example in examples(name))
    assert shown.stdout == cli("help", name).stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    plain = " ".join(shown.stdout.split())
    assert f"Usage: jobctl {name} [OPTIONS]" in plain
    for long, option in {**COMMANDS[name].options, **COMMON}.items():
        assert long in plain
        assert option.help in plain
        assert option.short in plain
    assert all(value in plain for one in arguments(name) for value in getattr(one.type, "choices", ()))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_argument_that_is_needed_is_shown_without_brackets(name: str, cli: Cli) -> None:
    usage = cli(name, "--help").stdout.partition("\n\n")[0].partition("[OPTIONS]")[2].split()

    assert [not one.startswith("[") for one in usage] == [one.required for one in arguments(name)]


def test_help_on_help_names_the_topics(cli: Cli) -> None:
    shown = "".join(cli("help", "--help").stdout.split())
    assert all(topic in shown for topic in TOPICS)


def test_help_on_help_and_on_nothing_that_there_is(cli: Cli) -> None:
    assert cli("help").stdout == cli().stdout
    assert cli("help", "help").stdout == cli("help", "-h").stdout
    result = cli("help", "stauts")
    assert (result.code, result.stdout) == (2, "")
    assert 'did you mean "status"?' in result.stderr
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
        ("run 5m", "run takes no argument: it is the scheduler", "jobctl trigger ID"),
        ("run --only helo", 'there is no job "helo"', '"hello"'),
        ("run --grace soon", '--grace: "soon" is not a duration', "30s"),
        ("start", "start needs the id of a job", "jobctl run"),
        ("stop", "stop needs the id of a job", "jobctl stop --all"),
        ("stop hello --all", "stop takes an id or --all, not both", ""),
        ("trigger", "trigger needs ID: a job; jobctl status lists them", "jobctl trigger repository-sync"),
        (
            "trigger hello --dry-run",
            "hello does not support --dry-run",
            "jobs that do: subscription-renewal-reminder, ",
        ),
        ("trigger hello --timeout 0s", '--timeout is at least 1 s, not "0s"', ""),
        ("logs abcdef", 'there is no run "abcdef"', "jobctl runs"),
        (
            "next",
            "next needs ID|CRON: a job, a cron expression in quotes, or an interval",
            "jobctl next repository-sync",
        ),
        ("report", "report needs NAME: one of daily, weekly, monthly, quarterly", "jobctl report weekly"),
        ("export vercel", "export needs DIR: folder to write to", "jobctl export trigger-dev worker"),
        ("new --every 5m", "new needs ID: id of the new job", "jobctl new tidy-up"),
        ("runs --since tomorrowish", '--since "tomorrowish" is not a time', "2d"),
        ("runs --failed --status completed", "--failed and --status completed exclude each other", ""),
        ("metrics --json --format prometheus", "--json and --format prometheus exclude each other", ""),
        ("completion bsh", 'SHELL must be bash, zsh or fish, not "bsh"', 'did you mean "bash"?'),
        ("completion", "completion needs SHELL: bash, zsh or fish", "jobctl completion bash"),
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
        ("status --color blue", '--color must be auto, always or never, not "blue"', "jobctl status --help"),
        (
            "export vercl x",
            'PLATFORM must be trigger-dev, vercel or schema, not "vercl"',
            'did you mean "vercel"?',
        ),
        ("next 5m -n 0", '--count must be between 1 and 10000, not "0"', "jobctl next --help"),
        ("mode extra", 'mode does not take "extra"', "jobctl mode --help"),
        ("completion bash zsh fish", 'completion does not take "zsh fish"', "jobctl completion --help"),
    ],
)
def test_a_wrong_use_is_reported_with_what_to_do(words: str, message: str, hint: str, cli: Cli) -> None:
    result = cli(*words.split())
    as_json = cli(*words.split(), "--json")

    assert result.code == as_json.code == 2
    if "--json" not in words:
        assert f"error: {message}" in result.stderr
        assert hint in result.stderr
        assert result.stdout == ""
    error = as_json.json["error"]
    assert set(error) == {"code", "message", "hint", "where", "exit_code"}
    assert message in error["message"]
    assert hint in (error["hint"] or "")
    assert error["exit_code"] == 2
    assert as_json.stderr == ""


def test_common_options_may_stand_before_the_command(cli: Cli, tmp_path: Path) -> None:
    assert common_last(["--json", "--color", "never", "-q", "status", "x"]) == [
        "status", "--json", "--color", "never", "-q", "x",
    ]  # fmt: skip
    assert common_last(["--project=/x", "mode"]) == ["mode", "--project=/x"]
    assert json.loads(cli("--json", "mode").stdout)["mode"] == "local"
    assert cli("--project", str(tmp_path), "status", "hello").code == 2


def test_several_errors_are_reported_together(cli: Cli, here: Path) -> None:
    (here / ".env.local").write_text("SMTP_PORT=maybe\nNODE_ENV=moon\n")

    result = cli("trigger", "repository-sync")
    as_json = cli("trigger", "repository-sync", "--json").json["error"]

    assert result.code == 2
    assert "error: .env.local:1: SMTP_PORT is" in result.stderr
    assert result.stderr.endswith("2 problems, nothing was started\n")
    assert [one["where"] for one in as_json["problems"]] == [".env.local:2", ".env.local:1"]


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


@pytest.mark.parametrize("words", [("help", "--json"), ("help", "status", "--json")])
def test_help_as_json(cli: Cli, words: tuple[str, ...]) -> None:
    document = cli(*words).json

    assert document["topic"] == (words[1] if len(words) == 3 else "jobctl")
    assert "Usage: jobctl" in document["text"]
