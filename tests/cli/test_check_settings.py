"""``check settings``: what a job would meet only when it runs."""

import pytest

from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")


def check(site: Site) -> tuple[int, str]:
    done = site.call("check", "settings")
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere\ndef nightly(): ...\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("def other(): ...\n", "module 'work' has no attribute 'nightly'"),
        ("nightly = 3\n", "nightly is not a function, but int"),
    ],
)
def test_a_function_that_cannot_be_called_is_found(site: Site, code: str, words: str) -> None:
    site.write("work.py", code)
    site.write(
        "jobctl.toml",
        '[jobs.backup]\nevery = "1h"\ncall = "work:nightly"\n[jobs.fine]\nevery = "1h"\ncall = "json:dumps"\narguments = { obj = 1 }\n',
    )
    exit_code, shown = check(site)
    assert exit_code == 2
    assert "jobctl.toml:1: job backup cannot be run: work:nightly: " in shown
    assert words in shown
    assert "fine" not in shown


def test_a_program_that_is_nowhere_is_found(site: Site) -> None:
    site.write(
        "jobctl.toml",
        '[jobs.a]\ncommand = ["pg_dumpp", "app"]\n[jobs.b]\ncommand = ["./run.sh"]\n[jobs.c]\ncommand = ["true"]\n',
    )
    exit_code, shown = check(site)
    assert exit_code == 2
    assert 'jobctl.toml:1: job a cannot be run: there is no program "pg_dumpp"' in shown
    assert 'jobctl.toml:3: job b cannot be run: there is no program "./run.sh"' in shown
    assert "job c" not in shown


def test_a_folder_that_does_not_exist_is_found(site: Site) -> None:
    site.write("jobctl.toml", '[jobs.a]\nfolder = "nope"\ncommand = ["true"]\n')
    exit_code, shown = check(site)
    assert exit_code == 2
    assert 'jobctl.toml:1: job a cannot be run: there is no folder "nope"' in shown


def test_a_variable_of_notify_that_is_not_set_is_found(site: Site) -> None:
    site.write("jobctl.toml", 'notify = { slack = "$SLACK_HOOK" }\n[jobs.c]\ncommand = ["true"]\n')
    exit_code, shown = check(site)
    assert exit_code == 2
    assert "SLACK_HOOK, which is not set" in shown


def test_what_can_be_run_is_fine(site: Site) -> None:
    site.write("work.py", "print('noise')\nclass Jobs:\n    @staticmethod\n    def run(): ...\n")
    script = site.write("run.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    site.write("jobctl.toml", '[jobs.a]\ncall = "work:Jobs.run"\n[jobs.b]\ncommand = ["./run.sh"]\n')
    assert check(site) == (0, "settings\tok\t2 jobs; no .env file\t\n")
