"""Every example of the README and the pages works: shell, TOML and Python, each as it is shown.

The frameworks of ``library`` are run in ``tests/embedding``.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobctl.cli.app import app
from jobctl.cli.command_data import COMMANDS, COMMON, ROOT_OPTIONS
from jobctl.demo.create import make
from tests.support import picture
from tests.support.command_data import examples as examples_of
from tests.support.git_server import Upstream
from tests.support.pages import EXAMPLES, PAGES, Example, example, examples
from tests.support.project import Site, until

SHELL = {
    page: [line for one in examples("sh", page=page) for line in one.text.splitlines()] for page in PAGES
}
NOT_RUN = {"run", "serve", "uninstall", "cancel", "rerun"}
"""Commands that run until they are stopped, change the machine, or need a run of another time."""
OPTIONS_NOT_RUN = {"--follow", "--demo", "--skip-next"}
MODULES = {"myapp.jobs": "", "myapp.backup": "def nightly():\n    print('dumped')\n"}


def calls(line: str) -> list[tuple[dict[str, str], list[str]]]:
    """The calls of jobctl on a line of a shell: the variables set for each, and its words."""
    found: list[tuple[dict[str, str], list[str]]] = []
    variables: dict[str, str] = {}
    open_call = False
    for word in shlex.split(line.replace("…", ""), comments=True):
        if word == "jobctl" or word.endswith("/jobctl"):
            found.append((variables, []))
            variables, open_call = {}, True
        elif word in {"&&", "||", "|", ">", ";"}:
            variables, open_call = {}, False
        elif open_call:
            found[-1][1].append(word)
        elif re.match(r"[A-Z_]+=", word):
            variables[word.partition("=")[0]] = word.partition("=")[2]
    return [call for call in found if call[1] and call[1][0] in COMMANDS]


@pytest.mark.parametrize(
    "line",
    [
        *(line for lines in SHELL.values() for line in lines),
        *(line for name in COMMANDS for line in examples_of(name)),
    ],
)
def test_each_call_has_options_of_its_command(line: str) -> None:
    for _, (name, *words) in calls(line):
        known = {**COMMANDS[name].options, **COMMON, **ROOT_OPTIONS}
        short = {one.short for one in known.values()}
        assert {word.partition("=")[0] for word in words if word.startswith("-")} <= {*known, *short}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_of_itself(name: str) -> None:
    assert examples_of(name)
    assert all(any(words[0] == name for _, words in calls(line)) for line in examples_of(name))


@pytest.mark.slow
def test_each_call_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the site of ``run --demo``; in a project of its own from the first ``jobctl new`` of a page on."""
    sample = Site(tmp_path / "sample")
    make(sample.folder, datetime.now(UTC))
    failed = sample.call("trigger", "repository-sync", "--no-retry", env={"DATA_REPOSITORY": "/no/such"})
    assert failed.returncode == 1  # so that there is a failed run to show
    for page, lines in SHELL.items():
        site, own = (Site(tmp_path / page / name) for name in ("site", "own"))
        shutil.copytree(sample.folder, site.folder, symlinks=True)
        own.folder.mkdir()
        made: set[str] = set()
        if page == "jobs":
            own.write("jobctl.toml", 'modules = ["cleaning"]')
            own.write("cleaning.py", example("jobs", "python", "def clean("))
            own.write("given.json", '{"kind": "all"}')
            made.add("clean")
        if page == "planning":
            own.write("jobctl.toml", '[jobs.own]\ncron = "0 6 * * *"\ncommand = ["true"]\n')
            commit_all(own.folder)
            shutil.copytree(own.folder, own.folder.parent / "live")
        for line in lines:
            for variables, words in calls(line):
                if is_run(words, variables):
                    made |= {words[1]} if words[0] == "new" else set()
                    is_own = made & set(words) or words[0] in {"export", "plan"}
                    code, output = called(own if is_own else site, words, variables, monkeypatch)
                    # the words are right, but here is no mail server, no scheduler, and not everything is configured
                    lenient = words[0] in {"check", "watch"} or "--exit-status" in words
                    assert code in ({0, 1, 3, 4, 5} if lenient else {0}), (page, line, output)
        site.clean_up()
        own.clean_up()


def commit_all(folder: Path) -> None:
    """Make a repository of it, with a commit on ``main``."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for step in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *step], cwd=folder, check=True)


def is_run(words: list[str], variables: dict[str, str]) -> bool:
    name, *rest = words
    endless = name in NOT_RUN or OPTIONS_NOT_RUN & set(rest)
    return not (endless or (name == "install" and "--dry-run" not in rest) or "JOBCTL_STATE" in variables)


def called(
    project: Site, words: list[str], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """Exit code and output; in this process, but for what starts runs."""
    if words[0] == "trigger":
        ended = project.call(*words, env=variables)
        if "--no-wait" in words:
            project.call("logs", words[1], "--follow")  # until it has ended
        return ended.returncode, ended.stdout + ended.stderr
    monkeypatch.chdir(project.folder)
    done = CliRunner().invoke(app, words, env=variables)
    return done.exit_code, done.output


HOLIDAYS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:holidays
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20201225
RRULE:FREQ=YEARLY
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.parametrize("example", examples("toml"), ids=str)
def test_each_toml_is_a_project_file(example: Example, site: Site) -> None:
    document = tomllib.loads(example.text)
    if "project" in document:
        assert document["project"]["entry-points"]["jobctl.jobs"]
        return
    site.write("jobctl.toml", example.text)
    site.write("holidays.ics", HOLIDAYS)
    for module, text in MODULES.items():
        file = site.folder / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    variables = {"SLACK_WEBHOOK": "https://hooks.slack.com/x", "BACKUP_MONITOR": "https://hc-ping.com/x"}
    known = site.call("status", "--json", env=variables)

    assert known.returncode == 0, known.stderr
    assert all(job in known.stdout for job in document["jobs"])


def test_the_decorated_job_runs(site: Site) -> None:
    (site.folder / "myapp").mkdir()
    (site.folder / "myapp/jobs.py").write_text(example("jobs", "python", "def count_things("))
    site.write("jobctl.toml", 'builtin = false\nmodules = ["myapp.jobs"]\n')

    run = site.json("trigger", "count-things")

    assert (run["status"], run["result"]["processed"]) == ("completed", 3)


@pytest.mark.parametrize("example", examples("python"), ids=str)
def test_each_python_compiles(example: Example) -> None:
    compile(example.text, example.page, "exec")


def test_the_script_of_the_readme_is_that_of_the_library() -> None:
    script = example("library", "python", "run_forever").partition("\n")[2]

    assert example("README", "python", "run_forever") == script


@pytest.mark.parametrize("example", examples("sh"), ids=str)
def test_each_shell_block_is_a_script(example: Example) -> None:
    done = subprocess.run(["sh", "-n"], input=example.text, capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_no_example_has_an_unknown_language() -> None:
    assert {one.language for one in EXAMPLES} == {"console", "dockerfile", "python", "sh", "text", "toml"}


@pytest.mark.slow
def test_the_picture_is_what_status_draws(tmp_path: Path) -> None:
    drawn = picture.draw(tmp_path)
    kept = picture.FILE.read_text(encoding="utf-8")

    assert picture.words(kept) == picture.words(drawn), f"{sys.executable} -m tests.support.picture"
    assert not re.search(r"@font-face|url\((?!#)", kept)
    assert os.uname().nodename not in kept


@pytest.mark.slow
def test_run_prints_what_the_readme_shows(site: Site, tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "upstream")
    upstream.commit({"data/old/old.yml": "name: Old\n"})
    site.environment |= {"DATA_REPOSITORY": upstream.bare.as_uri(), "GITHUB_BRANCH": "main"}
    assert site.call("trigger", "repository-sync").returncode == 0
    upstream.commit({"data/old/old.yml": "name: New\n", "data/a/a.yml": "name: A\n"})
    upstream.commit({"data/b/b.yml": "name: B\n", "data/c/c.yml": "name: C\n"})
    site.forget_seconds(3600)
    scheduler = site.run()
    until(lambda: "changed, 0 removed" in site.log(scheduler))

    def masked(text: str) -> list[str]:
        text = re.sub(r"\d+\.\d+\.\d+", "VERSION", re.sub(r"\S+://\S+", "URL", text))
        # a terminal shows the time of the day, a file all of it
        text = re.sub(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(\+\d\d:\d\d)?", "TIME", text)
        return [line for line in text.splitlines() if line]

    shown = masked(example("README", "console", "$ jobctl run").partition("\n")[2])
    printed = masked(site.log(scheduler))
    assert [line for line in shown if line not in printed] == [], printed
