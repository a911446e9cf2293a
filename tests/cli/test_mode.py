"""``mode``: who is in charge, and what decided it."""

from pathlib import Path

import pytest

from tests.support.terminal import Cli


def test_the_document(cli: Cli) -> None:
    found = cli("mode", "--json").json

    assert (found["mode"], found["manager"], found["warnings"]) == ("local", "LocalJobManager", [])
    assert [(one["mode"], one["matched"]) for one in found["rules"]] == [
        ("disabled", False),
        ("trigger-dev", False),
        ("vercel", False),
        ("local", True),
    ]
    assert all(one["reason"] for one in found["rules"])
    assert {"name": "DISABLE_AUTO_SYNC", "value": None, "source": "not set"}.items() <= (
        found["rules"][0]["variables"][0].items()
    )


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "local"),
        ({"DISABLE_AUTO_SYNC": " Yes "}, "disabled"),
        ({"VERCEL": "1"}, "vercel"),
        (
            {"NODE_ENV": "production", "TRIGGER_DEV_ENABLED": "true", "TRIGGER_DEV_API_KEY": "tr_prod_x"},
            "trigger-dev",
        ),
    ],
)
def test_one_word(environment: dict[str, str], mode: str, cli: Cli) -> None:
    assert cli("mode", "--short", **environment).stdout == f"{mode}\n"


def test_a_wrong_configuration_is_explained_and_is_wrong_use(cli: Cli, here: Path) -> None:
    (here / ".env").write_text("TRIGGER_DEV_API_URL=nonsense\nJOBCTL_STATE=http://x\n")
    trigger = {"NODE_ENV": "production", "TRIGGER_DEV_ENABLED": "true", "TRIGGER_DEV_API_KEY": "tr_prod_x"}

    shown, short, document = (cli("mode", *words, **trigger) for words in ((), ("--short",), ("--json",)))

    assert shown.code == short.code == document.code == 2
    assert shown.stdout.startswith("not decided: ")
    assert "  2 trigger-dev  ?   TRIGGER_DEV_API_URL " in shown.stdout
    assert "  BAD  TRIGGER_DEV_API_URL  " in shown.stdout
    assert "expected a URL such as https://example.com)" in shown.stdout
    assert "error: .env:1: TRIGGER_DEV_API_URL" in shown.stderr
    assert short.stdout == ""
    assert "error: .env:1: TRIGGER_DEV_API_URL" in short.stderr
    assert document.json["mode"] is None
    assert [one["where"] for one in document.json["problems"]] == [".env:1", ".env:2"]


def test_the_screen_shows_each_rule_its_reason_and_its_place(cli: Cli, here: Path) -> None:
    (here / ".env.local").write_text('DISABLE_AUTO_SYNC="false"\nTRIGGER_DEV_API_KEY=tr_prod_sesame_open\n')
    (here / ".env").write_text("DISABLE_AUTO_SYNC=1\n")

    shown = cli("mode")
    lines = shown.stdout.splitlines()

    assert lines[0].startswith("local: jobs run here")
    assert 'DISABLE_AUTO_SYNC is "false"' in lines[2]
    assert lines[2].endswith(".env.local:1")
    assert "  4 local        YES  no rule above matched" in lines
    assert any("NODE_ENV" in line and "must be production" in line for line in lines)
    assert "tr_prod_•••• (19 characters)" in shown.stdout
    assert "sesame" not in shown.stdout + shown.stderr
    assert any(line.split() == [".env.local", "2", "variables"] for line in lines)
    assert any(line.split() == [".env.development", "not", "there"] for line in lines)
    assert "  DISABLE_AUTO_SYNC, .env:1: hidden by .env.local:1" in lines
    assert shown.stderr.startswith("warning: Trigger.dev is half configured: TRIGGER_DEV_API_KEY")
    assert cli("mode", "--quiet").stderr == ""
