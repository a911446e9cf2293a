"""What ran can be seen while the project file or a setting is wrong: then it is needed most."""

import json

import pytest

from tests.support.project import Site, until

pytestmark = pytest.mark.usefixtures("inline")

GOOD = '[jobs.hello]\nevery = "1h"\ncall = "work:hello"\n'
FAULTS = {
    "key": GOOD + 'evrey = "1h"\n',
    "syntax": GOOD + "[jobs.x\n",
    "module": 'modules = ["not_there"]\n' + GOOD,
    "schedule": GOOD.replace("1h", "often"),
}


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(GOOD)
    assert site.call("trigger", "hello").returncode == 0
    return site


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_project_file_is_a_warning(site: Site, fault: str) -> None:
    site.write("jobctl.toml", FAULTS[fault])
    (run,) = site.json("runs")["runs"]

    for command in (
        "status",
        "status hello",
        "runs",
        "runs hello",
        "logs hello",
        f"logs {run['run_id']}",
        "metrics hello",
    ):
        said = site.call(*command.split())
        assert said.returncode == 0, said
        needs_no_definition = command in {
            "runs",
            "runs hello",
            "logs hello",
            f"logs {run['run_id']}",
            "metrics hello",
        }
        assert ("the jobs that the run store knows" in said.stderr) != needs_no_definition, said
    shown = site.json("status")["jobs"]
    assert [(one["id"], one["status"], one["schedule"]) for one in shown] == [
        ("hello", "completed", "every 1h")
    ]
    assert "hello" in site.call("logs", "hello").stdout
    assert site.call("status", "nothing").returncode == 2
    assert site.call("trigger", "hello").returncode == 2


@pytest.mark.slow
def test_a_bad_value_that_is_not_needed_is_a_warning(site: Site) -> None:
    site.write(".env", "SMTP_PORT=x\nTRIGGER_DEV_ENABLED=false\n")

    for command in ("status", "runs", "logs hello", "metrics"):
        said = site.call(*command.split())
        assert said.returncode == 0, said
        assert "SMTP_PORT" in said.stderr
    assert site.call("trigger", "hello").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("text", ["GH_TOKEN=$GH_TOKEN\n", f"X={'y' * 200_000}\n"])
def test_a_file_that_cannot_be_used_is_a_warning(site: Site, text: str) -> None:
    site.write(".env", text)

    said = site.call("runs")
    assert (said.returncode, ".env" in said.stderr) == (0, True), said
    assert site.call("trigger", "hello").returncode == 2


def test_a_value_that_is_needed_is_refused(site: Site) -> None:
    site.write(".env", "JOBCTL_STATE=mysql://u:p@h/db\n")

    assert site.call("status").returncode == 2


def test_without_a_run_store_the_fault_is_the_answer(site: Site) -> None:
    site.environment["JOBCTL_STATE"] = "elsewhere"
    site.write("jobctl.toml", FAULTS["key"])

    said = site.call("status")
    assert said.returncode == 2
    assert "evrey" in said.stderr


@pytest.mark.slow
def test_a_running_scheduler_is_seen(site: Site) -> None:
    running = site.popen("run")
    until(lambda: site.json("status")["scheduler"]["running"])
    site.write("jobctl.toml", FAULTS["key"])

    found = site.json("status")

    assert found["scheduler"]["pid"] == running.pid
    assert found["jobs"][0]["next_run"] is not None


@pytest.mark.slow
@pytest.mark.parametrize("command", ["runs", "runs hello", "logs hello", "logs RUN"])
def test_what_ran_is_shown_without_the_catalogue(site: Site, command: str) -> None:
    (run,) = site.json("runs")["runs"]
    code = (
        "import sys, json\nfrom jobctl.cli.main import main\n"
        f"sys.argv[1:] = {command.replace('RUN', run['run_id']).split()!r}\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )

    loaded = json.loads(site.python(code).stderr.splitlines()[-1])

    assert "jobctl.store.sqlite" in loaded
    assert not {"croniter", "jobctl.catalogue.job_keys", "jobctl.schedules.cron"} & set(loaded)
