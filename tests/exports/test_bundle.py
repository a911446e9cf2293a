"""What exports carry: everything that the jobs need, or a sentence for each thing that is missing."""

import os
from pathlib import Path

import pygit2
import pytest

from tests.support.project import Site

CODE = """
import json, helper
from tools import inner
import idna

pytestmark = pytest.mark.usefixtures("inline")
try:
    import not_there
except ImportError:
    pass

def hello(): ...
"""


def exported(site: Site, *words: str) -> set[str]:
    done = site.call("export", "trigger-dev", "worker", *words)
    assert done.returncode == 0, done.stderr
    folder = site.folder / "worker" / "project"
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


@pytest.fixture
def project(site: Site) -> Site:
    """Jobs that need several files."""
    site.jobs(
        '[jobs.hello]\nevery = "1h"\ncall = "work:hello"\n'
        '[jobs.script]\nevery = "1h"\ncommand = ["bin/backup.sh", "--to", "settings.json"]\n'
        '[jobs.python]\nevery = "1h"\ncommand = ["python3", "scripts/run.py"]\nfolder = "data"\n',
        CODE,
    )
    for name, text in {
        "helper.py": "import third\n", "third.py": "", "unused.py": "", "tools/__init__.py": "",
        "tools/inner.py": "", "tools/words.txt": "", "tools/.env": "SECRET=1", "tools/__pycache__/x.pyc": "",
        "bin/backup.sh": "#!/bin/sh\n", "settings.json": "{}", "data/scripts/run.py": "import near\n",
        "data/scripts/near.py": "", "data/table.csv": "1",
    }.items():  # fmt: skip
        (site.folder / name).parent.mkdir(parents=True, exist_ok=True)
        site.write(name, text)
    (site.folder / "bin" / "backup.sh").chmod(0o755)
    return site


@pytest.mark.slow
def test_files_of_the_jobs_go_along(project: Site) -> None:
    assert exported(project) == {
        "jobctl.toml", "work.py", "helper.py", "third.py", "tools/__init__.py", "tools/inner.py",
        "tools/words.txt", "bin/backup.sh", "settings.json", "data/scripts/run.py", "data/scripts/near.py",
        "data/table.csv",
    }  # fmt: skip
    assert (project.folder / "worker/project/bin/backup.sh").stat().st_mode & 0o111
    assert project.call("export", "trigger-dev", "worker", "--check").returncode == 0


@pytest.mark.slow
def test_a_file_that_is_needed_no_more_goes(project: Site) -> None:
    exported(project)
    project.write("helper.py", "")

    assert project.call("export", "trigger-dev", "worker", "--check").returncode == 1
    assert "third.py" not in exported(project)


@pytest.mark.slow
def test_packages_are_named_by_their_versions(site: Site) -> None:
    """Those that jobctl and the extra bring are not named again."""
    site.jobs('[jobs.hello]\nevery = "1h"\ncall = "work:hello"\n', "import flask, idna, psycopg, yaml\n")

    exported(site)

    first, *more = (site.folder / "worker" / "requirements.txt").read_text().splitlines()
    assert first.startswith("./ever_jobctl-")
    assert [line.partition("==")[0] for line in more] == ["Flask" if "Flask" in more[0] else "flask"]
    exported(site, "--from-index")
    assert (site.folder / "worker" / "requirements.txt").read_text().startswith("ever-jobctl[postgres]==")
    assert not list((site.folder / "worker").glob("*.whl"))


@pytest.mark.slow
def test_a_package_with_jobs_is_named_or_missing(site: Site, tmp_path: Path) -> None:
    site.jobs("")
    place = tmp_path / "installed"
    about = place / "acme_jobs-1.2.dist-info"
    about.mkdir(parents=True)
    (place / "acme.py").write_text('import jobctl\n@jobctl.job("acme-job", every="1h")\ndef work(): ...\n')
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-jobs\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[jobctl.jobs]\nx = acme\n")
    (about / "RECORD").write_text("acme.py,,\nacme_jobs-1.2.dist-info/METADATA,,\n")
    around = {"env": {"PYTHONPATH": str(place)}}

    assert site.call("export", "trigger-dev", "worker", **around).returncode == 0
    assert "acme-jobs==1.2\n" in (site.folder / "worker" / "requirements.txt").read_text()

    (about / "direct_url.json").write_text('{"url": "file:///home/me/acme", "dir_info": {"editable": true}}')
    told = site.call("export", "trigger-dev", "worker", **around)
    assert "needs acme-jobs 1.2, which was installed from a folder of this machine" in told.stderr
    assert site.call("export", "trigger-dev", "worker", "--check", **around).returncode == 1
    with (site.folder / "worker" / "requirements.txt").open("a") as file:
        file.write("acme-jobs @ git+https://git.example/acme\n")
    assert site.call("export", "trigger-dev", "worker", "--check", **around).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "code", "says"),
    [
        ('command = ["pg_dump", "app"]', "", "hello runs pg_dump, which the image does not have"),
        ('command = ["/opt/tool/run"]', "", 'hello runs "/opt/tool/run", which is not a file of the project'),
        ('command = ["../run.sh"]', "", "which is not a file of the project"),
        ('call = "work:hello"\nfolder = "/var"', "", "is not a folder of the project"),
        ('call = "work:hello"', "import no_such_module", 'work.py imports "no_such_module"'),
        ('call = "work:hello"', "import out", "does not upload out/__init__.py because of its name"),
    ],
)
def test_what_cannot_go_along_is_named(job: str, code: str, says: str, site: Site) -> None:
    site.jobs(f'[jobs.hello]\nevery = "1h"\n{job}\n', f"{code}\ndef hello(): ...\n")
    (site.folder / "out").mkdir()
    site.write("out/__init__.py", "")

    assert site.call("export", "trigger-dev", "worker").returncode == 0
    checked = site.call("export", "trigger-dev", "worker", "--check")

    assert checked.returncode == 1
    assert says in checked.stderr
    assert any(says in one for one in site.json("export", "trigger-dev", "worker")["missing"])


def test_a_program_that_a_package_installs_is_not_missing(site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1h"\ncommand = ["pg_dump", "app"]\n')
    site.call("export", "trigger-dev", "worker")
    site.write("worker/packages.txt", "postgresql-client  # pg_dump\n")

    assert site.call("export", "trigger-dev", "worker", "--check").returncode == 0


def test_a_module_of_another_folder_is_named_as_one(site: Site, tmp_path: Path) -> None:
    site.jobs('[jobs.hello]\nevery = "1h"\ncall = "elsewhere:hello"\n')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "elsewhere.py").write_text("def hello(): ...\n")

    done = site.call("export", "trigger-dev", "worker", env={"PYTHONPATH": str(tmp_path / "other")})

    assert 'the job hello imports "elsewhere", which comes from a folder of this machine' in done.stderr


@pytest.mark.slow
def test_long_chains_and_odd_files_do_no_harm(site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1h"\ncall = "m0:hello"\nfolder = "data"\n')
    for number in range(600):
        site.write(f"m{number}.py", f"import m{number + 1}\n" if number < 599 else "def hello(): ...\n")
    (site.folder / "data").mkdir()
    os.mkfifo(site.folder / "data" / "pipe")
    (site.folder / "data" / "loop").symlink_to(".")
    with (site.folder / "data" / "large").open("wb") as file:
        file.truncate(1 << 40)

    done = site.call("export", "trigger-dev", "worker")

    assert done.returncode == 0, done.stderr
    assert (site.folder / "worker" / "project" / "m599.py").is_file()
    assert not (site.folder / "worker" / "project" / "data").exists()
    assert "data/large is left out: the project's files may have 20 MiB together" in done.stderr


@pytest.mark.slow
def test_what_git_ignores_is_named(site: Site) -> None:
    site.jobs("")
    pygit2.init_repository(str(site.folder))
    site.write(".gitignore", "*.whl\nnode_modules/\n")

    assert "Git ignores ever_jobctl-" in site.call("export", "trigger-dev", "worker").stderr
    assert site.call("export", "trigger-dev", "worker", "--check").returncode == 1
    site.write(".gitignore", "node_modules/\n")
    assert site.call("export", "trigger-dev", "worker", "--check").returncode == 0


def test_an_edited_list_that_lacks_this_jobctl_is_named(site: Site) -> None:
    site.jobs("")
    site.call("export", "trigger-dev", "worker")
    site.write("worker/requirements.txt", "./ever_jobctl-0.1.0-py3-none-any.whl[postgres]\n")

    checked = site.call("export", "trigger-dev", "worker", "--check")

    assert checked.returncode == 1
    assert "requirements.txt was edited and does not name ever_jobctl-" in checked.stderr


def test_calendars_go_along_with_the_packages_that_read_them(site: Site) -> None:
    (site.folder / "public").mkdir()
    site.write(
        "public/holidays.ics",
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\n"
        "RRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR\n",
    )
    site.jobs(
        '[jobs.hello]\nevery = "1h"\ncall = "work:hello"\nexclude = ["@holidays"]\n'
        '[calendars.holidays]\nfile = "public/holidays.ics"\n',
        "def hello(): ...",
    )

    assert "public/holidays.ics" in exported(site)
    requirements = (site.folder / "worker" / "requirements.txt").read_text()
    assert "icalendar==" in requirements
    assert "recurring-ical-events==" in requirements
