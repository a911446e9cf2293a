import json
import pickle
from pathlib import Path

import pytest

from jobctl.errors import ConfigurationError, ConfigurationErrors
from jobctl.settings.environment import Environment
from jobctl.settings.masking import Secret, masked, masked_address
from jobctl.settings.variables import VARIABLES, VariableKind


def load(folder: Path, files: dict[str, str] | None = None, **process: str) -> Environment:
    for name, text in (files or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return Environment.load(folder, process)


def test_each_value_knows_its_file_and_line_and_what_it_hides(tmp_path: Path) -> None:
    env = load(tmp_path, {".env": "# c\nA=1\nB=2\n", ".env.local": "\n\nA=3\n"}, B="4")

    assert [str(env.value(name).source) for name in "ABC"] == [
        ".env.local:3",
        "process environment",
        "not set",
    ]
    assert [str(place) for place in env.value("A").hidden] == [".env:2"]
    assert [str(place) for place in env.value("B").hidden] == [".env:3"]


def test_the_last_assignment_in_a_file_wins_with_its_line(tmp_path: Path) -> None:
    env = load(tmp_path, {".env": "A=1\nA=2\n"})

    assert (env.text("A"), str(env.value("A").source)) == ("2", ".env:2")


def test_a_default_has_default_as_its_source(tmp_path: Path) -> None:
    assert str(load(tmp_path).value("TRIGGER_DEV_API_URL").source) == "default"


@pytest.mark.parametrize(
    ("files", "process", "expected"),
    [
        ({}, {}, "development"),
        ({".env": "NODE_ENV=production"}, {}, "production"),
        ({".env": "NODE_ENV=production", ".env.local": "NODE_ENV=test"}, {}, "test"),
        ({".env": "NODE_ENV=production"}, {"NODE_ENV": "development"}, "development"),
    ],
)
def test_node_env_chooses_the_files(
    tmp_path: Path, files: dict[str, str], process: dict[str, str], expected: str
) -> None:
    env = load(tmp_path, {**files, f".env.{expected}": "WHICH=mine"}, **process)

    assert env.text("NODE_ENV") == expected
    assert env.text("WHICH") == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SMTP_PORT=maybe", 'SMTP_PORT is "maybe", expected a port from 1 to 65535'),
        (
            "TRIGGER_DEV_API_URL=trigger.dev",
            "TRIGGER_DEV_API_URL cannot be read as an address, expected a URL",
        ),
        ("TRIGGER_DEV_API_URL=https://", "expected a URL"),
        ("EMAIL_PROVIDER=pigeon", "expected resend, novu, smtp or ethereal"),
        ("NODE_ENV=staging", "expected development, production or test"),
    ],
)
def test_an_invalid_value_is_reported_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    env = load(tmp_path, {".env": f"# one\n{text}\n"})

    (fault,) = env.check()
    assert words in str(fault)
    assert str(fault).startswith(".env:2: ")
    with pytest.raises(ConfigurationError, match=r"\.env:2"):
        env.require()


def test_several_invalid_values_are_reported_together(tmp_path: Path) -> None:
    env = load(tmp_path, {".env": "NODE_ENV=x\nSMTP_PORT=y\n"})

    with pytest.raises(ConfigurationErrors) as caught:
        env.require()
    assert [fault.where for fault in caught.value.problems] == [".env:1", ".env:2"]


def test_a_broken_line_is_reported_by_name_and_place_without_its_text(tmp_path: Path) -> None:
    env = load(tmp_path, {".env": "A=1\nGH_TOKEN ghp_verysecret\n"})

    (warning,) = env.warnings
    assert warning.startswith(".env:2: this line (GH_TOKEN) sets nothing")
    assert "verysecret" not in warning


@pytest.mark.parametrize("text", ["1", "true", " YES ", "On"])
def test_texts_that_mean_on(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, DISABLE_AUTO_SYNC=text).flag("DISABLE_AUTO_SYNC")


@pytest.mark.parametrize("text", ["", "0", "false", "no", "off", "2", "ja"])
def test_texts_that_mean_off(tmp_path: Path, text: str) -> None:
    assert not load(tmp_path, DISABLE_AUTO_SYNC=text).flag("DISABLE_AUTO_SYNC")


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    (tmp_path / ".env.local").symlink_to(".env.local")
    (tmp_path / ".env.development").write_bytes(b"A=" + b"x" * 2_000_000)

    faults = {fault.where: fault.problem for fault in load(tmp_path).check()}

    assert "symbolic links" in faults[".env.local"]
    assert "larger than 1 MiB" in faults[".env.development"]


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    assert load(tmp_path).check() == []


def test_a_secret_never_prints_itself() -> None:
    secret = Secret("hunter22")

    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", "%s" % secret]  # noqa: UP031
    assert not [text for text in shown if "hunter" in text]
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == "hunter22"
    assert (secret == Secret("hunter22"), secret == Secret("other")) == (True, False)


def test_how_secrets_are_shown() -> None:
    assert masked("tr_prod_abcdefgh") == "tr_prod_•••• (16 characters)"
    assert masked("abc") == "•••• (3 characters)"
    assert masked_address("https://me:pw@host/x?key=1") == "https://••••@host/x?••••"
    assert masked_address("https://host/x") == "https://host/x"


def test_every_secret_is_known_for_masking(tmp_path: Path) -> None:
    text = "GH_TOKEN=tok1\nSMTP_PASSWORD=pass2\nDATABASE_URL=postgres://u:p%40ss3@h/db\nPLAIN=4\n"
    env = load(tmp_path, {".env": text})

    assert env.mask("tok1 pass2 p%40ss3 p@ss3 4") == "•••• •••• •••• •••• 4"


def test_the_table_is_whole() -> None:
    assert all(variable.choices for variable in VARIABLES.values() if variable.kind is VariableKind.CHOICE)


@pytest.mark.parametrize(
    ("line", "differs"),
    [
        ("A=plain", False),
        ("A='a b' # c", False),
        ("A=https://host/path", False),
        ("A=a#b", True),
        ("A: yaml", True),
        ("A=`back`", True),
        ("A=$B", True),
        ("A=${B}", False),
        ('A="pa\\$word"', True),
        ('A="quote \\" in"', True),
        ('A="un', True),
    ],
)
def test_values_that_python_dotenv_reads_differently_are_known(
    tmp_path: Path, line: str, differs: bool
) -> None:
    env = load(tmp_path, {".env": f"# first\n{line}\nB=2\n"})

    found = {str(value.source): value.name for value in env.python_dotenv_differences()}
    assert (found.get(".env:2") == "A") is differs


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", "\u0663", "9" * 5000])
def test_an_invalid_number_is_refused(tmp_path: Path, text: str) -> None:
    env = load(tmp_path, {".env": f"JOBCTL_CONTENT_MAX_FILES={text}\n"})

    with pytest.raises(ConfigurationError, match="expected a whole number from 1"):
        env.require()
    assert load(tmp_path, {".env": ""}).number("JOBCTL_CONTENT_MAX_FILES") == 200_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("EMAIL_PROVIDER=Resend", "resend"),
        ("TRIGGER_DEV_ENVIRONMENT=preview", "preview"),
        ("TRIGGER_DEV_ENVIRONMENT=prod", None),
    ],
)
def test_values_that_the_site_accepts_are_valid(tmp_path: Path, text: str, found: str | None) -> None:
    env = load(tmp_path, {".env": f"{text}\nTRIGGER_DEV_ENABLED=1\n"})

    assert env.check() == []
    assert env.choice(text.partition("=")[0]) == found


def test_trigger_devs_own_names_stand_in(tmp_path: Path) -> None:
    theirs = {"TRIGGER_SECRET_KEY": "tr_prod_theirs", "TRIGGER_API_URL": "https://theirs.example"}
    own = {"TRIGGER_DEV_API_KEY": "tr_prod_own", "TRIGGER_DEV_API_URL": "https://own.example"}

    alone, both = Environment.load(tmp_path, theirs), Environment.load(tmp_path, {**theirs, **own})

    assert alone.text("TRIGGER_DEV_API_KEY") == "tr_prod_theirs"
    assert alone.url("TRIGGER_DEV_API_URL") == "https://theirs.example"
    assert alone.value("TRIGGER_DEV_API_KEY").name == "TRIGGER_SECRET_KEY"
    assert alone.mask("tr_prod_theirs") != "tr_prod_theirs"
    assert both.text("TRIGGER_DEV_API_KEY") == "tr_prod_own"
    assert both.url("TRIGGER_DEV_API_URL") == "https://own.example"
