"""An exported folder in the hands of Vercel's own command, without login. On request."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import do_without, fetch, shared_folder
from tests.support.project import Site

pytestmark = pytest.mark.request
VERCEL = "60.1.3"


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vercel's program: some 300 packages."""
    if shutil.which("node") is None or shutil.which("uv") is None:
        do_without("vercel build needs node and uv")
    folder = fetch(shared_folder(tmp_path_factory, "vercel"), {"vercel": VERCEL})
    return folder / "node_modules" / "vercel" / "dist" / "index.js"


@pytest.mark.parametrize(
    ("where", "target"), [(".", "crons"), (".", "schedules"), ("vercel-jobs", "crons")], ids=str
)
def test_vercel_builds_it(where: str, target: str, site: Site, command: Path) -> None:
    site.jobs('[jobs.hello]\ncron = "0 9 * * *"\ncall = "work:hello"\ntimeout = "2m"\n', "def hello(): ...\n")
    site.write("vercel.json", '\ufeff{"framework": "python"}')
    assert site.call("export", "vercel", where, "--target", target).returncode == 0
    folder = site.folder / where
    (folder / ".vercel").mkdir()
    project = {"projectId": "prj_x", "orgId": "team_x", "settings": {"framework": None}}
    (folder / ".vercel" / "project.json").write_text(json.dumps(project))

    done = subprocess.run(
        ["node", command, "build", "--prod", "--yes", "--token", "x", "--non-interactive"],
        cwd=folder, env={**site.environment, "VERCEL_TELEMETRY_DISABLED": "1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    output = folder / ".vercel" / "output"
    built: Any = json.loads((output / "config.json").read_text())
    written = json.loads((folder / "vercel.json").read_text())
    assert built[target] == written[target]
    assert "/api/cron/jobs/hello" in json.dumps(built[target])
    (function,) = output.glob("functions/**/.vc-config.json")
    about = json.loads(function.read_text())
    assert (about["runtime"], about["maxDuration"]) == ("python3.12", 800)
    (packages,) = (folder / ".vercel").glob("python/.venv/lib/python*/site-packages")
    assert (packages / "jobctl" / "web" / "app.py").is_file()
    assert (packages / "starlette").is_dir()
