import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.errors import ConfigurationError
from jobctl.modes import RULES, Mode, explain, resolve
from jobctl.settings.environment import Environment

NOWHERE = Path("/nonexistent")
TRIGGER = {
    "TRIGGER_DEV_API_KEY": "tr_prod_0123456789",
    "TRIGGER_DEV_ENABLED": "true",
    "NODE_ENV": "production",
}


def env(**process: str) -> Environment:
    return Environment.load(NOWHERE, process)


@pytest.mark.parametrize(
    ("process", "mode"),
    [
        ({}, Mode.LOCAL),
        ({"DISABLE_AUTO_SYNC": "yes"}, Mode.DISABLED),
        ({"DISABLE_AUTO_SYNC": "no"}, Mode.LOCAL),
        (TRIGGER, Mode.TRIGGER_DEV),
        ({**TRIGGER, "NODE_ENV": "development"}, Mode.LOCAL),
        ({**TRIGGER, "TRIGGER_DEV_ENABLED": "false"}, Mode.LOCAL),
        ({**TRIGGER, "TRIGGER_DEV_ENABLED": "1"}, Mode.LOCAL),
        ({**TRIGGER, "TRIGGER_DEV_API_KEY": " "}, Mode.LOCAL),
        ({**TRIGGER, "TRIGGER_DEV_API_KEY": "", "TRIGGER_SECRET_KEY": "tr_prod_1"}, Mode.TRIGGER_DEV),
        ({"VERCEL": "1"}, Mode.VERCEL),
        ({"VERCEL": "true"}, Mode.LOCAL),
        ({**TRIGGER, "VERCEL": "1"}, Mode.TRIGGER_DEV),
        ({**TRIGGER, "VERCEL": "1", "DISABLE_AUTO_SYNC": "1"}, Mode.DISABLED),
    ],
)
def test_the_first_rule_that_matches_decides(process: dict[str, str], mode: Mode) -> None:
    assert resolve(env(**process)) is mode


TEXTS = st.sampled_from(
    ["", "1", "true", "false", "yes", "production", "development", "test", "tr_dev_x", "https://x.y"]
)


@given(st.dictionaries(st.sampled_from([one.variable for rule in RULES for one in rule.conditions]), TEXTS))
def test_the_explanation_never_differs_from_the_resolver(process: dict[str, str]) -> None:
    surroundings = env(**process)
    try:
        surroundings.require()
        mode = resolve(surroundings)
    except ConfigurationError:
        return
    explanation = explain(surroundings)

    assert explanation.mode is mode
    matched = [rule for rule in explanation.rules if rule.matched]
    assert [rule.mode for rule in matched] == [mode]
    assert all(seen.satisfied for seen in matched[0].variables)
    for rule in explanation.rules[: explanation.rules.index(matched[0])]:
        assert not all(seen.satisfied for seen in rule.variables)
    assert [rule.evaluated for rule in explanation.rules] == [
        index <= explanation.rules.index(matched[0]) for index in range(len(RULES))
    ]


def test_a_reason_names_variable_value_and_what_would_do() -> None:
    rules = {rule.mode: rule for rule in explain(env(**{**TRIGGER, "NODE_ENV": "test"})).rules}

    assert rules[Mode.DISABLED].reason == "DISABLE_AUTO_SYNC is not set"
    assert rules[Mode.TRIGGER_DEV].reason == 'NODE_ENV is "test", must be production'
    assert rules[Mode.LOCAL].reason == "no rule above matched"


def test_a_secret_is_masked_in_the_document() -> None:
    document = explain(env(**TRIGGER)).to_json()

    key = document["rules"][1]["variables"][0]
    assert key["value"] == "tr_prod_•••• (18 characters)"
    assert "0123456789" not in str(document)


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ({"TRIGGER_DEV_ENABLED": "true"}, "TRIGGER_DEV_ENABLED is true, but TRIGGER_DEV_API_KEY is not set"),
        (
            {"TRIGGER_DEV_API_KEY": "tr_dev_x"},
            "TRIGGER_DEV_API_KEY is set, but TRIGGER_DEV_ENABLED is not set",
        ),
    ],
)
def test_a_half_configured_trigger_dev_is_warned_of(process: dict[str, str], words: str) -> None:
    (warning,) = explain(env(**process)).warnings

    assert words in warning


def test_a_node_env_from_a_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NODE_ENV=production\n")

    (warning,) = explain(Environment.load(tmp_path, {})).warnings
    assert "NODE_ENV comes from .env:1" in warning


def test_overridden_values_are_listed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VERCEL=1\n")

    explanation = explain(Environment.load(tmp_path, {"VERCEL": ""}))

    assert explanation.mode is Mode.LOCAL
    assert explanation.hidden == (("VERCEL", ".env:1", "process environment"),)


def test_a_bad_value_is_shown_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NODE_ENV=prod\nSMTP_PORT=smtp\n")
    found = explain(
        Environment.load(tmp_path, {"TRIGGER_DEV_API_KEY": "tr_prod_x", "TRIGGER_DEV_ENABLED": "true"})
    )

    assert (found.mode, found.manager) == (None, None)
    _, undecided, vercel, local = found.rules
    assert (undecided.undecided, undecided.matched, undecided.evaluated) == (True, False, True)
    assert undecided.reason == 'NODE_ENV is "prod", expected development, production or test'
    assert [one.problem for one in undecided.variables] == [None, None, None, undecided.reason]
    assert {vercel.reason, local.reason} == {"not evaluated: a rule above cannot be decided"}
    assert [one.where for one in found.problems] == [".env:1", ".env:2"]
    assert found.to_json()["problems"][1]["message"] == (
        '.env:2: SMTP_PORT is "smtp", expected a port from 1 to 65535'
    )


def test_an_invalid_value_that_no_rule_reads_does_not_change_the_mode(tmp_path: Path) -> None:
    found = explain(Environment.load(tmp_path, {"NODE_ENV": "prod", "VERCEL": "1"}))

    assert found.mode is Mode.VERCEL
    assert [one.undecided for one in found.rules] == [False] * 4
    assert len(found.problems) == 1


def test_the_rules_cost_nothing_to_import() -> None:
    code = "import sys, jobctl.modes; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    heavy = {"json", "rich", "typer", "asyncio", "croniter", "sqlite3", "urllib.request", "dotenv", "tomllib"}
    assert not heavy & set(loaded)


def test_the_names_of_stand_ins_are_shown() -> None:
    explained = explain(
        env(TRIGGER_SECRET_KEY="tr_prod_0123456789", TRIGGER_DEV_ENABLED="1", NODE_ENV="production")
    )
    rule = next(one for one in explained.rules if one.mode is Mode.TRIGGER_DEV)

    assert [seen.name for seen in rule.variables][:2] == ["TRIGGER_SECRET_KEY", "TRIGGER_DEV_API_URL"]
    assert rule.reason == 'TRIGGER_DEV_ENABLED is "1", must be true'
    (warning,) = explained.warnings
    assert 'TRIGGER_SECRET_KEY is set, but TRIGGER_DEV_ENABLED is "1"' in warning
