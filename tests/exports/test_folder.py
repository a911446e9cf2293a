"""Writing an export again: only what changed, and no edited file."""

import json
from pathlib import Path

import pytest

from jobctl.errors import UsageError
from jobctl.export_folder import RECORD, FileChange, compare, write
from tests.support.project import Site
from tests.support.terminal import Cli


def changes(found: object) -> dict[str, str]:
    return {one.name: one.change.value for one in found}  # type: ignore[attr-defined]


def test_what_is_new_or_has_changed_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"

    first = write(folder, {"a": "1", "b/c": "2", "d": "3"})
    untouched = (folder / "a").stat().st_mtime_ns
    second = write(folder, {"a": "1", "b/c": "20"})

    assert set(changes(first).values()) == {"created"}
    assert changes(second) == {"a": "unchanged", "b/c": "changed", "d": "removed"}
    assert (folder / "a").stat().st_mtime_ns == untouched
    assert (folder / "b/c").read_text() == "20"
    assert not (folder / "d").exists()
    assert changes(write(folder, {"a": "1", "b/c": "20"})) == {"a": "unchanged", "b/c": "unchanged"}


def test_an_edited_file_stays_for_ever(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", "gone": "1"})
    (tmp_path / "a").write_text("mine")
    (tmp_path / "gone").write_text("mine too")

    for text in ("2", "3"):
        assert changes(write(tmp_path, {"a": text})) == {"a": "edited", "gone": "edited"}
    assert (tmp_path / "a").read_text() == "mine"
    (tmp_path / "a").unlink()
    assert changes(write(tmp_path, {"a": "3"}))["a"] == "created"


def test_an_edit_that_says_the_same_is_ours_again(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1"})
    (tmp_path / "a").write_text("2")

    assert changes(write(tmp_path, {"a": "2"})) == {"a": "unchanged"}
    assert changes(write(tmp_path, {"a": "3"})) == {"a": "changed"}


def test_a_file_that_was_there_before_us_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")

    assert changes(write(tmp_path, {"package.json": "ours"})) == {"package.json": "edited"}
    assert (tmp_path / "package.json").read_text() == "{}"


@pytest.mark.parametrize(
    "record", ["", "[]", '{"files": 7}', '{"files": {"../../x": "0"}}', '{"files": {"/x": "0"}}']
)
def test_with_an_invalid_record_every_file_counts_as_edited(record: str, tmp_path: Path) -> None:
    write(tmp_path, {"a": "1"})
    (tmp_path / RECORD).write_text(record)

    assert changes(write(tmp_path, {"a": "2"})) == {"a": "edited"}


def test_exports_for_several_platforms_share_a_folder_as_long_as_no_file_differs(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": "1", "requirements.txt": "x"}, platform="vercel")
    found = write(tmp_path, {"schema.json": "{}"}, platform="schema")

    assert changes(found) == {"schema.json": "created"}
    assert changes(write(tmp_path, {"requirements.txt": "x"}, platform="vercel")) == {
        "requirements.txt": "unchanged",
        "app.py": "removed",
    }
    with pytest.raises(UsageError, match=r"holds the export for vercel, which has another requirements\.txt"):
        write(tmp_path, {"requirements.txt": "y"}, platform="trigger-dev")
    assert (tmp_path / "requirements.txt").read_text() == "x"
    assert (tmp_path / "schema.json").exists()


def test_a_file_of_an_unknown_export_stays(tmp_path: Path) -> None:
    """The record of version 0.8 names no platform."""
    write(tmp_path, {"app.py": "1"}, platform="vercel")
    record = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps({"files": record["files"]}))

    assert changes(write(tmp_path, {"schema.json": "{}"}, platform="schema")) == {"schema.json": "created"}
    assert changes(write(tmp_path, {"app.py": "2"}, platform="vercel")) == {"app.py": "changed"}


def test_a_comparison_writes_nothing(tmp_path: Path) -> None:
    found = compare(tmp_path / "new", {"a": "1"})

    assert [one.change for one in found] == [FileChange.CREATED]
    assert not (tmp_path / "new").exists()


def test_the_command_reports_what_it_did(cli: Cli, here: Path) -> None:
    first = cli("export", "trigger-dev", "worker", "--json")
    again = cli("export", "trigger-dev", "worker", "--check")
    (here / "worker" / "package.json").write_text("{}")
    (here / "worker" / "src" / "jobctl.ts").unlink()
    check = cli("export", "trigger-dev", "worker", "--check")

    assert (first.code, again.code, check.code) == (0, 0, 1)
    assert {one["change"] for one in first.json["files"]} == {"created"}
    assert "src/trigger/hello.ts" in {one["name"] for one in first.json["files"]}
    assert "files are up to date" in again.stderr
    assert check.stdout.splitlines() == ["created\tworker/src/jobctl.ts", "edited\tworker/package.json"]
    assert "worker/package.json was edited, so it stays" in check.stderr
    assert not (here / "worker" / "src" / "jobctl.ts").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export"], "export needs PLATFORM"),
        (["export", "trigger-dev"], "export needs DIR"),
        (["export", "trigerdev", "x"], 'did you mean "trigger-dev"?'),
        (["export", "trigger-dev", "jobctl.toml"], '"jobctl.toml" is not a folder'),
        (["export", "trigger-dev", "/proc/x"], "/proc/x cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_reported(words: list[str], said: str, cli: Cli) -> None:
    told = cli(*words)

    assert told.code == 2
    assert said in told.stderr


def test_the_versions_are_exact_and_equal(cli: Cli, here: Path) -> None:
    cli("export", "trigger-dev", "worker")

    package = json.loads((here / "worker" / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert all(one.replace(".", "").isdigit() for one in versions.values())
    assert len({one for name, one in versions.items() if "trigger" in name}) == 1


@pytest.mark.slow
def test_what_the_project_needs_goes_along(site: Site) -> None:
    (site.folder / "jobctl.toml").unlink()
    site.write("pyproject.toml", '[tool.jobctl.jobs.own]\nevery = "1h"\ncall = "app.work:go"\n')
    (site.folder / "app").mkdir()
    site.write("app/work.py", "def go(): ...\n")

    for folder, beside in [("worker", ".."), ("deploy/worker", "../.."), ("../elsewhere", "../site")]:
        assert site.call("export", "trigger-dev", folder).returncode == 0
        written = (site.folder / folder / "src" / "project.ts").read_text()
        assert f'PROJECT_BESIDE = "{beside}"' in written
        assert 'PROJECT_IN_IMAGE = "/app/project"' in written
        inside = site.folder / folder / "project"
        assert {str(one.relative_to(inside)) for one in inside.rglob("*.*")} == {
            "pyproject.toml",
            "app/work.py",
        }
