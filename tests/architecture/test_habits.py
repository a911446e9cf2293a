"""What helps strangers to the code: the licence in the wheel, CI on every supported Python, checks before a commit."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import jobctl

ROOT = Path(jobctl.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CI_RUN = (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_ci_tries_every_supported_python_on_linux_and_macos() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))

    assert matrix["python"] == supported
    assert PROJECT["requires-python"] == f">={supported[0]}"
    assert {"ubuntu-latest", "macos-latest"} == set(matrix["os"])
    assert any(step.get("run") == ".ci/run" for step in workflow["jobs"]["test"]["steps"])


def test_checks_before_a_commit_are_those_of_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]

    for hook in hooks:
        program = " ".join(word for word in hook["entry"].split() if word not in {"--fix", "--force-exclude"})
        assert re.search(rf"^{re.escape(program)}\b", CI_RUN, re.MULTILINE), program


def test_the_shown_test_command_is_the_one_of_ci() -> None:
    command = CI_RUN.splitlines()[-1]

    assert command == "python -m pytest -n auto"
    for page in ("README.md", ".github/CONTRIBUTING.md"):
        assert f".venv/bin/{command}" in (ROOT / page).read_text(encoding="utf-8"), page


@pytest.mark.slow
def test_the_built_wheel_holds_the_licence_and_the_metadata(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        metadata = wheel.read(f"{info}/METADATA").decode()

    assert f"{info}/licenses/jobctl/LICENSE" in names
    assert "License-Expression: MIT\n" in metadata
    assert "Author: The jobctl maintainers\n" in metadata
    assert re.search(r"^Project-URL: .*github\.com/ever-works$", metadata, re.MULTILINE)
    pages = {f"jobctl/docs/{page.name}" for page in (ROOT / "jobctl/docs").glob("*.md")}
    assert pages <= set(names)
