"""The wheel that exports carry: the running jobctl, the same bytes each time, installable without an index."""

import subprocess
import sys
import venv
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from jobctl import __version__
from jobctl.errors import DISTRIBUTION
from jobctl.export_bundle import pack, requirement


def test_the_same_files_give_the_same_bytes() -> None:
    assert pack() == pack()


def test_it_holds_the_package_and_what_installers_need() -> None:
    wheel = pack()

    with zipfile.ZipFile(BytesIO(wheel.data)) as archive:
        names = archive.namelist()
        metadata = archive.read(f"ever_jobctl-{__version__}.dist-info/METADATA").decode()
        record = archive.read(f"ever_jobctl-{__version__}.dist-info/RECORD").decode()

    assert wheel.name == f"ever_jobctl-{__version__}-py3-none-any.whl"
    package = Path(__file__).parents[2] / "jobctl"
    expected = {
        f"jobctl/{file.relative_to(package)}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert expected == {name for name in names if name.startswith("jobctl/")}
    assert f"Name: {DISTRIBUTION}\nVersion: {__version__}\n" in metadata
    assert "Requires-Dist: starlette>=1.0; extra == 'web'\n" in metadata
    assert "Provides-Extra: trigger-dev\n" in metadata
    assert "Provides-Extra: postgres\n" in metadata
    assert {line.split(",")[0] for line in record.splitlines()} == set(names)


def test_a_requirement_names_it_or_the_release() -> None:
    wheel = pack()

    assert requirement("postgres,web", wheel) == f"./{wheel.name}[postgres,web]"
    assert requirement("postgres", None) == f"ever-jobctl[postgres]=={__version__}"


@pytest.mark.slow
def test_pip_installs_it_without_an_index(tmp_path: Path) -> None:
    wheel = pack()
    (tmp_path / wheel.name).write_bytes(wheel.data)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    (tmp_path / "requirements.txt").write_text(f"{requirement('postgres,web', wheel)}\n")

    done = subprocess.run(
        [python, "-m", "pip", "install", "--no-index", "--no-deps", "-r", "requirements.txt"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    libraries = next(one for one in sys.path if one.endswith("site-packages"))
    shown = subprocess.run(
        [tmp_path / "env" / "bin" / "jobctl", "--version"],
        env={"PYTHONPATH": libraries}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert __version__ in shown.stdout, shown.stderr
    # the copy that was installed packs the same wheel
    again = subprocess.run(
        [python, "-c", "import sys; from jobctl.export_bundle import pack; sys.stdout.buffer.write(pack().data)"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert again.stdout == wheel.data, again.stderr[-500:]
