"""The definition of a job by its keys: what each is, and where it comes from."""

from pathlib import Path

import pytest

from jobctl.catalogue.catalogue import Catalogue
from jobctl.catalogue.definition import definition
from jobctl.model import Job
from jobctl.project import ProjectContext
from jobctl.project_location import find_project
from jobctl.settings.masking import Mask


def found(folder: Path, job_id: str, text: str = "") -> dict[str, tuple[object, str]]:
    """The value and the place of each key."""
    if text:
        (folder / "jobctl.toml").write_text(text, encoding="utf-8")
    job = Catalogue.load(find_project(folder)).get(job_id)
    return {each.key: (each.value, each.place) for each in definition(job, Mask())}


def test_each_key_of_the_project_file_has_its_line(tmp_path: Path) -> None:
    keys = found(
        tmp_path,
        "nightly",
        '[jobs.nightly]\ncommand = ["pg_dump", "app"]\ncron = "30 2 * * *"\n\nretries = 2\n'
        'needs = ["PGHOST"]\narguments = { deep = 3 }\njitter = "90s"\n',
    )

    assert keys == {
        "command": (["pg_dump", "app"], "jobctl.toml:2"),
        "cron": ("30 2 * * *", "jobctl.toml:3"),
        "retries": (2, "jobctl.toml:5"),
        "needs": (["PGHOST"], "jobctl.toml:6"),
        "arguments": ({"deep": 3}, "jobctl.toml:7"),
        "jitter": ("1m30s", "jobctl.toml:8"),
        "name": ("nightly", "default"),
        "timezone": ("UTC", "default"),
        "timeout": ("1h", "default"),
        "retry_delay": ("10s", "default"),
        "catch_up": ("none", "default"),
        "enabled": (True, "default"),
        "overlap": ("skip", "default"),
        "grace": ("5s", "default"),
    }


def test_a_built_in_job_keeps_the_place_of_what_the_file_does_not_change(tmp_path: Path) -> None:
    keys = found(
        tmp_path, "subscription-renewal-reminder", '[jobs.subscription-renewal-reminder]\ntimeout = "2h"\n'
    )

    assert keys["timeout"] == ("2h", "jobctl.toml:2")
    assert keys["cron"] == ("0 9 * * *", "built-in")
    assert keys["call"] == ("jobctl.jobs.renewal_reminder:renewal_reminder", "built-in")
    assert keys["overlap"] == ("skip", "default")


@pytest.mark.parametrize(
    ("change", "schedule"),
    [
        ('timezone = "Asia/Tokyo"', {"cron": "built-in", "timezone": "jobctl.toml:3"}),
        ('every = "1h"', {"every": "jobctl.toml:3"}),
        ('cron = "0 8 * * *"', {"cron": "jobctl.toml:3", "timezone": "default"}),
        ('after = ["repository-sync"]', {"after": "jobctl.toml:3"}),
        ('command = ["true"]', {"cron": "built-in", "timezone": "default"}),
    ],
)
def test_a_key_takes_the_place_of_those_that_it_excludes(
    tmp_path: Path, change: str, schedule: dict[str, str]
) -> None:
    keys = found(
        tmp_path,
        "subscription-expired-cleanup",
        f"builtin = true\n[jobs.subscription-expired-cleanup]\n{change}\n",
    )
    places = {key: place for key, (_, place) in keys.items()}

    assert {key: places[key] for key in ("every", "cron", "timezone", "after") if key in places} == schedule
    target = {"command": "jobctl.toml:3"} if "command" in change else {"call": "built-in"}
    assert {key: places[key] for key in ("call", "command") if key in places} == target


def test_a_decorator_is_the_place_of_its_options(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        'from jobctl import job\n\n@job(every="1h", retries=1)\ndef tidy():\n    """Tidies up."""\n'
    )
    keys = found(tmp_path, "tidy", 'modules = ["work"]\n[jobs.tidy]\nretries = 5\n')

    assert (keys["every"], keys["name"], keys["call"]) == (
        ("1h", "work.py:3"),
        ("Tidies up", "work.py:3"),
        ("work:tidy", "work.py:3"),
    )
    assert (keys["retries"], keys["timeout"]) == ((5, "jobctl.toml:3"), ("1h", "default"))


def test_nothing_secret_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "jobctl.toml").write_text(
        '[jobs.hidden]\ncommand = ["psql", "postgres://app:hunter2-in-a-word@db/app"]\n'
        'environment = { PGUSER = "app-user-of-the-job" }\ncheck_in = "https://hc.example/ping/5f3e-secret-path"\n'
        'arguments = { api_token = "tok-in-an-argument", more = { password = "pw-in-the-depth" } }\n'
    )
    project = ProjectContext.find(tmp_path, {"PATH": "/usr/bin:/bin"})
    settings = definition(project.catalogue.get("hidden"), project.environment.mask)
    shown = repr(settings) + " ".join(each.text for each in settings)

    hidden = ("hunter2", "app-user-of", "5f3e-secret", "tok-in-an", "pw-in-the-depth")
    assert [text for text in hidden if text in shown] == []
    assert "PGUSER" in shown


def test_a_job_of_a_program_has_its_own_place() -> None:
    places = {each.key: each.place for each in definition(Job("sync", "Sync", None, "work:sync"), Mask())}

    assert set(places.values()) == {"code"}


def test_several_expressions_and_excluded_dates_are_as_they_were_written(tmp_path: Path) -> None:
    keys = found(
        tmp_path,
        "week",
        '[jobs.week]\ncommand = ["true"]\ncron = ["0 9 * * 1-5", "0 11 * * 6"]\n'
        'exclude = ["2026-12-24..2026-12-26"]\ntimezone = "Europe/Berlin"\n',
    )

    assert keys["cron"] == (["0 9 * * 1-5", "0 11 * * 6"], "jobctl.toml:3")
    assert keys["exclude"] == (["2026-12-24..2026-12-26"], "jobctl.toml:4")
    assert keys["timezone"] == ("Europe/Berlin", "jobctl.toml:5")
