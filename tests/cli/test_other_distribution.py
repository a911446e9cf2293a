"""A distribution named jobctl, as somebody else has on the package index, beside ours."""

from pathlib import Path

from tests.support.project import Site


def test_check_warns_of_another_projects_jobctl(site: Site, tmp_path: Path) -> None:
    site.jobs("")
    about = tmp_path / "installed" / "jobctl-3.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: jobctl\nVersion: 3.1\n")

    alone = site.call("check", "settings")
    beside = site.call("check", "settings", env={"PYTHONPATH": str(about.parent)})

    assert "installed beside" not in alone.stderr
    assert "the distribution jobctl 3.1 is installed beside ever-jobctl" in " ".join(beside.stderr.split())
    assert beside.returncode == 0
