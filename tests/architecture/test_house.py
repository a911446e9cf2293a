"""The house's own rules: small files, arrows that point down, one version, names that can be reached."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jobctl

ROOT = Path(jobctl.__file__).parents[1]
PACKAGE = ROOT / "jobctl"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def lines(file: Path) -> int:
    return file.read_text(encoding="utf-8").count("\n")


def test_no_file_is_large() -> None:
    assert {str(file): lines(file) for file in FILES if lines(file) > 750} == {}
    assert {str(file): lines(file) for file in TESTS if lines(file) > 850} == {}
    assert statistics.median(lines(file) for file in FILES) < 250


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_the_public_names_can_all_be_reached() -> None:
    assert jobctl.__all__ == sorted(jobctl.__all__)
    assert set(jobctl.__all__) == set(jobctl._HOMES)
    for name in jobctl.__all__:
        assert getattr(jobctl, name).__doc__, name


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "version" not in project["project"]
    assert re.findall(r"^## \[(\d[^\]]*)\]", changes, re.MULTILINE)[0] == jobctl.__version__


def test_the_top_level_holds_what_was_agreed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in listed}

    agreed = {"pyproject.toml", "jobctl", "tests", "completions", "README.md", "CHANGELOG.md"}
    assert {name for name in top if not name.startswith(".")} <= agreed


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import jobctl; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {name.partition(".")[0] for name in loaded.split()} <= {
        "jobctl", "typing", "collections", "contextlib", "functools", "re", "operator", "warnings", "copyreg",
        "enum", "types", "keyword", "reprlib", "itertools", "_collections", "_functools", "_operator", "_typing",
        "_sre", "_weakref", "abc", "copy",
    }  # fmt: skip


@pytest.mark.slow
def test_nothing_below_the_face_prints_or_touches_rich() -> None:
    guilty = []
    for file in FILES:
        part = file.relative_to(PACKAGE).parts[0]
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call | ast.Import | ast.ImportFrom):
                continue
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            shows = {module.partition(".")[0] for module in modules} & {"rich", "typer"}
            if (named and part not in {"jobs", "demo"}) or (shows and part != "cli"):
                guilty.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert guilty == []


def test_the_scheduler_never_imports_job_code() -> None:
    code = (
        "import sys, jobctl.scheduler.scheduler, jobctl.managers.local, jobctl.execution.job_threads, jobctl.catalogue.job_keys;"
        "print([name for name in sys.modules if name.startswith(('jobctl.jobs', 'jobctl.site.content', 'dulwich', 'pygit2'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
