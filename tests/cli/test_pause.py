"""``pause`` and ``resume``: ``stop`` and ``start`` under another name."""

import pytest

from jobctl.cli.command_data import ALIASES, COMMANDS
from jobctl.cli.completion import candidates
from tests.support.terminal import Cli


def test_pause_and_resume_do_what_stop_and_start_do(cli: Cli) -> None:
    paused = cli("pause", "hello", "--reason", "host moves", "--until", "2d", "--json")
    assert (paused.code, paused.json["jobs"][0]["status"]) == (0, "stopped")
    assert "host moves" in cli("status", "hello").stdout

    resumed = cli("resume", "hello", "--json")
    assert (resumed.code, resumed.json["jobs"][0]["status"]) == (0, "scheduled")


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_the_help_is_the_same_under_both_names(cli: Cli, alias: str, name: str) -> None:
    def words(shown: str) -> list[str]:
        return shown.split()

    own, other = cli(alias, "--help").stdout, cli(name, "--help").stdout
    assert words(own) == words(other.replace(f"jobctl {name}", f"jobctl {alias}"))
    assert f"{name}, {alias}" in cli("--help").stdout


def test_both_names_are_completed_and_suggested(cli: Cli) -> None:
    assert candidates(["pau"]) == [("pause", COMMANDS["stop"].summary)]
    assert [name for name, _ in candidates(["pause", "--un"])] == ["--until"]
    assert 'did you mean "resume"?' in cli("resmue", "hello").stderr


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (("pause",), "pause needs the id of a job", "every job: jobctl pause --all"),
        (("stop",), "stop needs the id of a job", "every job: jobctl stop --all"),
        (("resume",), "resume needs the id of a job", "one job now: jobctl trigger ID"),
        (("pause", "hello", "--all"), "pause takes an id or --all, not both", ""),
        (("pause", "--all"), "pause --all asks first", "add --yes"),
        (("resume", "--all"), "resume --all asks first", "add --yes"),
    ],
)
def test_an_error_names_the_command_that_was_typed(
    cli: Cli, words: tuple[str, ...], problem: str, hint: str
) -> None:
    done = cli(*words)
    shown = " ".join(done.stderr.split())
    assert (done.code, problem in shown, hint in shown) == (2, True, True), done.stderr


def test_a_pause_is_undone_by_resume(cli: Cli) -> None:
    assert "To put it back: jobctl resume hello" in cli("pause", "hello").stderr
    assert "To put it back: jobctl start --all" in cli("stop", "--all", "--yes").stderr
