import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.catalogue.catalogue import Catalogue, job_names
from jobctl.catalogue.job_keys import build_job
from jobctl.errors import ConfigurationError, ConfigurationErrors, UnknownJobError
from jobctl.model import CatchUp, Command, Job
from jobctl.project_location import find_project
from jobctl.schedules import Cron, Every


def load(folder: Path, text: str, name: str = "jobctl.toml") -> Catalogue:
    (folder / name).write_text(text, encoding="utf-8")
    return Catalogue.load(find_project(folder))


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    if isinstance(caught.value, ConfigurationErrors):
        return [f"{one} | {one.hint}" for one in caught.value.problems]
    return [f"{caught.value} | {caught.value.hint}"]


def test_the_built_in_jobs_alone(tmp_path: Path) -> None:
    catalogue = Catalogue.load(find_project(tmp_path))

    assert catalogue.ids() == tuple(one.id for one in BUILT_IN)
    assert len(catalogue) == 13
    sync = catalogue.get("repository-sync")
    assert (sync.name, sync.schedule, sync.origin) == ("Repository Synchronization", Every(300), "built-in")
    assert (sync.timeout, sync.retries, sync.retry_delay) == (timedelta(minutes=5), 3, timedelta(seconds=10))


def test_a_whole_job(tmp_path: Path) -> None:
    job = load(
        tmp_path,
        """
[jobs.nightly-backup]
name = "Backup"
cron = "30 2 * * *"
timezone = "Europe/Berlin"
command = ["pg_dump", "app"]
timeout = "10m"
retries = 3
retry_delay = "20s"
catch_up = true
enabled = false
""",
    ).get("nightly-backup")

    assert job == Job(
        "nightly-backup",
        "Backup",
        Cron("30 2 * * *", "Europe/Berlin"),
        Command(("pg_dump", "app")),
        timeout=timedelta(minutes=10),
        retries=3,
        retry_delay=timedelta(seconds=20),
        catch_up=CatchUp.LAST,
        enabled=False,
        origin="jobctl.toml:2",
    )


def test_a_built_in_job_can_be_changed_in_part(tmp_path: Path) -> None:
    sync = load(tmp_path, '[jobs.repository-sync]\nevery = "15m"\n').get("repository-sync")

    assert (sync.schedule, sync.retries) == (Every(900), 3)
    assert sync.origin == "built-in, changed in jobctl.toml:1"


def test_a_pyproject_serves_too(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path, '[project]\nname = "x"\n[tool.jobctl.jobs.a]\ncall = "m:f"\n', "pyproject.toml"
    )

    assert catalogue.get("a").origin == "pyproject.toml:3"


def test_the_nearest_folder_upward_counts(tmp_path: Path) -> None:
    load(tmp_path, '[jobs.a]\ncall = "m:f"\n')
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)

    assert find_project(below).folder == tmp_path
    (below.parent / "pyproject.toml").write_text("[tool.other]\n")
    assert find_project(below).folder == tmp_path


@pytest.mark.parametrize("sign", [".jobctl", ".env", ".works", "package.json", ".git"])
def test_a_site_without_a_project_file_is_found_from_its_subfolders(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).touch()
    below = tmp_path / "app" / "pages"
    below.mkdir(parents=True)

    assert find_project(below).folder == tmp_path
    (below / ".env").touch()
    assert find_project(below).folder == below


def test_the_content_folder_is_no_project(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    (tmp_path / ".content" / "data").mkdir(parents=True)
    (tmp_path / ".content" / ".git").touch()

    assert find_project(tmp_path / ".content" / "data").folder == tmp_path
    assert find_project(tmp_path / ".content").folder == tmp_path


def test_a_sign_in_the_home_folder_means_nothing_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").touch()
    below = tmp_path / "new"
    below.mkdir()

    assert find_project(below).folder == below
    assert find_project(tmp_path).folder == tmp_path


def test_a_sign_in_a_folder_that_others_may_write_means_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    below = tmp_path / "below"
    below.mkdir()
    tmp_path.chmod(0o777)

    assert find_project(below).folder == below


def test_two_files_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.jobctl]\n")
    (tmp_path / "jobctl.toml").write_text("")

    with pytest.raises(ConfigurationError, match="has both"):
        find_project(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[jobs.a]\ncall = "m:f"\ncrom = "x"\n', 'jobctl.toml:3: [jobs.a] has no key "crom" | did you mean "cron"?'),
        ('[jobs.a]\ncall = "m:f"\ncron = "61 * * * *"\n', 'jobctl.toml:3: [jobs.a].cron: "61 * * * *": minute: 61'),
        ('[jobs.a]\ncall = "m:f"\nevery = "soon"\n', 'jobctl.toml:3: [jobs.a].every: "soon" is not a duration'),
        ('[jobs.a]\ncall = "m:f"\nevery = 5\n', "jobctl.toml:3: [jobs.a].every: expected a duration in quotes, not 5"),
        ('[jobs.a]\ncall = "m:f"\nevery = "1ms"\n', "an interval is at least 1 s"),
        ('[jobs.a]\ncall = "m:f"\nevery = "1m"\ncron = "* * * * *"\n', "jobctl.toml:4: [jobs.a].cron: a job has either"),
        ('[jobs.a]\ncall = "m:f"\ncron = ["@daily", "61 * * * *"]\n', 'jobctl.toml:3: [jobs.a].cron: "61 * * * *": minute: 61 is not in 0-59\n61 * * * *\n^^'),
        ('[jobs.a]\ncall = "m:f"\ncron = []\n', "jobctl.toml:3: [jobs.a].cron: expected at least one expression, not an empty list"),
        ('[jobs.a]\ncall = "m:f"\ncron = ["@daily", 7]\n', "jobctl.toml:3: [jobs.a].cron: expected a text or a list of texts, not a list"),
        ('[jobs.a]\ncall = "m:f"\ncommand = ["x"]\n', "jobctl.toml:3: [jobs.a].command: a job has either call or"),
        ("[jobs.a]\ncommand = []\n", "expected a list of texts"),
        ('[jobs.a]\ncommand = ["a\\u0000b"]\n', "jobctl.toml:2: [jobs.a].command: no program takes"),
        ('[jobs.a]\ncall = "m:f"\nname = "a\\u001b[2J"\n', "jobctl.toml:3: [jobs.a].name: expected a text of one line"),
        ('[jobs.a]\ncommand = "ls -l"\n', "expected a list of texts"),
        ('[jobs.a]\ncall = "m.f"\n', '"m.f" is not an import path'),
        ('[jobs.a]\nevery = "1m"\n', "jobctl.toml:1: [jobs.a]: it needs `call` or `command`"),
        ('[jobs.a]\ncall = "m:f"\ncron = "* * * * *"\ntimezone = "Europe/Berln"\n', "jobctl.toml:4: [jobs.a].timezone"),
        ('[jobs.a]\ncall = "m:f"\ntimezone = "UTC"\n', "a time zone needs cron"),
        ('[jobs.a]\ncall = "m:f"\nafter = "b"\n', "jobctl.toml:3: [jobs.a].after: expected a list of jobs' ids | write"),
        ('[jobs.a]\ncall = "m:f"\nafter = []\n', "expected a list of jobs' ids"),
        ('[jobs.a]\ncall = "m:f"\nafter = ["a"]\n', "jobctl.toml:3: [jobs.a].after: a runs after itself"),
        ('[jobs.a]\ncall = "m:f"\nevery = "1m"\nafter = ["b"]\n', "jobctl.toml:4: [jobs.a].after: a job has either after or every"),
        ('[jobs.a]\ncall = "m:f"\nretries = "3"\n', 'expected a whole number from 0 to 100, not "3"'),
        ('[jobs.a]\ncall = "m:f"\nretries = true\n', "expected a whole number from 0 to 100, not true"),
        ('[jobs.a]\ncall = "m:f"\ncatch_up = 1\n', 'expected "none", "last", "each", true or false, not 1'),
        ('[jobs.A_B]\ncall = "m:f"\n', '"A_B" is not a job id'),
        ("jobs = 3\n", "jobctl.toml:1: jobs: expected tables"),
        ("jobs.a = 3\n", "jobctl.toml:1: jobs.a: expected a table"),
        ("modules = 'x'\n", "jobctl.toml:1: modules: expected a list"),
        ("\nmodule = []\n", 'jobctl.toml:2: there is no key "module" | did you mean "modules"?'),
        ('notify = { webhook = "x" }\n', "jobctl.toml:1: notify.webhook: expected a URL"),
        ('notify = { webhok = "https://x" }\n', 'notify has no key "webhok" | did you mean "webhook"?'),
        ('notify = { on = ["never"] }\n', "notify.on: expected a list | of failure, recovery, missed"),
        ('notify = { mail = ["nobody"] }\n', 'notify.mail: "nobody" is not a mail address'),
        ("notify = { command = [] }\n", "notify.command: expected a list of texts"),
        ("notify = 3\n", "jobctl.toml:1: notify: expected a table"),
        ("[jobs.a]\ncall = \n", "jobctl.toml:2: this is not TOML"),
        ("[jobs.a\n", "jobctl.toml:1: this is not TOML"),
        ('a = """\n\n', "this is not TOML"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_key_and_what_was_meant(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in faults(tmp_path, text)[0]


A_B_C = "".join(f'[jobs.{name}]\ncall = "m:f"\n' for name in "cba")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('after = ["c", "repositry-sync"]\n', 'there is no job "repositry-sync" | did you mean "repository-sync"?'),
        ('after = ["b"]\n[jobs.x]\ncall = "m:f"\nafter = ["y"]\n', 'there is no job "y"'),
    ],
)  # fmt: skip
def test_an_unknown_job_is_refused_as_one_to_run_after(tmp_path: Path, text: str, expected: str) -> None:
    found = faults(tmp_path, "builtin = true\n" + A_B_C + text)

    assert len(found) == 1
    assert expected in found[0]


def test_a_built_in_job_that_the_project_lacks_is_explained(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "builtin = false\n" + A_B_C + 'after = ["repository-sync"]\n')

    assert 'job "repository-sync" is built-in, and this project has no built-in jobs' in found


def test_each_cycle_is_named_once(tmp_path: Path) -> None:
    text = A_B_C + 'after = ["b", "c"]\n[jobs.d]\ncall = "m:f"\nafter = ["a", "d"]\n'
    text = text.replace("[jobs.b]\n", '[jobs.b]\nafter = ["d"]\n').replace(
        "[jobs.c]\n", '[jobs.c]\nafter = ["e"]\n'
    )

    found = faults(tmp_path, text + '[jobs.e]\ncall = "m:f"\n')

    assert found == [
        "jobctl.toml:5: [jobs.b].after: the jobs run after each other: b after d after a after b | None",
        "jobctl.toml:12: [jobs.d].after: d runs after itself | None",
    ]


def test_a_chain_of_many_jobs_is_no_cycle(tmp_path: Path) -> None:
    jobs = [f'[jobs.j-{number}]\ncall = "m:f"\nafter = ["j-{number + 1}"]\n' for number in range(3000)]

    assert len(load(tmp_path, "builtin = false\n" + "".join(jobs) + '[jobs.j-3000]\ncall = "m:f"\n')) == 3001


def test_after_replaces_a_schedule_and_a_schedule_replaces_after(tmp_path: Path) -> None:
    changed = load(tmp_path, '[jobs.analytics-top-items]\nafter = ["repository-sync"]\n').get(
        "analytics-top-items"
    )

    assert (changed.schedule, changed.after) == (None, ("repository-sync",))
    assert changed.schedule_text == "after repository-sync"
    again = build_job("a", {"every": "5m"}, lambda _: "here", changed)
    assert (again.schedule, again.after) == (Every(300), ())


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, '[jobs.a]\ncall = "m:f"\nretries = -1\n[jobs.b]\ncatch_up = "no"\n')

    assert [one.partition(": ")[0] for one in found] == ["jobctl.toml:3", "jobctl.toml:4", "jobctl.toml:5"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a = 1\nb = '\xff'\n", "jobctl.toml:2: it is not UTF-8"),
        (b"#" * 1_100_000, "larger than 1 MiB"),
        (b"a = " + b"[" * 100_000, "nested too deeply|not TOML"),
        (b"\n" + b"a." * 100_000 + b"b = 1", "jobctl.toml:2: it is nested too deeply"),
        (b"a = " + b"1" * 5_000, "a number in it is too long"),
    ],
)
def test_hostile_files(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "jobctl.toml").write_bytes(data)

    with pytest.raises(ConfigurationError, match=words):
        Catalogue.load(find_project(tmp_path))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_anything_but_a_plain_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "jobctl.toml")

    with pytest.raises(ConfigurationError, match="not a plain file"):
        Catalogue.load(find_project(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "[ tool . jobctl ]\nmodules = []",
        '[tool."jobctl".jobs.a]\ncall = "m:f"',
        "tool.jobctl.modules = []",
        "[tool]\njobctl.modules = []",
        "tool = { other = {}, jobctl = {} }",
        "[[tool.jobctl]]",
    ],
)
def test_each_way_to_write_the_table_is_seen(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    assert find_project(tmp_path / "below").file == tmp_path / "pyproject.toml"


@pytest.mark.parametrize(
    "text", ["[tool.jobctl-extra]\nx = 1", '[project]\ndependencies = [\n"jobctl==1",\n]', "[tool.other]\n"]
)
def test_a_table_of_another_tool_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    assert find_project(tmp_path).file is None


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "jobctl.toml").symlink_to("jobctl.toml")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        Catalogue.load(find_project(tmp_path))


def test_an_unknown_job_is_reported_with_the_nearest_id(tmp_path: Path) -> None:
    with pytest.raises(UnknownJobError) as caught:
        Catalogue.load(find_project(tmp_path)).get("repositry-sync")
    assert str(caught.value) == 'there is no job "repositry-sync"'
    assert caught.value.hint == 'did you mean "repository-sync"? All jobs: jobctl status'


def test_names_for_completion_ignore_errors(tmp_path: Path) -> None:
    (tmp_path / "jobctl.toml").write_text('[jobs.a]\nname = "A job"\ncrom = 1\n')
    assert ("a", "A job") in job_names(str(tmp_path))
    (tmp_path / "jobctl.toml").write_text("[jobs.a")
    assert job_names(str(tmp_path)) == [(one.id, one.name) for one in BUILT_IN]
