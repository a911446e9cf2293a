"""``import crontab``: each line becomes a job that does what cron did."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from jobctl.catalogue.crontab import local_timezone
from tests.support.project import Site
from tests.support.terminal import Cli

CRONTAB = r"""# m h  dom mon dow   command
SHELL=/bin/bash
MAILTO="ops@example.com, dev@example.com"
PATH = /usr/local/bin:/usr/bin:/bin

# Nightly backup,
# of all
30 2 * * * /usr/local/bin/backup.sh --all
CRON_TZ=Europe/Berlin
*/5 * * * 1-5 cd /srv/app && php artisan schedule:run >> /dev/null 2>&1
@daily find /tmp -name 'x*' -delete
@reboot /usr/bin/thing
0 9 * * 1 cat > said; echo '100\%'%Hello%World
61 * * * * nothing
nonsense
15 4 * * * /usr/local/bin/backup.sh --part
"""


@pytest.fixture
def project(here: Path, cli: Cli) -> Cli:
    (here / "jobctl.toml").write_text('[jobs.find]\ncommand = ["true"]\nevery = "1h"\n')
    (here / "tab").write_text(CRONTAB)
    return cli


def jobs_in(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = tomllib.loads((folder / "jobctl.toml").read_text())["jobs"]
    return found


def test_the_project_file_keeps_its_line_ends(project: Cli, here: Path) -> None:
    file = here / "jobctl.toml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    assert project("import", "crontab", "tab").code == 0
    written = file.read_bytes()
    assert b"[jobs.backup]\r\n" in written
    assert written.count(b"\n") == written.count(b"\r\n")


def test_each_line_becomes_a_job(project: Cli, here: Path) -> None:
    done = project("import", "crontab", "tab")

    assert done.code == 0, done.stderr
    jobs = jobs_in(here)
    assert list(jobs) == ["find", "backup", "app", "find-2", "cat", "backup-2"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    own = {} if local_timezone() in {"UTC", "Etc/UTC"} else {"timezone": local_timezone()}
    assert jobs["backup"] == {
        "cron": "30 2 * * *",
        **own,
        "command": ["/usr/local/bin/backup.sh", "--all"],
        "folder": "~",
        "environment": environment,
    }
    assert (jobs["app"]["timezone"], jobs["app"]["cron"]) == ("Europe/Berlin", "*/5 * * * 1-5")
    command = jobs["app"]["command"]
    assert command == ["/bin/bash", "-c", "cd /srv/app && php artisan schedule:run >> /dev/null 2>&1"]
    assert "# Nightly backup,\n# of all\n# line 8 of the crontab: " in (here / "jobctl.toml").read_text()
    assert "jobctl.toml: 5 jobs added: backup, app, find-2, cat, backup-2" in done.stderr
    assert 'notify = { mail = ["ops@example.com", "dev@example.com"] }' in done.stderr
    assert {"backup", "cat"} < {job["id"] for job in project("status", "--json").json["jobs"]}


def test_what_cannot_be_a_job_is_kept_as_a_comment(project: Cli, here: Path) -> None:
    done = project("import", "crontab", "tab", "--json")

    refused = {each["line"]: each["reason"] for each in done.json["refused"]}
    assert refused.keys() == {12, 14, 15}
    assert refused[12].startswith("no schedule is due at the start of a machine")
    assert refused[14] == "minute: 61 is not in 0-59"
    assert refused[15] == "it is neither a variable nor five fields and a command"
    text = (here / "jobctl.toml").read_text()
    for line in ("@reboot /usr/bin/thing", "61 * * * * nothing", "nonsense"):
        assert f"\n#   {line}\n" in text
    assert "line 12 was not imported" in done.stderr


@pytest.mark.slow
def test_a_percent_sign_is_standard_input_as_for_cron(site: Site) -> None:
    (site.folder / "tab").write_text(f"HOME={site.folder}\n{CRONTAB.splitlines()[12]}\n")
    assert site.call("import", "crontab", "tab").returncode == 0
    done = site.call("trigger", "cat")
    assert (done.returncode, done.stdout) == (0, "100%\n"), done
    assert (site.folder / "said").read_text() == "Hello\nWorld\n"


def test_a_dry_run_prints_the_jobs_and_writes_nothing(project: Cli, here: Path) -> None:
    before = (here / "jobctl.toml").read_text()
    done = project("import", "crontab", "tab", "--dry-run")
    assert (here / "jobctl.toml").read_text() == before
    assert len(tomllib.loads(done.stdout)["jobs"]) == 5


def test_what_was_imported_is_not_imported_again(project: Cli, here: Path) -> None:
    project("import", "crontab", "tab")
    before = (here / "jobctl.toml").read_text()
    again = project("import", "crontab", "tab")
    assert again.code == 2
    assert (
        "the crontab has no line that can be a job: line 8, the job backup does the same already"
        in again.stderr
    )
    assert (here / "jobctl.toml").read_text() == before


def test_lines_of_the_system_name_a_user(project: Cli, here: Path) -> None:
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    (here / "tab").write_text(f"0 1 * * * {me} /bin/mine\n0 2 * * * somebody-else /bin/theirs\n")
    done = project("import", "crontab", "tab", "--system", "--json").json
    assert [job["id"] for job in done["jobs"]] == ["mine"]
    assert done["refused"][0]["reason"] == f'it runs as "somebody-else", and jobctl runs as {me}'


def test_it_is_added_to_a_pyproject_too(here: Path, cli: Cli) -> None:
    (here / "jobctl.toml").unlink()
    (here / "pyproject.toml").write_text('[tool.jobctl.jobs.one]\ncommand = ["true"]\nevery = "1h"\n')
    (here / "tab").write_text("@hourly /bin/two\n")
    assert cli("import", "crontab", "tab").code == 0
    jobs = tomllib.loads((here / "pyproject.toml").read_text())["tool"]["jobctl"]["jobs"]
    assert jobs["two"]["cron"] == "@hourly"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no line that can be a job"),
        ("# only\n", "has no line"),
        (None, '"tab" cannot be read: no such file'),
    ],
)
def test_a_crontab_without_jobs_is_refused(here: Path, cli: Cli, text: str | None, problem: str) -> None:
    before = (here / "jobctl.toml").read_text()
    if text is not None:
        (here / "tab").write_text(text)
    done = cli("import", "crontab", "tab")
    assert (done.code, problem in done.stderr) == (2, True)
    assert (here / "jobctl.toml").read_text() == before
