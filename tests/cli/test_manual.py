"""The manual page is what the tables say, and roff sets it without a warning."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import jobctl
from jobctl.catalogue.json_schema import KEYS
from jobctl.cli.manual import FILE, FILES, page
from jobctl.cli.words import COMMANDS, COMMON, EXIT_CODES
from jobctl.errors import ExitCode
from jobctl.settings.variables import VARIABLES
from tests.support.project import Site

ROOT = Path(jobctl.__file__).parents[1]
needs_groff = pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed here")


@pytest.fixture(scope="module")
def shown() -> str:
    """The page on a terminal of 80 columns."""
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=78n"],
        input=page(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.replace("\N{HYPHEN}", "-")


def test_the_committed_page_is_what_is_made() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "python -m jobctl.cli.manual > jobctl/cli/jobctl.1"


def test_wheels_carry_it_to_where_man_looks() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["shared-data"][str(FILE.relative_to(ROOT))] == "share/man/man1/jobctl.1"
    assert wheel["exclude"] == [str(FILE.relative_to(ROOT))]


@needs_groff
def test_it_is_set_without_a_warning_on_80_columns(shown: str) -> None:
    long = [line for line in shown.splitlines() if len(line) > 80]

    assert all(line.lstrip().startswith("$ jobctl ") for line in long)


@needs_groff
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_it_with_its_options_and_examples(name: str, shown: str) -> None:
    section = re.split(r"\n +jobctl \w+ \[OPTIONS\]", shown.partition(f"       jobctl {name} [OPTIONS]")[2])[
        0
    ]
    command = COMMANDS[name]

    assert command.summary in " ".join(section.split())
    for option, words in command.options.items():
        assert re.search(rf"^ +(-\w, )?{option}\b", section, re.MULTILINE), option
        assert words.text in " ".join(section.split())
    assert all(f"$ {example}\n" in section for example in command.examples)


@needs_groff
def test_so_are_codes_keys_and_variables(shown: str) -> None:
    named = set(re.findall(r"^ {7}(\S.*?)(?: {2,}.*)?$", shown, re.MULTILINE))
    words = {word for term in named for word in re.split(r"[ ,]+", term)}

    assert {*EXIT_CODES} <= named
    assert {*KEYS, *VARIABLES, *COMMON} <= words


def test_the_exit_codes_are_those_that_there_are_and_mean_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Exit codes\n")[2]
    rows = dict(re.findall(r"^\| (\d[\d, ]*) \| (.*) \|$", readme, re.MULTILINE))

    assert {codes: meaning.replace("`", "") for codes, meaning in rows.items()} == EXIT_CODES
    assert {int(code) for codes in EXIT_CODES for code in codes.split(", ")} == {*ExitCode, 143}


def test_the_files_are_where_it_says(site: Site) -> None:
    site.jobs('[jobs.says]\ncommand = ["echo", "hello"]\n')
    run = site.json("trigger", "says")

    for name in (".jobctl/jobctl.db", ".jobctl/logs/JOB/RUN.log"):
        assert name in FILES
        assert (site.folder / name.replace("JOB/RUN", f"says/{run['run_id']}")).is_file()
