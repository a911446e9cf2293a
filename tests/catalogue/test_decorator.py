import json
import os
import re
import select
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl import job
from jobctl.catalogue.catalogue import Catalogue
from jobctl.catalogue.job_keys import OPTIONS
from jobctl.errors import ConfigurationError, UsageError
from jobctl.project_location import find_project
from jobctl.schedules import Cron, Every
from jobctl.settings.environment import Environment


def load(folder: Path) -> Catalogue:
    return Catalogue.load(find_project(folder), Environment.load(folder, os.environ))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "jobctl.toml").write_text('modules = ["myapp.jobs"]\n')
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "__init__.py").touch()
    (tmp_path / "myapp" / "jobs.py").write_text(
        'from jobctl import job\nprint("noise")\n\n@job(cron="*/10 * * * *", timeout="2m")\n'
        'def count_things():\n    """Count the things."""\n\n'
        '@job("other", every=90)\nasync def something():\n    pass\n'
    )
    return tmp_path


def test_a_modules_jobs_join(app: Path) -> None:
    catalogue = load(app)

    count, other = catalogue.get("count-things"), catalogue.get("other")
    assert (count.name, count.schedule, count.timeout) == (
        "Count the things",
        Cron("*/10 * * * *"),
        timedelta(minutes=2),
    )
    assert count.target == "myapp.jobs:count_things"
    assert count.origin == "myapp/jobs.py:4"
    assert other.schedule == Every(90)


def test_this_process_does_not_import_them(app: Path) -> None:
    load(app)

    assert "myapp" not in sys.modules


def test_found_jobs_are_cached_until_a_file_changes(app: Path) -> None:
    (app / ".jobctl").mkdir()
    load(app)
    kept = app / ".jobctl" / "found" / "discovered.json"
    data = json.loads(kept.read_text())
    data["jobs"][0]["settings"]["name"] = "From the cache"
    kept.write_text(json.dumps(data))
    assert load(app).get("count-things").name == "From the cache"

    module = app / "myapp" / "jobs.py"
    module.write_text(module.read_text() + "\n# changed\n")

    assert load(app).get("count-things").name == "Count the things"
    assert kept.stat().st_mode & 0o077 == 0


def test_a_damaged_cache_is_ignored(app: Path) -> None:
    kept = app / ".jobctl" / "found" / "discovered.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{")

    assert "other" in load(app).ids()

    sound = json.loads(kept.read_text())
    for jobs in ({"a": 1}, [{"id": 1}], [1], "x", None):
        kept.write_text(json.dumps({**sound, "jobs": jobs}))
        assert "other" in load(app).ids()


def test_the_environment_of_a_job_is_never_cached(app: Path) -> None:
    (app / ".jobctl").mkdir()
    (app / "myapp" / "jobs.py").write_text(
        'from jobctl import job\n@job(environment={"API_TOKEN": "ghp_SESAME"})\ndef secret(): pass\n'
    )

    for _ in range(2):
        assert load(app).get("secret").environment == {"API_TOKEN": "ghp_SESAME"}

    assert [path for path in (app / ".jobctl").rglob("*") if path.is_file()] == []


def test_other_files_in_the_state_folder_stay(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JOBCTL_STATE may be any folder; only what jobctl itself made there is its own."""
    monkeypatch.setenv("JOBCTL_STATE", ".")
    mine = ["package-lock.json", "package-notes.json", "discovered.json"]
    for name in mine:
        (app / name).write_text("{}")

    load(app)

    assert [(app / name).read_text() for name in mine] == ["{}"] * 3


def test_a_job_with_a_dry_run_is_recognized(app: Path) -> None:
    (app / "myapp" / "jobs.py").write_text(
        "from jobctl import job\n@job()\ndef knows(dry_run=False): pass\n@job()\ndef does_not(): pass\n"
    )

    catalogue = load(app)

    assert (catalogue.get("knows").dry_run, catalogue.get("does-not").dry_run) == (True, False)


@pytest.mark.parametrize("ending", ["", "import os; os._exit(7)"], ids=["sound", "crashing"])
def test_a_process_that_a_module_starts_is_killed_without_waiting(app: Path, ending: str) -> None:
    (app / "myapp" / "jobs.py").write_text(
        "import subprocess\n"
        "left = subprocess.Popen(['sleep', '1000'])\nprint('x' * 1_000_000)\n"
        f"open('left', 'w').write(str(left.pid))\n{ending}"
    )

    if ending:
        with pytest.raises(ConfigurationError, match="ended with code 7"):
            load(app)
    else:
        load(app)

    left = int((app / "left").read_text())
    with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(left)) as ended:
        assert select.select([ended], [], [], 10)[0]


@pytest.mark.parametrize(
    ("source", "where", "words"),
    [
        ("import nothing_of_that_name", "myapp/jobs.py:1", "ModuleNotFoundError"),
        ("\n\n1 / 0", "myapp/jobs.py:3", "ZeroDivisionError"),
        ("raise SystemExit(3)", "myapp/jobs.py:1", "SystemExit"),
        ("import os; os._exit(7)", "jobctl.toml:1", "ended with code 7"),
        ("from jobctl import job\n@job(cron='61 * * * *')\ndef f(): pass", "myapp/jobs.py:2", "minute: 61"),
    ],
)
def test_a_module_that_cannot_be_imported_is_reported(app: Path, source: str, where: str, words: str) -> None:
    (app / "myapp" / "jobs.py").write_text(source)

    with pytest.raises(ConfigurationError, match=words) as caught:
        load(app)
    assert caught.value.where == where


def test_a_duplicate_id_is_reported_with_both_places(app: Path) -> None:
    (app / "jobctl.toml").write_text('modules = ["myapp.jobs", "more"]\n')
    (app / "more.py").write_text("from jobctl import job\n@job('other')\ndef f(): pass\n")

    with pytest.raises(ConfigurationError, match=r"defined twice: also in myapp/jobs\.py:8") as caught:
        load(app)
    assert caught.value.where == "more.py:2"


def test_the_project_file_changes_a_decorated_job(app: Path) -> None:
    (app / "jobctl.toml").write_text('modules = ["myapp.jobs"]\n[jobs.other]\nenabled = false\n')

    assert load(app).get("other").enabled is False


def plus_one(number: int) -> int:
    return number + 1


def test_the_function_is_unchanged() -> None:
    assert job(every="5m")(plus_one) is plus_one
    assert plus_one(1) == 2


@pytest.mark.parametrize(
    "arguments", [{"cron": "x"}, {"every": 0.1}, {"timeout": "soon"}, {"retries": -1}, {"after": "other"}]
)
def test_bad_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        job(**arguments)(plus_one)


def test_without_parentheses_the_right_form_is_shown(app: Path) -> None:
    (app / "myapp" / "bare.py").write_text("from jobctl import job\n@job\ndef tidy(): ...\n")
    (app / "jobctl.toml").write_text('modules = ["myapp.bare"]\n')
    with pytest.raises(
        ConfigurationError, match=r'TypeError: @job needs parentheses.* write @job\(every="5m"\)'
    ):
        load(app)


def test_a_decorated_job_runs_after_others(app: Path) -> None:
    source = (app / "myapp" / "jobs.py").read_text()
    (app / "myapp" / "jobs.py").write_text(source + '@job(after=("other",))\ndef then(): ...\n')
    assert load(app).get("then").after == ("other",)

    (app / "jobctl.toml").write_text('modules = ["myapp.jobs"]\n[jobs.other]\nafter = ["then"]\n')
    with pytest.raises(ConfigurationError, match="other after then after other") as caught:
        load(app)
    assert caught.value.where == "jobctl.toml:3"

    (app / "myapp" / "jobs.py").write_text(source + '@job(after=["othr"])\ndef then(): ...\n')
    (app / "jobctl.toml").write_text('modules = ["myapp.jobs"]\n')
    with pytest.raises(ConfigurationError, match='there is no job "othr"') as caught:
        load(app)
    assert (caught.value.where, caught.value.hint) == ("myapp/jobs.py:11", 'did you mean "other"?')


def test_its_documentation_names_every_option() -> None:
    assert {f"``{key}``" for key in OPTIONS} <= set(re.findall("``[a-z_]+``", job.__doc__ or ""))


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'call'"):
        job(call="a.b:c")  # type: ignore[call-arg]


def test_python_values_are_those_of_a_project_file() -> None:
    job(every=timedelta(minutes=5), timeout=90, needs=("A",), environment={"B": "c"})(plus_one)  # type: ignore[arg-type]

    settings = plus_one.__jobctl_job__["settings"]  # type: ignore[attr-defined]
    assert {key: settings[key] for key in ("every", "timeout", "needs", "environment")} == {
        "every": "5m",
        "timeout": "1m30s",
        "needs": ["A"],
        "environment": {"B": "c"},
    }


def test_a_local_function_is_refused() -> None:
    with pytest.raises(UsageError, match="a worker could not import it"):
        job(every="5m")(lambda: None)


def test_the_decorator_is_cheap_to_import() -> None:
    code = "import sys; from jobctl import job; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not {"croniter", "sqlite3", "rich", "typer", "asyncio"} & set(loaded.split())
