"""What TAB offers at each place of a line."""

from pathlib import Path

import pytest

from jobctl.catalogue import builtin
from jobctl.cli.command_data import COMMANDS
from jobctl.cli.completion import answer, candidates, joined

FILE = '[jobs.hello]\nevery = "5m"\ncall = "work:hello"\nname = "Say hello"\n'

CODE = """
def hello(hidden=1, /, times: int = 1, *, kind: typing.Literal["old", "other"] = "old", loud: bool | None = None): ...
"""
BUILT_IN = [job.id for job in builtin.BUILT_IN]


@pytest.fixture(autouse=True)
def project(here: Path) -> Path:
    (here / "jobctl.toml").write_text(FILE)
    (here / "work.py").write_text(CODE)
    return here


def values(*words: str, whole: bool = True) -> list[str]:
    return [value for value, _ in candidates(list(words), whole=whole)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", list(COMMANDS)),
        ("st", ["status", "stop", "start"]),
        ("trigger |", ["hello"]),
        ("trigger he", ["hello"]),
        ("trigger hello |", ["times=", "kind=", "loud="]),
        ("trigger hello --no-wait k", ["kind="]),
        ("trigger hello kind=o", ["kind=old", "kind=other"]),
        ("trigger hello kind=old |", ["times=", "loud="]),
        ("trigger hello loud=|", ["loud=true", "loud=false"]),
        ("trigger hello times=|", []),
        ("trigger unknown |", []),
        ("status --watch he", ["hello"]),
        ("run --only he", ["hello"]),
        ("run --workers |", []),
        ("run --workers 4 he", []),
        ("run --log-format |", ["text", "json"]),
        ("runs --status f", ["failed"]),
        ("metrics --format=p", ["--format=prometheus"]),
        ("--color al", ["always"]),
        ("--json --color never st", ["status", "stop", "start"]),
        ("next -n 3 he", ["hello"]),
        ("logs -f he", ["hello"]),
        ("completion |", ["bash", "zsh", "fish"]),
        ("mode |", []),
        ("mode --s", ["--short"]),
        ("mode --short --s", []),
        ("--vers", ["--version"]),
        ("nonsense |", list(COMMANDS)),
        ("--unknown=x", []),
        ("--project /nowhere trigger |", [*BUILT_IN]),
    ],
)
def test_candidates(words: str, expected: list[str]) -> None:
    assert values(*words.replace("|", "").split(" ")) == expected


def test_every_option_of_every_command_is_offered() -> None:
    for name, words in COMMANDS.items():
        assert set(words.options) | {"--json", "--help", "--project"} <= set(values(name, "--")), name


def test_notes_go_with_them() -> None:
    assert candidates(["trigger", "he"]) == [("hello", "Say hello")]
    assert candidates(["mod"]) == [("mode", COMMANDS["mode"].summary)]


def test_the_words_that_bash_splits_at_an_equals_sign() -> None:
    assert joined(["status", "--color", "=", "al"]) == ["status", "--color=al"]
    assert joined(["trigger", "hello", "kind", "=", "o"]) == ["trigger", "hello", "kind=o"]
    assert values("trigger", "hello", "kind=o", whole=False) == ["old", "other"]
    assert joined(["status", "--color", "="]) == ["status", "--color="]
    assert joined(["status", "--color", "=", "always", "x"]) == ["status", "--color=always", "x"]
    assert values("status", "--color=al", whole=False) == ["always"]


def test_another_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "jobctl.toml").write_text(FILE.replace("hello", "other"))

    assert values("--project", str(other), "trigger", "o") == ["other"]
    assert values("trigger", f"--project={other}", "o") == ["other"]
    monkeypatch.setenv("JOBCTL_PROJECT", str(other))
    assert values("trigger", "o") == ["other"]


@pytest.mark.parametrize("text", ["[jobs.hello\n", "\0\1", "[jobs]\nhello = 3\n", "[[jobs]]\n"])
def test_a_broken_project_still_completes_what_is_sure(
    text: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "jobctl.toml").write_text(text)

    answer("zsh", ["trigger", "repos"])

    shown = capsys.readouterr()
    assert shown.out == "repository-sync:Repository Synchronization\n"
    assert shown.err == ""


def test_built_in_jobs_are_offered_where_the_project_has_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, both = project / "jobctl.toml", [*BUILT_IN, "hello"]

    file.write_text(f"builtin = true\n{FILE}")
    assert values("trigger", "") == both
    file.write_text(f"{FILE}[jobs.repository-sync]\nevery = '15m'\n")
    assert values("trigger", "") == both
    file.write_text(FILE)
    (project / ".env").write_text("DATA_REPOSITORY=https://example.com/content\n")
    assert values("trigger", "") == both
    file.write_text(f"builtin = false\n{FILE}")
    assert values("trigger", "") == ["hello"]
    file.unlink()
    (project / ".env").unlink()
    assert values("trigger", "") == BUILT_IN


def test_only_valid_ids_are_offered(project: Path, tmp_path: Path) -> None:
    """A shell puts them on the line: no file that others wrote can bring a pattern or a command there."""
    names = ["$(touch ran)", "*", "a b", "`id`", "-rf", "x;id"]
    (project / "jobctl.toml").write_text(
        "builtin = true\n" + "".join(f"[jobs.'{name}']\nevery = '1d'\n" for name in names)
    )

    assert values("trigger", "") == BUILT_IN


def test_the_folder_of_a_project_may_be_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "my other"
    other.mkdir()
    (other / "jobctl.toml").write_text(FILE.replace("hello", "other"))
    monkeypatch.setenv("HOME", str(tmp_path))

    for word in (f"'{other}'", f"{other}".replace(" ", "\\ "), '~/"my other"'):
        assert values("--project", word, "trigger", "o") == ["other"]
        assert values("trigger", f"--project={word}", "o") == ["other"]
