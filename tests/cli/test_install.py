"""``install systemd``: where the unit goes, what is reported, and what is refused before anything is written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Site
from tests.support.terminal import Cli

FILE = "systemd/user/jobctl.service"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


def test_a_users_own_service_goes_to_the_folder_of_its_manager(cli: Cli, here: Path, config: Path) -> None:
    done = cli("install", "systemd", "--user")
    again = cli("install", "systemd", "--user")

    file = config / FILE
    assert (done.code, done.stdout) == (0, f"created\t{file}\n")
    assert again.stdout == f"unchanged\t{file}\n"
    assert f"WorkingDirectory={here}\n" in file.read_text()
    assert [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now jobctl",
        "loginctl enable-linger     # it then also runs while you are not logged in",
        "journalctl --user -u jobctl -f",
    ]
    assert list(config.rglob("*.*")) == [file]


def test_without_xdg_config_home_it_is_in_the_home_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert cli("install", "systemd", "--user", "--name", "site-jobs").code == 0
    assert (tmp_path / ".config/systemd/user/site-jobs.service").exists()


def test_a_change_is_written_and_wants_a_restart(cli: Cli, config: Path) -> None:
    cli("install", "systemd", "--user")
    done = cli("install", "systemd", "--user", "--workers", "8", "--grace", "90s", "--local")

    assert done.stdout.startswith("changed\t")
    assert "systemctl --user restart jobctl" in done.stderr
    text = (config / FILE).read_text()
    assert " run --local --workers 8 --grace 1m30s\n" in text
    assert "TimeoutStopSec=125\n" in text  # the grace, 5 s to obey, 30 s for what follows


def test_the_longest_grace_of_a_job_counts(cli: Cli, here: Path) -> None:
    (here / "jobctl.toml").write_text('[jobs.slow]\ncall = "work:hello"\ngrace = "2m"\n')

    assert "TimeoutStopSec=180\n" in cli("install", "systemd", "--dry-run").stdout


def test_a_dry_run_prints_the_unit_and_writes_nothing(cli: Cli, config: Path) -> None:
    shown = cli("install", "systemd", "--user", "--dry-run")
    result = cli("install", "systemd", "--user", "--dry-run", "--json").json

    assert shown.code == 0
    assert shown.stdout == result["unit"]
    assert shown.stdout.startswith('# Made by "jobctl install systemd"')
    assert result["change"] is None
    assert not config.exists()


def test_as_json_it_is_one_document(cli: Cli, config: Path) -> None:
    result = cli("install", "systemd", "--user", "--json").json

    assert (result["name"], result["scope"], result["change"]) == ("jobctl", "user", "created")
    assert Path(result["file"]).read_text() == result["unit"]
    assert result["next"][0] == "systemctl --user daemon-reload"


def test_it_is_the_machines_service_for_root_and_else_the_users_own(cli: Cli) -> None:
    result = cli("install", "systemd", "--dry-run", "--json").json

    assert result["scope"] == ("user" if os.geteuid() else "system")


def test_the_program_is_named_by_its_whole_path(cli: Cli) -> None:
    unit = cli("install", "systemd", "--dry-run").stdout
    program = unit.partition("ExecStart=")[2].partition(" run\n")[0]

    said = subprocess.run([program, "--version"], capture_output=True, text=True, cwd="/", check=True)
    assert said.stdout.startswith("jobctl ")


def test_a_machines_service_runs_as_the_owner_of_the_project(cli: Cli, here: Path, tmp_path: Path) -> None:
    done = cli("install", "systemd", "--system", "--output", str(tmp_path / "out"))

    text = (tmp_path / "out" / "jobctl.service").read_text()
    assert f"User={here.owner()}\n" in text
    assert f"ReadWritePaths={here}\n" in text
    assert f"cp {tmp_path / 'out' / 'jobctl.service'} /etc/systemd/system/" in done.stderr
    assert ("so jobs run as root" in done.stderr) is (here.owner() == "root")


def test_a_state_folder_elsewhere_may_be_written_and_must_be_there(
    cli: Cli, here: Path, tmp_path: Path
) -> None:
    place = tmp_path / "state"
    metrics = tmp_path / "node_exporter"
    (here / ".env").write_text(f"JOBCTL_STATE={place}\nJOBCTL_METRICS_FILE={metrics}/jobctl.prom\n")
    (here / ".content").symlink_to(tmp_path)

    done = cli("install", "systemd", "--system", "--dry-run")
    assert f"ReadWritePaths={here} -{place} -{tmp_path} -{metrics}\n" in done.stdout
    assert f"{place} does not exist, and the service may not make it" in done.stderr


def test_a_program_that_only_this_shell_finds_is_reported(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = here / "bin" / "only-here"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (here / "jobctl.toml").write_text(
        '[jobs.a]\ncommand = ["only-here"]\nneeds = ["PGPASSWORD"]\n[jobs.b]\ncommand = ["sh", "-c", "true"]\n'
    )
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    done = cli("install", "systemd", "--user", "--dry-run", PGPASSWORD="hunter2")

    assert f"warning: a runs {tool}, which the service does not find" in done.stderr
    assert done.stderr.count("warning: ") == 1
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("install", "install needs MANAGER"),
        ("install systemdd", 'did you mean "systemd"?'),
        ("install systemd --user --system", "--user and --system exclude each other"),
        ("install systemd --name ../x", '"../x" is not a valid name for a service'),
        ("install systemd --grace soon", '--grace: "soon" is not a duration'),
        ("install systemd --node-env staging", "--node-env must be development, production or test"),
    ],
)
def test_wrong_use_is_reported(words: str, message: str, cli: Cli, config: Path) -> None:
    done = cli(*words.split())

    assert done.code == 2
    assert message in done.stderr
    assert not config.exists()


def test_a_service_that_would_have_nothing_to_run_is_refused(cli: Cli, here: Path, config: Path) -> None:
    (here / ".env").write_text("TRIGGER_DEV_ENABLED=true\nTRIGGER_DEV_API_KEY=tr_prod_x\n")

    done = cli("install", "systemd", "--user")
    assert done.code == 4
    assert "with NODE_ENV=production the mode is trigger-dev" in done.stderr
    assert not config.exists()
    assert cli("install", "systemd", "--user", "--node-env", "development").code == 0
    assert cli("install", "systemd", "--user", "--local").code == 0


def test_what_holds_in_this_shell_only_decides_nothing(cli: Cli) -> None:
    assert cli("install", "systemd", "--dry-run", DISABLE_AUTO_SYNC="1").code == 0


def test_a_unit_that_jobctl_did_not_make_stays_unless_forced(cli: Cli, config: Path) -> None:
    file = config / FILE
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")

    refused = cli("install", "systemd", "--user")
    assert refused.code == 2
    assert "was not made by jobctl, so it stays" in refused.stderr
    assert file.read_text().startswith("[Service]")
    assert cli("install", "systemd", "--user", "--force").stdout == f"changed\t{file}\n"


def test_uninstall_takes_back_what_install_wrote(cli: Cli, config: Path) -> None:
    file = config / FILE
    cli("install", "systemd", "--user")
    link = config / "systemd/user/default.target.wants/jobctl.service"
    link.parent.mkdir()
    link.symlink_to(file)

    done = cli("uninstall", "systemd", "--user")
    assert (done.code, done.stdout) == (0, f"removed\t{file}\n")
    assert done.stderr.split("next:\n")[1].split("\n") == [
        "  systemctl --user stop jobctl",
        "  systemctl --user daemon-reload",
        "",
    ]
    assert list(config.rglob("*.service")) == []
    again = cli("uninstall", "systemd", "--user", "--json").json
    assert (again["change"], again["next"]) == ("unchanged", [])


@pytest.mark.parametrize("change", ["# mine\n", "WorkingDirectory=/elsewhere\n"])
def test_uninstall_leaves_a_unit_that_was_edited(change: str, cli: Cli, config: Path) -> None:
    file = config / FILE
    cli("install", "systemd", "--user")
    file.write_text(file.read_text() + change)

    refused = cli("uninstall", "systemd", "--user")
    assert refused.code == 2
    assert "was edited since jobctl made it, so it stays" in refused.stderr
    assert file.exists()
    assert cli("uninstall", "systemd", "--user", "--force").stdout == f"removed\t{file}\n"


def test_uninstall_leaves_the_service_of_another_project(
    cli: Cli, here: Path, config: Path, tmp_path: Path
) -> None:
    cli("install", "systemd", "--user")
    (tmp_path / "other").mkdir()

    refused = cli("uninstall", "systemd", "--user", "--project", str(tmp_path / "other"))
    assert refused.code == 2
    assert f"is the service of {here}, so it stays" in refused.stderr
    assert (config / FILE).exists()


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/etc/systemd/system").is_dir() or shutil.which("unshare") is None,
    reason="root of a machine with systemd's folder is needed",
)
def test_the_machines_units_are_written_and_removed_only_with_a_yes(site: Site) -> None:
    script = (
        "mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system\n"
        f'jobctl() {{ {sys.executable} -m jobctl "$@"; }}\n'
        "jobctl install systemd --system; echo $?; ls /etc/systemd/system\n"
        "jobctl install systemd --system --yes; echo $?\n"
        "jobctl uninstall systemd; echo $?; ls /etc/systemd/system\n"
        "jobctl uninstall systemd --yes; echo $?; ls /etc/systemd/system\n"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=site.folder,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("mount namespaces cannot be made here")
    unit = "/etc/systemd/system/jobctl.service"
    assert done.stdout.split() == [
        "2", "created", unit, "0", "2", "jobctl.service", "removed", unit, "0",
    ]  # fmt: skip
    assert "install asks first, and there is no terminal to answer on" in done.stderr
    assert "uninstall asks first, and there is no terminal to answer on" in done.stderr


def test_only_root_writes_the_machines_units(site: Site) -> None:
    other = [] if os.geteuid() else ["unshare", "--user"]  # in which nobody is root
    if other and (
        shutil.which("unshare") is None
        or subprocess.run([*other, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("user namespaces cannot be made here")
    done = subprocess.run(
        [*other, sys.executable, "-m", "jobctl", "install", "systemd", "--system"],
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "only root can write to /etc/systemd/system" in done.stderr
    assert "hint:  sudo /" in done.stderr
