"""``export vercel``: what Vercel can keep of a schedule, the file that others write in too, and what is served."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.errors import ScheduleError, UsageError
from jobctl.model import Job
from jobctl.schedules import Cron, Crons, Every
from jobctl.store.open import open_store
from jobctl.vercel.crons import Plan, vercel_cron
from jobctl.vercel.export import ScheduleFit, plan_calls
from jobctl.vercel.vercel_json import foreign_entries, merge
from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RUNTIME = Path(__file__).parents[1] / "support" / "vercel_runtime.py"
SECRET = "a-secret-of-the-site"


@pytest.mark.parametrize(
    ("schedule", "plan", "expected"),
    [
        (Every(timedelta(minutes=5)), Plan.PRO, ("*/5 * * * *", None)),
        (Every(timedelta(seconds=30)), Plan.PRO, ("* * * * *", "once a minute")),
        (Every(timedelta(days=1)), Plan.HOBBY, ("0 0 * * *", None)),
        (Every(timedelta(minutes=5)), Plan.HOBBY, ("0 0 * * *", "once a day, at 00:00 UTC")),
        (Cron("0 9 * * MON-FRI"), Plan.HOBBY, ("0 9 * * 1-5", None)),
        (Cron("0 9 1 jan *"), Plan.HOBBY, ("0 9 1 1 *", None)),
        (Cron("30 9,17 * * 7"), Plan.HOBBY, ("30 9 * * 0", "once a day, at 09:30 UTC")),
        (Cron("5-59/15 9 * * *"), Plan.PRO, ("5,20,35,50 9 * * *", None)),
        (Cron("*/15 9 * * *"), Plan.PRO, ("*/15 9 * * *", None)),
        (Cron("*/30 0 9 * * *"), Plan.PRO, ("0 9 * * *", "once in each such minute")),
        (Cron("15 0 9 * * *"), Plan.PRO, ("0 9 * * *", "at second 0 instead of 15")),
        (Cron("0 9 * * *", "Asia/Kolkata"), Plan.PRO, ("30 3 * * *", None)),
    ],
)
def test_what_is_written(schedule: Cron | Every, plan: Plan, expected: tuple[str, str | None]) -> None:
    found = vercel_cron(schedule, plan, NOW)

    assert found.cron == expected[0]
    assert (found.instead or "").startswith(expected[1] or "")
    assert bool(found.instead) == bool(expected[1])


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (Every(timedelta(minutes=7)), "an hour is not a multiple of it"),
        (Cron("0 0 13 * 5"), "accepts one of them"),
        (Cron("0 0 L * *"), "L or #"),
        (Cron("0 0 * * 1#2"), "L or #"),
        (Cron("0 9 * * *", "Europe/Berlin"), "changes its clocks"),
    ],
)
def test_what_is_left_out(schedule: Cron | Every, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        vercel_cron(schedule, Plan.PRO, NOW)


OURS = {"crons": [{"path": "/api/cron/sync", "schedule": "*/5 * * * *"}]}
THEIRS = """{
    "version":2, "rewrites" : [ {"source":"/a",  "destination":"/b"} ],
    "crons": [{"path": "/api/theirs", "schedule": "0 1 * * *"},
              {"path": "/api/cron/jobs/gone?x=1", "schedule": "0 2 * * *"}]
    , "regions": ["fra1"]
}
"""


def test_what_others_wrote_stays_as_it_was() -> None:
    text = merge(THEIRS, OURS, "vercel.json")

    before, after = THEIRS[: THEIRS.index("[{")], THEIRS[THEIRS.index("\n    , ") :]
    assert text.startswith(before)
    assert text.endswith(after)
    assert json.loads(text)["crons"] == [
        {"path": "/api/theirs", "schedule": "0 1 * * *"},
        {"path": "/api/cron/sync", "schedule": "*/5 * * * *"},
    ]
    assert merge(text, OURS, "vercel.json") == text
    assert len(foreign_entries(text, "crons", "vercel.json")) == 1


members = st.dictionaries(
    st.text().filter(lambda name: name != "crons"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda some: st.lists(some) | st.dictionaries(st.text(), some),
        max_leaves=8,
    ),
    max_size=4,
)


@pytest.mark.slow
@given(
    members,
    st.none() | st.lists(st.just({"path": "/x", "schedule": "0 1 * * *"}), max_size=2),
    st.sampled_from([None, 2]),
)
def test_every_other_member_is_kept(
    there: dict[str, object], crons: list[object] | None, indent: int | None
) -> None:
    whole = {**there, **({"crons": crons} if crons is not None else {})}

    found = json.loads(
        merge(
            json.dumps(whole, indent=indent),
            {"crons": [{"path": "/api/cron/sync", "schedule": "0 1 * * *"}]},
            "x",
        )
    )

    assert {name: value for name, value in found.items() if name != "crons"} == there
    assert found["crons"] == [*(crons or []), {"path": "/api/cron/sync", "schedule": "0 1 * * *"}]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"crons": {}}', '{"crons": [], "crons": []}', "// no\n{}", "[" * 100_000]
)
def test_a_file_that_cannot_be_read_is_reported_and_not_changed(text: str) -> None:
    with pytest.raises(UsageError, match=r"vercel\.json"):
        merge(text, {}, "vercel.json")


@pytest.mark.slow
def test_a_byte_order_mark_goes_since_vercel_cannot_read_it(site: Site) -> None:
    (site.folder / "there.json").write_bytes(b'\xef\xbb\xbf{\r\n  "regions": ["fra1"]\r\n}')
    (site.folder / "vercel.json").symlink_to("there.json")

    assert site.call("export", "vercel", ".").returncode == 0
    assert site.call("export", "vercel", ".", "--check").returncode == 0
    text = (site.folder / "there.json").read_bytes()
    assert text.startswith(b'{\r\n  "regions": ["fra1"],')
    assert text.count(b"\n") == text.count(b"\r\n")
    assert (site.folder / "vercel.json").is_symlink()


@pytest.mark.slow
def test_the_export_says_what_becomes_of_each_job(site: Site) -> None:
    site.jobs(
        '[jobs.odd]\nevery = "7m"\ncall = "work:odd"\n[jobs.fine]\ncron = "0 9 * * *"\ncall = "work:fine"\n',
        "def odd(): ...\ndef fine(): ...\n",
    )

    crons = {one["id"]: one for one in site.json("export", "vercel", ".")["crons"]}
    again = site.call("export", "vercel", ".", "--check")
    slower = site.call("export", "vercel", ".", "--check", "--plan", "hobby")

    assert (again.returncode, slower.returncode) == (0, 1)
    assert (crons["odd"]["change"], crons["odd"]["cron"]) == ("left out", None)
    assert (crons["fine"]["path"], crons["fine"]["cron"]) == ("/api/cron/jobs/fine", "0 9 * * *")
    assert "repository-sync" not in crons  # it is not enabled
    assert "odd is left out:" in again.stderr
    assert "analytics-top-items runs once a day, at 00:00 UTC" in slower.stderr


@pytest.mark.slow
def test_a_folder_of_its_own_carries_the_project(site: Site) -> None:
    """As beside a Next.js site, where it is a second Vercel project."""
    site.jobs('[jobs.fine]\ncron = "0 9 * * *"\ncall = "work:fine"\n', "import helper\ndef fine(): ...\n")
    site.write("helper.py", "import json\n")
    site.write("package.json", '{"dependencies": {"next": "16.0.0"}}')

    refused = site.call("export", "vercel", ".")
    done = site.call("export", "vercel", "vercel-jobs")

    assert refused.returncode == 2
    assert "is a Next.js project" in refused.stderr
    assert "jobctl export vercel vercel-jobs" in refused.stderr
    assert not (site.folder / "app.py").exists()
    assert done.returncode == 0, done.stderr
    folder = site.folder / "vercel-jobs"
    assert {one.name for one in (folder / "project").iterdir()} == {"jobctl.toml", "work.py", "helper.py"}
    assert (
        'create_app(Path(__file__).parent / "project", timeout=timedelta(seconds=790))'
        in (folder / "app.py").read_text()
    )
    site.write("helper.py", "import json, re\n")
    assert site.call("export", "vercel", "vercel-jobs", "--check").returncode == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("vercel.ts", "export const config = {};\n", "does not accept vercel.json"),
        ("vercel.toml", "", "does not accept vercel.json"),
        ("pyproject.toml", '[project]\nname = "x"\nversion = "1"\n', "ignores requirements.txt"),
        ("next.config.ts", "export default {};\n", "is a Next.js project"),
        ("vercel.json", '{"builds": []}', "has builds"),
    ],
)
def test_what_vercel_would_not_build_is_refused(name: str, text: str, says: str, site: Site) -> None:
    site.jobs("")
    site.write(name, text)

    refused = site.call("export", "vercel", ".")

    assert refused.returncode == 2
    assert says in refused.stderr
    assert not (site.folder / "app.py").exists()


def test_a_pyproject_that_names_jobctl_is_installed_from(site: Site) -> None:
    site.jobs("")
    site.write(
        "pyproject.toml", '[project]\nname="x"\nversion="1"\ndependencies=["ever-jobctl[postgres,web]"]\n'
    )

    assert site.call("export", "vercel", ".").returncode == 0


@pytest.mark.slow
def test_the_longest_call_is_written_and_a_longer_timeout_reported(site: Site) -> None:
    job = '[jobs.fine]\ncron = "0 9 * * *"\ncall = "work:fine"\n'
    site.jobs(f'{job}timeout = "2h"\n', "def fine(): ...\n")
    site.write("vercel.json", '{"functions": {"app.py": {"memory": 512}, "api/*.ts": {"maxDuration": 5}}}')

    pro, hobby = site.call("export", "vercel", "."), site.call("export", "vercel", ".", "--plan", "hobby")

    assert "Vercel ends a call after 800 s on the plan pro; " in pro.stderr
    assert "fine (2h)" in pro.stderr
    assert "Vercel ends a call after 300 s on the plan hobby" in hobby.stderr
    assert json.loads((site.folder / "vercel.json").read_text())["functions"] == {
        "app.py": {"memory": 512, "maxDuration": 300}, "api/*.ts": {"maxDuration": 5},
    }  # fmt: skip


@pytest.mark.slow
def test_schedules_keep_their_time_zones(site: Site) -> None:
    site.jobs(
        '[jobs.fine]\ncron = "0 9 * * *"\ntimezone = "Europe/Berlin"\njitter = "90s"\ncall = "work:fine"\n',
        "def fine(): ...\n",
    )
    theirs = {"name": "theirs", "expression": {"cron": "0 1 * * *"}, "target": {"topic": "x"}}
    site.write("vercel.json", json.dumps({"schedules": [theirs]}))

    done = site.json("export", "vercel", ".", "--target", "schedules")
    written = json.loads((site.folder / "vercel.json").read_text())

    assert {one["id"]: one["change"] for one in done["crons"]}["fine"] == "exact"
    assert "crons" not in written  # both would call twice
    assert written["schedules"][0] == theirs
    assert written["schedules"][-1] == {
        "name": "fine", "expression": {"cron": "0 9 * * *", "jitter": 2},
        "target": {"path": "/api/cron/jobs/fine"}, "timezone": "Europe/Berlin",
    }  # fmt: skip
    assert site.call("export", "vercel", ".").returncode == 0
    back = json.loads((site.folder / "vercel.json").read_text())
    assert back["schedules"] == [theirs]
    assert "/api/cron/jobs/fine" not in {one["path"] for one in back["crons"]}  # UTC cannot say it


def test_no_more_crons_than_a_project_has(site: Site) -> None:
    theirs = [{"path": f"/api/theirs/{number}", "schedule": "0 1 * * *"} for number in range(99)]
    site.write("vercel.json", json.dumps({"crons": theirs}))

    done = site.call("export", "vercel", ".")

    assert "a project has at most 100 crons" in done.stderr
    assert len(json.loads((site.folder / "vercel.json").read_text())["crons"]) == 100


@pytest.mark.slow
def test_the_exported_folder_is_served_as_vercel_does(site: Site, tmp_path: Path) -> None:
    """Without JOBCTL_STATE: nothing but the temporary folder can be written there."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = "def hello():\n    return {'said': 'hello'}\ndef bad():\n    raise ValueError('no way, a-secret-of-the-site')\n"
    site.jobs(
        "".join(f'[jobs.{one}]\ncron = "0 9 * * *"\ncall = "work:{one}"\n' for one in ("hello", "bad")), code
    )
    assert site.call("export", "vercel", ".").returncode == 0
    crons = json.loads((site.folder / "vercel.json").read_text())["crons"]
    environment = {
        **site.environment, "VERCEL": "1", "VERCEL_ENV": "production", "NODE_ENV": "production",
        "CRON_SECRET": SECRET, "TMPDIR": str(temporary),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, RUNTIME, "app.py"],
        cwd=site.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        headers = {"User-Agent": "vercel-cron/1.0", "Authorization": f"Bearer {SECRET}"}
        url = process.stdout.readline().strip()
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
            told = {one["path"]: client.get(one["path"], headers=headers) for one in crons}
            nobody = client.get("/api/cron/jobs/hello", headers={"Authorization": ""})
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)

    assert "bad: run " in log
    assert "failed (error): ValueError: no way, " in log
    assert SECRET not in log
    assert "subscription-expired-cleanup was not run: DATABASE_URL is not set" in log
    assert told["/api/cron/jobs/hello"].json()["result"] == {"said": "hello"}
    assert {one.status_code for name, one in told.items() if not name.endswith("/bad")} <= {
        200,
        207,
        503,
    }  # no database is configured
    assert nobody.status_code == 401
    assert not (site.folder / ".jobctl").exists()
    (state,) = temporary.glob(".jobctl-*")
    with closing(open_store(state)) as store:
        assert [run.trigger for run in store.runs("hello", limit=None)] == ["http"]


def test_each_cron_expression_is_an_entry(site: Site) -> None:
    site.jobs(
        """\
[jobs.week]
cron = ["0 9 * * 1-5", "0 11 * * 6", "0 9 L * *"]
timezone = "Asia/Kolkata"
call = "work:f"
""",
        "def f(): pass",
    )

    found = [one for one in site.json("export", "vercel", ".")["crons"] if one["id"] == "week"]
    written = json.loads(site.folder.joinpath("vercel.json").read_text())["crons"]
    entries = [one for one in written if one["path"].endswith("/week")]
    checked = site.call("export", "vercel", ".", "--check")
    site.call("export", "vercel", ".", "--target", "schedules")
    named = json.loads(site.folder.joinpath("vercel.json").read_text())["schedules"]

    assert [(one["change"], one["cron"]) for one in found] == [
        ("exact", "30 3 * * 1-5"),
        ("exact", "30 5 * * 6"),
        ("left out", None),
    ]
    assert '"0 9 L * *" has L or #' in found[2]["detail"]
    assert entries == [
        {"path": "/api/cron/jobs/week", "schedule": "30 3 * * 1-5"},
        {"path": "/api/cron/jobs/week", "schedule": "30 5 * * 6"},
    ]
    assert checked.returncode == 0
    assert [one["name"] for one in named if one["name"].startswith("week")] == ["week", "week.2"]


def test_each_entry_counts_for_the_limit_and_equal_entries_are_one(tmp_path: Path) -> None:
    several = [
        Job(f"job-{number}", "a job", Crons([f"{number} 9 * * *", f"{number} 10-12 * * *"]), "m:f")
        for number in range(51)
    ]
    same = Job("same", "a job", Crons(["0 9 * * *", "*/5 9 * * *"]), "m:f")

    calls = plan_calls(tmp_path, several, Plan.PRO, NOW)

    assert [call.fit for call in calls].count(ScheduleFit.EXACT) == 100
    assert [call.detail for call in calls[100:]] == ["a project has at most 100 crons"] * 2
    assert [call.cron for call in plan_calls(tmp_path, [same], Plan.HOBBY, NOW)] == ["0 9 * * *"]
