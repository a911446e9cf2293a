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
