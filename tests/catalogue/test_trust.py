"""Whose files are trusted: one's own and root's, where no other user may write."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jobctl.errors import ConfigurationError
from jobctl.files import is_shared
from jobctl.project_location import find_project
from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")

NOBODY = 65534
EVIL = "import os\nopen(os.path.join(os.path.dirname(__file__), 'ran'), 'w').write(str(os.getuid()))\n"
gives_away = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give a file away")


def reachable_by_others() -> bool:
    """Whether another user may execute this interpreter, and import jobctl."""
    import jobctl

    paths = [Path(os.path.realpath(sys.executable)), Path(sys.prefix), Path(jobctl.__file__)]
    return all(folder.stat().st_mode & 0o001 for path in paths for folder in path.parents)


@pytest.fixture
def foreign(site: Site) -> Path:
    """A folder with a project file that another user has put above the own folder, which is still empty."""
    above = site.folder
    above.chmod(0o1777)
    (above / "jobctl.toml").write_text('modules = ["evil"]\n')
    (above / "evil.py").write_text(EVIL)
    site.folder = above / "mine"
    site.folder.mkdir()
    return above


@gives_away
@pytest.mark.parametrize("file", ["jobctl.toml", "pyproject.toml"])
def test_the_search_ends_at_another_users_project(foreign: Path, site: Site, file: str) -> None:
    if file == "pyproject.toml":
        (foreign / "jobctl.toml").unlink()
        (foreign / file).write_text('[tool.jobctl]\nmodules = ["evil"]\n')
    foreign.chmod(0o755)
    for one in (foreign / file, foreign / "evil.py"):
        os.chown(one, NOBODY, NOBODY)

    said = site.call("status")

    assert said.returncode == 0
    assert f"{foreign / file} belongs to user nobody, so it is not trusted" in said.stderr
    assert not (foreign / "ran").exists()
    assert site.call("mode").returncode == 0


def test_the_search_ends_where_every_user_may_write(foreign: Path, site: Site) -> None:
    said = site.call("status")

    assert said.returncode == 0
    assert f"{foreign} may be written by every user" in said.stderr
    assert not (foreign / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [".", "jobctl.toml", ".env", ".jobctl"])
@pytest.mark.parametrize("fault", [pytest.param("owner", marks=gives_away), "mode"])
def test_files_that_others_may_write_are_refused(site: Site, name: str, fault: str) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncommand = ["true"]\n')
    site.write(".env", "A=1\n").chmod(0o600)
    (site.folder / ".jobctl").mkdir(mode=0o700)
    path = site.folder / name
    if fault == "owner":
        os.chown(path, NOBODY, NOBODY)
    else:
        path.chmod(path.stat().st_mode | 0o002)

    for command in ("status", "trigger hello", "mode", "check settings"):
        refused = site.call(*command.split())
        assert refused.returncode == 2, (command, refused)
        assert (
            f"{path.resolve()} {'belongs to user nobody' if fault == 'owner' else 'may be written by every user'}"
            in (refused.stderr)
        )
        assert ("run jobctl as that user" if fault == "owner" else "chmod o-w") in refused.stderr

    site.environment["JOBCTL_SAFE_FOLDERS"] = f"/nowhere:{site.folder}"
    assert site.call("status").returncode == 0


@pytest.mark.parametrize(
    "toml", ['modules = ["jobs.work"]\n', '[jobs.x]\nevery = "1d"\ncall = "jobs.work:look"\n']
)
@pytest.mark.parametrize("path", ["jobs", "jobs/work.py"])
def test_a_module_that_others_may_write_is_not_imported(site: Site, toml: str, path: str) -> None:
    (site.folder / "jobs").mkdir()
    site.write("jobs/work.py", EVIL)
    site.write("jobctl.toml", toml)
    (site.folder / path).chmod(0o777)

    for command in ("status", "trigger x"):
        said = site.call(*command.split())
        assert said.returncode == 2
        assert f"{path} may be written by every user" in said.stderr
    assert not (site.folder / "jobs" / "ran").exists()


def test_the_hint_is_safe_to_follow(site: Site, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    for place in (tmp_path, Path("/dev/null")):
        said = site.call("status", env={"JOBCTL_STATE": str(place)})
        assert (said.returncode == 2) == (place == tmp_path)
        assert "chmod" not in said.stderr


def test_a_file_cannot_declare_itself_trusted(site: Site) -> None:
    site.write(".env", f"JOBCTL_SAFE_FOLDERS={site.folder}\n").chmod(0o666)

    assert site.call("mode").returncode == 2


@gives_away
def test_roots_files_count_and_behind_sudo_those_of_the_caller(tmp_path: Path, site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncommand = ["true"]\n')
    for one in (site.folder, site.folder / "jobctl.toml"):
        os.chown(one, 1234, 1234)
    assert site.call("mode").returncode == 2

    site.environment["SUDO_UID"] = "1234"
    assert site.call("mode").returncode == 0

    del site.environment["SUDO_UID"]
    site.environment["VERCEL"] = "1"  # where the platform decides who owns the files
    assert site.call("mode").returncode == 0


@pytest.fixture
def open_site(site: Site) -> Iterator[Site]:
    """The same in a folder that another user can reach, as those of pytest are not."""
    with TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        site.folder = Path(above) / "project"
        site.folder.mkdir()
        yield site


@gives_away
def test_root_does_not_import_the_code_of_an_owner(open_site: Site) -> None:
    site = open_site
    site.write("jobctl.toml", 'modules = ["evil"]\n')
    site.write("evil.py", EVIL)
    (site.folder / ".jobctl").mkdir()
    for one in (site.folder, *site.folder.iterdir()):
        os.chown(one, NOBODY, NOBODY)

    said = site.call("install", "systemd", "--system", "--dry-run")

    ran = site.folder / "ran"
    assert not ran.exists() or ran.read_text() == str(NOBODY)
    assert not list((site.folder / ".jobctl").iterdir())
    if reachable_by_others():
        assert (said.returncode, ran.exists()) == (0, True), said
        assert "User=nobody" in said.stdout


def test_a_group_of_ones_own_may_write_and_a_shared_one_may_not(tmp_path: Path) -> None:
    import grp

    (tmp_path / "jobctl.toml").write_text("")
    assert not is_shared(0, os.geteuid())
    assert not is_shared(4_000_000_000, os.geteuid())
    shared = next(one for one in grp.getgrall() if one.gr_gid != 0 and is_shared(one.gr_gid, os.geteuid()))
    if os.geteuid() != 0 and shared.gr_gid not in os.getgroups():
        pytest.skip("needs the right to give a file to a group")
    (tmp_path / "jobctl.toml").chmod(0o664)
    os.chown(tmp_path / "jobctl.toml", -1, shared.gr_gid)

    with pytest.raises(ConfigurationError, match="may be written by other users of its group"):
        find_project(tmp_path)


@gives_away
@pytest.mark.skipif(not reachable_by_others(), reason="other users cannot execute this interpreter")
def test_a_user_without_an_entry_and_without_a_home(open_site: Site) -> None:
    site = open_site
    site.jobs('[jobs.hello]\nevery = "1d"\ncommand = ["true"]\n')
    for one in (site.folder, *site.folder.iterdir()):
        os.chown(one, 54321, 54321)
    for name in ("HOME", "USER", "LOGNAME"):
        site.environment.pop(name, None)
    commands = [
        "status", "trigger hello", "mode", "check settings store", "runs", "logs hello", "metrics", "next '@daily'",
        "install systemd --dry-run", "install systemd", "completion bash", "export trigger-dev", "new extra",
        "trigger repository-sync", "trigger hello --project ~/x",
    ]  # fmt: skip
    for command in commands:
        said = site.call(*command.split(), user=54321, group=54321, extra_groups=[])
        assert "Traceback" not in said.stdout + said.stderr, said
        assert "bug" not in said.stderr, said
