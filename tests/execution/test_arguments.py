"""What a job's function takes: arguments read from text and JSON, refused with a sentence, built for the call."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Annotated, Any, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.arguments import LARGEST, OF_PROGRAM, check, choices, variables_of
from jobctl.durations import write_duration
from jobctl.errors import PermanentJobError, UsageError
from jobctl.signature import build, schema_of

Plan = Enum("Plan", {"FREE": "free", "PRO": "pro"})
Level = Enum("Level", {"LOW": 0, "HIGH": 1})
Points = Enum("Points", {"ORIGIN": (0, 0)})
UserId = NewType("UserId", int)


def takes(hint: Any) -> Callable[[Any], Any]:
    """A function ``clean`` with one parameter, ``x``, that has this type hint."""

    def clean(x: Any) -> None: ...

    clean.__annotations__["x"] = hint
    return clean


def checked(
    function: Callable[..., Any], *texts: tuple[str, str], is_partial: bool = False, **values: Any
) -> dict[str, Any]:
    """Arguments for ``clean``, given as texts or as JSON values."""
    return check("clean", schema_of(function), texts, values, is_partial=is_partial)


@pytest.mark.parametrize(
    ("hint", "text", "kept", "built"),
    [
        (str, "", "", ""),
        (str, "null", "null", "null"),
        (int, "-3", -3, -3),
        (UserId, "7", 7, 7),
        (Annotated[int, "of users"], "7", 7, 7),
        (float, "2.5", 2.5, 2.5),
        (float, "3", 3, 3.0),
        (bool, "Yes", True, True),
        (bool, "0", False, False),
        (date, "2026-12-24", "2026-12-24", date(2026, 12, 24)),
        (datetime, "2026-12-24T09:00", "2026-12-24T09:00", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        (
            datetime,
            "2026-12-24T09:00+01:00",
            "2026-12-24T09:00+01:00",
            datetime(2026, 12, 24, 9, tzinfo=timezone(timedelta(hours=1))),
        ),
        (timedelta, "1h30m", "1h30m", timedelta(minutes=90)),
        (Literal["daily", "weekly"], "weekly", "weekly", "weekly"),
        (Literal[1, 2], "2", 2, 2),
        (Plan, "pro", "pro", Plan["PRO"]),
        (Level, "LOW", "LOW", Level["LOW"]),
        (Points, "ORIGIN", "ORIGIN", Points["ORIGIN"]),
        (int | None, "null", None, None),
        (int | None, "5", 5, 5),
        (int | str, "5", 5, 5),
        (int | str, "five", "five", "five"),
        (list[int], "[1, 2]", [1, 2], [1, 2]),
        (list[int], "1", [1], [1]),
        (tuple[int, ...], "1", [1], (1,)),
        (set[str], "a", ["a"], {"a"}),
        (Sequence[date], "2026-12-24", ["2026-12-24"], [date(2026, 12, 24)]),
        (list[int] | None, "1", [1], [1]),
        (list[str] | None, "null", None, None),
        (list[str], "null", ["null"], ["null"]),
        (dict[str, int], '{"a": 1}', {"a": 1}, {"a": 1}),
        (Mapping[str, int], '{"a": 1}', {"a": 1}, {"a": 1}),
        (Any, "[1]", [1], [1]),
        (Any, "1", "1", "1"),
        (object, "text", "text", "text"),
        ("NotImported", "text", "text", "text"),
    ],
)
def test_a_text_is_kept_as_json_and_built_by_its_type_hint(
    hint: Any, text: str, kept: Any, built: Any
) -> None:
    function = takes(hint)
    found = checked(function, ("x", text))
    assert json.loads(json.dumps(found)) == found == {"x": kept}
    assert type(found["x"]) is type(kept)
    assert build(function, found) == {"x": built}
    assert type(build(function, found)["x"]) is type(built)
    assert checked(function, x=kept) == {"x": kept}
    json.dumps(schema_of(function))


@pytest.mark.parametrize(
    ("hint", "text", "words"),
    [
        (int, "many", 'takes a whole number, not "many"'),
        (int, "2.5", "takes a whole number"),
        (float, "nan", "takes a number"),
        (float, "1e999", "takes a number"),
        (bool, "maybe", "takes true or false"),
        (date, "2026-02-30", "takes a date such as 2026-12-24"),
        (date, "2026-12-24T09:00", "takes a date such as 2026-12-24"),
        (datetime, "tomorrow", "takes a time such as 2026-12-24T09:00+01:00"),
        (timedelta, "90", "takes a duration such as 30s or 1h30m"),
        (Literal["daily", "weekly", "monthly"], "hourly", 'takes daily, weekly or monthly, not "hourly"'),
        (Plan, "gold", "takes free or pro"),
        (int | None, "x", "takes a whole number or null"),
        (list[int], "a", 'takes a list: a whole number each, not "a"'),
        (list[int], '["a"]', "takes a list: a whole number each"),
        (list[int], "[1", "takes a list: a whole number each"),
        (dict[str, int], "[1]", "takes a JSON object"),
        (Any, "[1", "takes any value"),
        (Any, "[" * 100_000, "takes any value"),
    ],
)
def test_a_text_that_is_not_what_the_parameter_takes_is_refused(hint: Any, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked(takes(hint), ("x", text))
    assert f'clean: the argument "x" {words}' in str(refused.value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, True),
        (int, "5"),
        (int, 2.5),
        (bool, 1),
        (str, 5),
        (float, True),
        (date, 20261224),
        (Literal[1], True),
        (list[int], 5),
        (list[int], [1, None]),
        (dict[str, int], []),
    ],
)
def test_a_json_value_of_another_type_is_refused(hint: Any, value: Any) -> None:
    with pytest.raises(UsageError, match='the argument "x" takes'):
        checked(takes(hint), x=value)
    with pytest.raises(PermanentJobError, match='the argument "x" takes'):
        build(takes(hint), {"x": value})


def test_a_list_may_be_given_several_times_and_another_argument_only_once() -> None:
    assert checked(takes(list[int]), ("x", "1"), ("x", "2"), x=[9]) == {"x": [1, 2]}
    with pytest.raises(UsageError, match='the argument "x" is given twice'):
        checked(takes(int), ("x", "1"), ("x", "2"))


def test_an_unknown_name_is_refused_with_what_the_function_takes() -> None:
    def clean(*, older_than: timedelta, limit: int = 5) -> None: ...

    with pytest.raises(UsageError) as refused:
        checked(clean, ("older-than", "1d"))
    assert str(refused.value.problem) == 'clean has no parameter "older-than"'
    assert 'did you mean "older_than"?' in str(refused.value.hint)
    assert "older_than (a duration such as 30s or 1h30m), limit (a whole number)" in str(refused.value.hint)


def test_a_missing_argument_is_refused_and_one_with_a_default_is_not() -> None:
    def clean(limit: int, kind: str = "all") -> None: ...

    with pytest.raises(UsageError, match='clean needs the argument "limit": a whole number'):
        checked(clean, ("kind", "old"))
    with pytest.raises(PermanentJobError, match='clean needs the argument "limit": a whole number'):
        build(clean, {"kind": "old"})
    assert checked(clean, ("kind", "old"), is_partial=True) == {"kind": "old"}
    assert checked(clean, ("limit", "3")) == {"limit": 3}


def test_positional_only_and_collected_parameters_cannot_be_given_by_name() -> None:
    def clean(hidden: int = 1, /, *rest: int, shown: int = 2) -> None: ...

    assert list(schema_of(clean)["properties"]) == ["shown"]


def test_a_function_that_collects_names_and_a_program_take_every_name() -> None:
    def clean(**others: Any) -> None: ...

    assert checked(clean, ("any_name", "1")) == {"any_name": "1"}
    assert check("dump", OF_PROGRAM, [("any_name", "1")], {}) == {"any_name": "1"}
    with pytest.raises(UsageError, match='dump has no parameter "no-name"'):
        check("dump", OF_PROGRAM, [("no-name", "1")], {})


def test_a_program_finds_its_arguments_in_its_variables() -> None:
    assert variables_of({}) == {}
    assert variables_of({"target": "s3://b", "keep": 7, "days": ["mon"]}) == {
        "JOBCTL_ARGUMENTS": '{"target": "s3://b", "keep": 7, "days": ["mon"]}',
        "JOBCTL_ARG_TARGET": "s3://b",
        "JOBCTL_ARG_KEEP": "7",
        "JOBCTL_ARG_DAYS": '["mon"]',
    }


def test_the_type_of_a_parameter_without_a_hint_is_that_of_its_default() -> None:
    def clean(limit=5, keep=False, name=None): ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    found = checked(clean, ("limit", "7"), ("keep", "yes"), ("name", "a"))
    assert found == {"limit": 7, "keep": True, "name": "a"}


def test_completion_and_forms_know_the_choices() -> None:
    def clean(
        kind: Literal["old", 1], keep: bool, limit: int | None, days: list[Literal["mon", "tue"]]
    ) -> None: ...

    properties = schema_of(clean)["properties"]
    assert [choices(properties[name]) for name in ("kind", "keep", "limit", "days")] == [
        ["old", "1"],
        ["true", "false"],
        [],
        ["mon", "tue"],
    ]


def test_arguments_larger_than_64_kib_are_refused() -> None:
    assert checked(takes(str), ("x", "a" * (LARGEST - 20)))
    with pytest.raises(UsageError, match="the arguments of clean are larger than 64 KiB"):
        checked(takes(str), ("x", "a" * LARGEST))


@pytest.mark.parametrize("function", [dict.get, int, print, max])
def test_a_function_without_a_python_signature_can_still_be_described(function: Callable[..., Any]) -> None:
    assert schema_of(function)["type"] == "object"


@given(
    st.sampled_from(
        [int, float, bool, str, date, timedelta, list[int], int | None, Plan, Literal["a", 1], dict, Any]
    ),
    st.text(),
)
def test_any_text_is_either_refused_or_kept_and_built(hint: Any, text: str) -> None:
    function = takes(hint)
    try:
        found = checked(function, ("x", text))
    except UsageError:
        return
    assert checked(function, **json.loads(json.dumps(found))) == found
    build(function, found)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36000)))
def test_a_duration_keeps_its_milliseconds(duration: timedelta) -> None:
    text = write_duration(duration)
    built = build(takes(timedelta), checked(takes(timedelta), ("x", text)))
    assert abs(built["x"] - duration) <= timedelta(milliseconds=1)
