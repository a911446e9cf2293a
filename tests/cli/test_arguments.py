"""``trigger ID NAME=VALUE``: arguments are checked before anything is recorded, kept with the run, and shown."""

import json
from pathlib import Path

import pytest

from tests.support.terminal import Answer, Cli

PROJECT = """
modules = ["cleaning"]

[jobs.dump]
command = ["sh", "-c", 'echo "$JOBCTL_ARG_TARGET $JOBCTL_ARG_KEEP $JOBCTL_ARGUMENTS"']
arguments = { keep = 7 }

[jobs.broken]
call = "cleaning:no_such_function"
"""
CODE = '''
from datetime import date, timedelta
from typing import Literal

from jobctl import job


@job(every="1d", arguments={"older_than": timedelta(days=30)})
def clean(older_than: timedelta, kind: Literal["old", "all"] = "old", days: list[date] = [], password: str = ""):
    """Clean up."""
    print(older_than.total_seconds(), kind, days, password)
    return {"kind": kind, "password": password}
'''


@pytest.fixture
def project(here: Path, cli: Cli) -> Cli:
    (here / "jobctl.toml").write_text(PROJECT)
    (here / "cleaning.py").write_text(CODE)
    return cli


def refused(answer: Answer, cli: Cli) -> str:
    """The message of a call that was refused as wrong use and has recorded nothing."""
    assert answer.code == 2
    assert cli("runs", "--json").json["runs"] == []
    return answer.stderr


def test_arguments_reach_the_function_with_the_types_of_its_hints(project: Cli) -> None:
    done = project("trigger", "clean", "older_than=1h", "kind=all", "days=2026-01-02", "days=2026-01-03")
    assert done.code == 0, done.stderr
    assert "3600.0 all [datetime.date(2026, 1, 2), datetime.date(2026, 1, 3)]" in done.stdout


def test_the_arguments_of_the_definition_hold_where_no_others_are_given(project: Cli) -> None:
    assert "2592000.0 old []" in project("trigger", "clean").stdout
    assert "2592000.0 all []" in project("trigger", "clean", "kind=all").stdout
    assert 's3://b 7 {"keep": 7, "target": "s3://b"}' in project("trigger", "dump", "target=s3://b").stdout


def test_a_json_object_from_a_file_or_standard_input(
    project: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "given.json").write_text('{"older_than": "2h", "kind": "all"}')
    done = project("trigger", "clean", "--arguments", "given.json", "kind=old")
    assert "7200.0 old []" in done.stdout
    piped = project("trigger", "clean", "--arguments", "-", stdin='{"days": ["2026-01-02"]}')
    assert "old [datetime.date(2026, 1, 2)]" in piped.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kind=new"], 'clean: the argument "kind" takes old or all, not "new"'),
        (["older_than=soon"], 'takes a duration such as 30s or 1h30m, not "soon"'),
        (["older=1d"], 'clean has no parameter "older"'),
        (["kind"], '"kind" is not an argument'),
        (["kind=old", "kind=all"], 'the argument "kind" is given twice'),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_recorded(
    project: Cli, words: list[str], message: str
) -> None:
    assert message in refused(project("trigger", "clean", *words), project)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no JSON object, but list"),
        ("{", "holds no JSON object: "),
        ('{"days": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "holds no JSON object"),
        ('{"kind": 1}', 'the argument "kind" takes old or all, not 1'),
        (json.dumps({"password": "a" * 70_000}), "the arguments of clean are larger than 64 KiB"),
    ],
)
def test_a_wrong_document_is_refused(project: Cli, here: Path, text: str, message: str) -> None:
    (here / "given.json").write_text(text)
    assert message in refused(project("trigger", "clean", "--arguments", "given.json"), project)


@pytest.mark.parametrize("word", ["a-b=1", "=1", "x y=1", "1st=1"])
def test_a_program_takes_no_argument_that_cannot_name_a_variable(project: Cli, word: str) -> None:
    message = refused(project("trigger", "dump", word), project)
    assert "a name has letters, digits and _, and does not begin with a digit" in message


def test_a_file_that_is_not_there(project: Cli) -> None:
    message = refused(project("trigger", "clean", "--arguments", "none.json"), project)
    assert "none.json cannot be read: no such file or directory" in message


def test_a_function_that_cannot_be_called(project: Cli) -> None:
    message = refused(project("trigger", "broken", "kind=all"), project)
    assert "cleaning:no_such_function cannot be called: AttributeError" in message


def test_a_run_without_a_required_argument_fails_and_names_it(project: Cli, here: Path) -> None:
    (here / "jobctl.toml").write_text('[jobs.by-hand]\ncall = "cleaning:clean"\n')
    done = project("trigger", "by-hand")
    assert done.code == 1
    assert 'clean needs the argument "older_than": a duration such as 30s or 1h30m' in done.stderr


def test_they_are_kept_with_the_run_and_secrets_are_masked(project: Cli) -> None:
    done = project("trigger", "clean", "kind=all", "password=Zm9vYmFyYmF6cXV4")
    (run,) = project("runs", "--json").json["runs"]
    shown = project("status", run["run_id"])

    assert "Zm9vYmFyYmF6cXV4" not in done.stdout + done.stderr + json.dumps(run) + shown.stdout
    assert run["arguments"] == {"older_than": "30d", "kind": "all", "password": "••••"}
    assert json.loads(shown.rows[0]["ARGUMENTS"]) == run["arguments"]


def test_check_finds_arguments_that_the_function_does_not_take(project: Cli, here: Path) -> None:
    (here / "jobctl.toml").write_text(
        '[jobs.clean]\nevery = "1h"\ncall = "cleaning:clean"\narguments = { older_than = "1d", kind = "new" }\n'
        '[jobs.by-hand]\ncall = "cleaning:clean"\n'
    )
    checked = project("check", "settings")
    assert checked.code == 2
    assert 'clean: the argument "kind" takes old or all, not "new"' in checked.stdout
    assert "by-hand" not in checked.stdout  # it is only triggered, with the argument that it needs
