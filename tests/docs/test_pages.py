"""The README and the pages say what the code does: commands, options, variables, exit codes, job keys, jobs."""

import re
import tomllib

import pytest

from jobctl import BackgroundJobManager
from jobctl.catalogue.builtin import BUILT_IN
from jobctl.catalogue.job_keys import KEYS, default_text
from jobctl.catalogue.notify_settings import KEYS as NOTIFY_KEYS
from jobctl.catalogue.notify_settings import OCCASIONS
from jobctl.cli.command_data import COMMANDS, COMMON, ROOT_OPTIONS, Option
from jobctl.cli.commands.help import FORMER_NAMES, TOPICS
from jobctl.errors import ExitCode
from jobctl.model import Reason, RunStatus
from jobctl.modes import Mode
from jobctl.settings.variables import VARIABLES
from tests.architecture.test_sentences import PRIVATE_WORDS
from tests.support.pages import PAGES, README, ROOT, code, rows
from tests.support.project import Site
from tests.support.terminal import Cli

EVERYWHERE = {**COMMON, **ROOT_OPTIONS}
_VARIABLE = re.compile(r"^- ((?:`\w+`(?:, )?)+)(?: \(default: (.+?)\))?: ", re.MULTILINE)


def names(options: dict[str, Option]) -> set[str]:
    return {*options, *(one.short for one in options.values() if one.short)}


def test_each_page_is_a_topic_of_help() -> None:
    assert set(TOPICS) == set(PAGES) - {README}
    assert not set(TOPICS) & set(COMMANDS), "help shows the page, and hides the command"
    assert set(FORMER_NAMES.values()) <= set(TOPICS)


@pytest.mark.parametrize("name", TOPICS)
def test_a_page_begins_with_its_title_and_a_sentence(name: str) -> None:
    title, _, sentence, _, *_ = PAGES[name].split("\n")

    assert re.sub(r"\W+", "-", title.removeprefix("# ").lower()) == name
    assert title.startswith("# ")
    assert sentence.endswith(".")


@pytest.mark.parametrize("name", [*TOPICS, *FORMER_NAMES])
def test_help_shows_each_page(name: str, cli: Cli) -> None:
    topic = FORMER_NAMES.get(name, name)

    assert cli("help", name).stdout == PAGES[topic]
    assert cli("help", name, "--json").json == {"topic": topic, "text": PAGES[topic]}


def test_the_readme_is_short_and_links_to_each_page() -> None:
    linked = re.findall(r"\]\(jobctl/docs/([\w-]+)\.md\)", PAGES[README])

    assert PAGES[README].count("\n") <= 150
    assert set(linked) == set(TOPICS)


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file(page: str) -> None:
    folder = ROOT if page == README else ROOT / "jobctl/docs"
    files = [
        one for one in re.findall(r"\]\(([^)#]+)", PAGES[page]) if not one.startswith(("https://", "http://"))
    ]

    assert [one for one in files if not (folder / one).is_file()] == []


def test_each_command_has_a_row() -> None:
    told = {name for cells in rows("running", "command") for name in re.findall(r"`(\w+)", cells[0])}

    assert told == set(COMMANDS)


def test_each_option_in_the_table_is_one_of_its_command() -> None:
    for cells in rows("running", "command"):
        own = [COMMANDS[name].options for name in re.findall(r"`(\w+)", cells[0])]
        known = set().union(*(names(one) for one in own), names(EVERYWHERE))
        assert set(re.findall(r"`(-[-\w]*)", " ".join(cells))) <= known, cells[0]


def test_each_variable_is_listed_with_its_default() -> None:
    listed = {
        name: default.strip("`") if default else None
        for cell, default in _VARIABLE.findall(PAGES["variables"])
        for name in code(cell)
    }

    assert set(VARIABLES) <= set(listed)
    for variable in VARIABLES.values():
        if variable.default is not None:
            assert listed[variable.name] == variable.default, variable.name


def test_each_exit_code_has_a_row() -> None:
    told = {int(code) for cells in rows("exit-codes", "code") for code in cells[0].split(", ")}

    assert told == {*(int(code) for code in ExitCode), 143}


def test_each_key_of_a_job_has_a_row() -> None:
    assert rows("jobs", "key") == [
        [f"`{key}`", f"`{default}`" if (default := default_text(key)) else "", declared.meaning]
        for key, declared in KEYS.items()
    ]


def test_each_key_of_notify_has_a_row() -> None:
    table = rows("observability", "key of `notify`")

    assert [code(cells[0]) for cells in table] == [[key] for key in NOTIFY_KEYS]
    assert set(code(table[-1][1])) == set(OCCASIONS)


def test_each_built_in_job_has_a_row_with_its_schedule() -> None:
    units = {"s": "second", "m": "minute", "h": "hour"}
    expected = []
    for job in BUILT_IN:
        every = job.settings.get("every")
        number, unit = (int(every[:-1]), units[every[-1]]) if every else (0, "")
        times = f"every {number} {unit}s" if number > 1 else f"every {unit}"
        expected.append([job.id, times if every else job.settings["cron"]])

    assert [[code(one[0])[0], one[1].strip("`")] for one in rows("site", "id")] == expected


def test_each_mode_has_a_row() -> None:
    assert [code(cells[0])[0] for cells in rows("getting-started", "mode")] == list(Mode)


def test_each_state_and_reason_of_a_run_has_a_row() -> None:
    table = rows("reliability", "status")

    assert {code(cells[0])[0] for cells in table} == set(RunStatus)
    assert {one for cells in table for one in code(cells[1])} == set(Reason)


def test_each_method_of_a_manager_has_a_row() -> None:
    told = {re.match(r"\w+", one)[0] for cells in rows("library", "method") for one in code(cells[0])}  # type: ignore[index]

    methods = {name for name in vars(BackgroundJobManager) if not name.startswith("_")}
    assert told == methods | {"idle"}


def test_the_files_are_where_the_page_says(site: Site) -> None:
    site.jobs('[jobs.says]\ncommand = ["echo", "hello"]\n')
    run = site.json("trigger", "says")
    told = {name for cells in rows("reliability", "file") for name in code(cells[0])}

    for name in (".jobctl/jobctl.db", ".jobctl/logs/JOB/RUN.log"):
        assert name in told
        assert (site.folder / name.replace("JOB/RUN", f"says/{run['run_id']}")).is_file()


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "CHANGELOG.md",
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
        *(f"jobctl/docs/{name}.md" for name in TOPICS),
    ],
)
def test_the_documentation_is_in_plain_english(file: str) -> None:
    text = re.sub(r"`[^`]*`", "", (ROOT / file).read_text(encoding="utf-8"))

    assert PRIVATE_WORDS.findall(text) == []


def test_each_extra_with_a_package_has_a_row() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]

    told = {name for cells in rows("getting-started", "extra") for name in code(cells[0])}
    assert told == {name for name, packages in extras.items() if packages}


def test_the_map_is_of_the_code() -> None:
    named = set(re.findall(r"`((?:jobctl|tests)/[\w./-]+)`", PAGES["internals"]))
    folders = {file.parent for file in (ROOT / "jobctl").glob("*/*") if file.suffix in {".py", ".md"}}

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    assert {f"jobctl/{folder.name}" for folder in folders} <= {name.rstrip("/") for name in named}
