"""The JSON Schema of ``jobctl.toml`` says what ``build_job`` takes."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.catalogue import build
from jobctl.catalogue.build import build_job
from jobctl.errors import ConfigurationErrors
from jobctl.exports.schema import KEYS, schema
from tests.support.project import Site

README = Path(__file__).parents[2] / "README.md"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def fine(settings: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid({"jobs": {"x": settings}}))


def built(settings: dict[str, Any]) -> bool:
    try:
        build_job("x", settings, lambda _: "here")
    except ConfigurationErrors:
        return False
    return True


def test_it_is_a_schema_and_knows_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert set(KEYS) == set(build.KEYS)


def test_what_the_readme_shows_is_fine() -> None:
    text = README.read_text().split("```toml\n")[1].partition("```")[0]
    whole = tomllib.loads(text)

    assert "jobs" in whole
    VALIDATOR.validate(whole)


values = st.one_of(
    st.sampled_from(["5m", "1h 30m", "soon", "", "skip", "queue", "a.b:c", "0 9 * * *", "UTC", True, 3, -1, 101]),
    st.integers(), st.booleans(), st.text(max_size=5), st.lists(st.sampled_from(["A", "b c", "", 1]), max_size=2),
    st.dictionaries(st.sampled_from(["A", "a b"]), st.sampled_from(["x", 1]), max_size=2),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*KEYS, "unknown"]), values, max_size=4))
def test_whatever_runs_is_no_fault_to_an_editor(settings: dict[str, Any]) -> None:
    whole = {"call": "a.b:c", **settings} if "command" not in settings else settings

    assert fine(whole) or not built(whole)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", 5), ("every", "soon"), ("retries", "3"), ("retries", 101), ("overlap", "wait"), ("needs", "A"),
        ("environment", {"A": 1}), ("command", []), ("call", "no-module"), ("enabled", "yes"), ("folder", ""),
        ("unknown", 1),
    ],
)  # fmt: skip
def test_what_is_refused_is_a_fault_to_an_editor(key: str, value: object) -> None:
    settings = {"call": "a.b:c", key: value}

    assert not built(settings)
    assert not fine(settings)


def test_it_is_written_and_checked(site: Site) -> None:
    assert site.call("export", "schema", ".", "--check").returncode == 1
    told = site.call("export", "schema", ".")
    assert (told.returncode, told.stdout) == (0, "created\tjobctl.schema.json\n")
    assert "#:schema ./jobctl.schema.json" in told.stderr
    assert site.call("export", "schema", ".", "--check").returncode == 0
