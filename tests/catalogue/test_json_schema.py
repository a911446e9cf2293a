"""The JSON Schema of ``jobctl.toml`` says what ``build_job`` takes."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.catalogue.job_keys import KEYS, build_job, schema
from jobctl.catalogue.notify_settings import read_notify
from jobctl.errors import ConfigurationErrors
from jobctl.model import Job
from tests.support.pages import Example, examples
from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")

REPORT = build_job("report-x", {"call": "a.b:c", "cron": "0 9 * * 1"}, lambda _: "built-in")
SCHEMA = schema([REPORT.id])


def as_ecmascript_has_it(_: Any, pattern: str, text: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """To Python ``$`` is also before a last line end; to an editor it is the end."""
    end = r"\Z" if pattern.endswith("$") else ""
    if isinstance(text, str) and not re.search(pattern.removesuffix("$") + end, text):
        yield jsonschema.ValidationError(f"{text!r} is not {pattern}")


Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"pattern": as_ecmascript_has_it}
)
VALIDATOR = Validator(SCHEMA)


def fine(settings: dict[str, Any], job_id: str = "x") -> bool:
    return bool(VALIDATOR.is_valid({"jobs": {job_id: settings}}))


def built(settings: dict[str, Any], base: Job | None = None) -> bool:
    try:
        build_job(base.id if base else "x", settings, lambda _: "here", base)
    except ConfigurationErrors:
        return False
    return True


def test_it_is_a_schema_and_knows_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["change"]["properties"]) == set(KEYS)


@pytest.mark.parametrize("example", examples("toml"), ids=str)
def test_the_examples_of_the_documentation_are_valid(example: Example) -> None:
    whole = tomllib.loads(example.text)

    assert "jobs" in whole or "project" in whole
    if "jobs" in whole:
        Validator(schema(one.id for one in BUILT_IN)).validate(whole)


texts = st.text(st.sampled_from('aZ9 -_.:@/$\\"\x00\t\n\x1b\x7f\xa0\xad\u00e9\u4e2d'), max_size=6)
numbers = st.one_of(st.integers(-2, 102), st.sampled_from([1.0, 1.5, 100.0, -0.5, 1e300]))
durations = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", " ", "x"]), st.sampled_from(["0", "1", "007", "999", "1000", "0.5", "1.5", "0.0"]),
    st.sampled_from(["", " ", "  "]), st.sampled_from(["ms", "s", "m", "h", "d", "w", "", "y"]), st.sampled_from(["", "\n"]),
)  # fmt: skip
urls = st.builds(
    "{}{}{}".format,
    st.sampled_from(["https://", "HTTPS://", "http:/", "ftp://", "$", "", "http://"]),
    st.sampled_from(["a.example", "a..b", "[::1]", "a b", "user@a", "A", "{A}", "", "a.", "a:80", "a" * 64]),
    st.sampled_from(["", "/x?y#z", "/a b", "/\u00e9", "\n", "#", "/@"]),
)
commands = st.lists(st.sampled_from(["ls", "", " ", "a\0b", 1]), max_size=3)
tables = st.dictionaries(
    st.sampled_from(["A", "a b", "_1", "1", "A\n"]), st.sampled_from(["x", "", "a\0b", 1]), max_size=2
)
names = st.sampled_from(["a.b:c", "a:b", "a.b", ":c", "a:", "a b:c", "\u00e9:c", "a:b\n", "a..b:c"])
anything = st.one_of(numbers, st.booleans(), commands, tables, st.just(""))
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "name": texts, "group": texts, "folder": texts, "call": names, "command": commands, "environment": tables,
    "cron": st.sampled_from(["0 9 * * *", "*/5 0 9 * * *", "@daily", "* * *", "", " 0 9 * * * ", [], ["0 9 * * *"], ["0 9 * * *", "* * *"], ["@daily"] * 51]),
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "", " "]), "retries": numbers, "check_in": urls, "memory_mib": numbers,
    "overlap": st.sampled_from(["skip", "queue", "replace", "wait", ""]), "needs": st.lists(st.sampled_from(["A", "a b", 1])),
    "after": st.lists(st.sampled_from(["a", "a-b", "A", "a-", "a\n", "a" * 65, 1])),
    "enabled": st.booleans(),
    "catch_up": st.booleans() | st.sampled_from(["none", "last", "each"]),
    "catch_up_limit": st.integers(1, 1000),
    **dict.fromkeys(["every", "timeout", "retry_delay", "jitter", "grace"], durations),
}  # fmt: skip


def settings_of(keys: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({key: FITTING.get(key, anything) | anything for key in keys})


settings = st.lists(st.sampled_from([*KEYS, "unknown"]), unique=True, max_size=4).flatmap(settings_of)


@given(settings, st.sampled_from([{"call": "a.b:c"}, {}]))
def test_an_editor_accepts_the_same_jobs_as_jobctl(some: dict[str, Any], target: dict[str, Any]) -> None:
    whole = {**target, **some}

    assert fine(whole) == built(whole), whole


@pytest.mark.slow
@pytest.mark.parametrize("key", [*KEYS, "unknown"])
@given(st.data())
def test_an_editor_accepts_the_same_values_of_each_key_as_jobctl(key: str, data: st.DataObject) -> None:
    some = data.draw(settings_of([key]))
    target = {} if some.keys() & {"call", "command"} else {"call": "a.b:c"}
    whole = {**target, **some, **({"cron": "0 9 * * *"} if "timezone" in some else {})}

    assert fine(whole) == built(whole), whole


@given(settings)
def test_an_editor_accepts_the_same_changes_of_a_job_as_jobctl(some: dict[str, Any]) -> None:
    assert fine(some, REPORT.id) == built(some, REPORT), some


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "webhook": urls | anything, "command": commands | anything, "other": texts,
            "mail": st.one_of(texts, st.lists(st.sampled_from(["a@b", "x", "", 1]), max_size=2), anything),
            "on": st.lists(st.sampled_from(["failure", "never", 1]), max_size=2) | anything,
        },
    )
)  # fmt: skip
def test_an_editor_accepts_the_same_notify_table_as_jobctl(table: dict[str, Any]) -> None:
    taken, fits = not read_notify(table, "here")[1], VALIDATOR.is_valid({"notify": table})

    assert fits or not taken, table
    assert taken or not fits or "mail" in table, table  # no pattern says what an address may be


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", 5), ("every", "soon"), ("retries", "3"), ("retries", 101), ("overlap", "wait"), ("needs", "A"),
        ("environment", {"A": 1}), ("command", []), ("call", "no-module"), ("enabled", "yes"), ("folder", ""),
        ("unknown", 1), ("check_in", "$"), ("check_in", "${A}"), ("check_in", "AUTO"), ("command", [""]), ("name", "  "), ("every", "500ms"),
        ("timezone", "UTC"),
    ],
)  # fmt: skip
def test_an_editor_refuses_the_same_values_as_jobctl(key: str, value: object) -> None:
    settings = {"call": "a.b:c", key: value}

    assert not built(settings)
    assert not fine(settings)


def test_an_editor_accepts_a_monitor_that_jobctl_makes() -> None:
    settings = {"call": "a.b:c", "every": "5m", "check_in": "auto"}

    assert built(settings)
    assert fine(settings)


def test_a_new_job_needs_a_target() -> None:
    assert not fine({"every": "5m"})
    assert fine({"every": "5m"}, REPORT.id)


def test_a_file_may_change_jobs_that_are_defined_elsewhere(site: Site) -> None:
    site.write("work.py", "from jobctl import job\n@job(every='5m')\ndef sweep(): pass\n")
    text = 'modules = ["work"]\n[jobs.sweep]\nenabled = false\n[jobs.repository-sync]\nevery = "1h"\n'
    site.write("jobctl.toml", text)

    assert site.call("export", "schema", ".").returncode == 0

    Validator(json.loads((site.folder / "jobctl.schema.json").read_text())).validate(tomllib.loads(text))


@pytest.mark.slow
def test_it_is_written_and_checked(site: Site) -> None:
    assert site.call("export", "schema", ".", "--check").returncode == 1
    told = site.call("export", "schema", ".")
    assert (told.returncode, told.stdout) == (0, "created\tjobctl.schema.json\n")
    assert "#:schema ./jobctl.schema.json" in told.stderr
    elsewhere = site.call("export", "schema", str(site.folder.parent / "schemas"))
    assert "#:schema ../schemas/jobctl.schema.json" in elsewhere.stderr
    assert site.call("export", "schema", ".", "--check").returncode == 0
