"""A call of Vercel is for a due time: the run knows its slot, and each slot is run once."""

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from jobctl.store.open import open_store
from jobctl.web.vercel_call import CalledSlot, called_slot
from tests.support.postgres import Postgres
from tests.support.project import Site, until
from tests.web.conftest import Serve

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=each) for each in (1, 60, 3600, 86_400))


@pytest.mark.parametrize(
    ("expression", "zone", "now", "expected"),
    [
        ("0 9 * * *", "UTC", NINE, CalledSlot(NINE, in_time=True)),
        ("0 9 * * *", "UTC", NINE + 59 * MINUTE, CalledSlot(NINE, in_time=True)),
        ("0 9 * * *", "UTC", NINE + 5 * HOUR, CalledSlot(NINE, in_time=False)),
        ("0 9 * * *", "UTC", NINE - SECOND / 2, CalledSlot(NINE, in_time=True)),  # the clocks differ
        ("0 9 * * *", "UTC", NINE - MINUTE, CalledSlot(NINE - DAY, in_time=False)),
        ("*/10 * * * *", "UTC", NINE + 19 * MINUTE, CalledSlot(NINE + 10 * MINUTE, in_time=True)),
        ("30 3 * * *", "Asia/Kolkata", NINE - 5.4 * HOUR, CalledSlot(NINE - 5.5 * HOUR, in_time=True)),  # crons
        ("0 10 * * *", "Europe/Berlin", NINE + MINUTE, CalledSlot(NINE, in_time=True)),  # schedules
        ("0 9 1 1 *", "UTC", NINE, CalledSlot(datetime(2026, 1, 1, 9, tzinfo=UTC), in_time=False)),
        ("5/15 * * * x", "UTC", NINE, None),
        ("0 0 29 2 *", "UTC", NINE, None),
    ],
)  # fmt: skip
def test_a_call_belongs_to_the_latest_due_time(
    expression: str, zone: str, now: datetime, expected: CalledSlot | None
) -> None:
    assert called_slot(expression, zone, now) == expected


ON_VERCEL = {"VERCEL": "1", "JOBCTL_STATE": ".jobctl"}
CODE = """
from pathlib import Path
from jobctl import current_run

def tell():
    run = current_run()
    print("told")
    return {"slot": str(run.slot), "previous": str(run.previous_slot), "trigger": run.trigger}

def gated():
    Path("began").touch()
    while not Path("go").exists():
        pass
"""


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(
        "".join(f'[jobs.{each}]\nevery = "1h"\ncall = "work:{each}"\n' for each in ("tell", "gated")), CODE
    )
    return site


def call(client: httpx2.Client, job_id: str, at: datetime) -> httpx2.Response:
    """A call for a due time; ``at`` is one within the last hour."""
    expression = f"{at.minute} {at.hour} * * *"
    return client.get(f"/api/cron/jobs/{job_id}", headers={"x-vercel-cron-schedule": expression})


def slots() -> tuple[datetime, datetime]:
    """Two due times within the last hour."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return now - 10 * MINUTE, now - 5 * MINUTE


@pytest.mark.slow
def test_a_run_knows_the_slot_of_the_call_and_the_one_before(serve: Serve, site: Site) -> None:
    client = serve(**ON_VERCEL)
    first, second = slots()

    results = [call(client, "tell", slot).json()["result"] for slot in (first, second)]

    assert results == [
        {"slot": str(first), "previous": "None", "trigger": "schedule"},
        {"slot": str(second), "previous": str(first), "trigger": "schedule"},
    ]
    assert client.get("/api/cron/jobs/tell").json()["result"]["slot"] == "None"


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
def test_a_slot_is_run_once_however_often_vercel_calls(
    serve: Serve, site: Site, request: pytest.FixtureRequest, shared: bool
) -> None:
    state = request.getfixturevalue("postgres").schema() if shared else ".jobctl"
    site.environment["JOBCTL_STATE"] = state
    clients = [serve(VERCEL="1", JOBCTL_STATE=state) for _ in range(2)]
    first, second = slots()

    answers = [call(client, "tell", second) for client in (*clients, *clients)]
    late = call(clients[0], "tell", first)

    assert [each.status_code for each in (*answers, late)] == [200, 409, 409, 409, 409]
    assert "has had its run" in answers[1].json()["error"]
    assert len(site.runs()) == 1


@pytest.mark.slow
def test_a_slot_that_comes_while_the_job_runs_is_skipped(serve: Serve, site: Site) -> None:
    client = serve(**ON_VERCEL)
    first, second = slots()
    answers: list[httpx2.Response] = []
    calling = threading.Thread(target=lambda: answers.append(call(client, "gated", first)))
    calling.start()
    until((site.folder / "began").exists)

    during = [call(client, "gated", slot).status_code for slot in (first, second)]
    site.write("go", "")
    calling.join()

    assert (during, answers[0].status_code) == ([409, 409], 200)
    assert [run["status"] for run in site.runs()] == ["skipped", "completed"]


@pytest.mark.slow
def test_a_call_long_after_the_due_time_runs_the_slot_again(serve: Serve, site: Site) -> None:
    """Started on Vercel's page."""
    client = serve(**ON_VERCEL)
    slot = datetime.now(UTC).replace(second=0, microsecond=0) - 3 * HOUR

    results = [call(client, "tell", slot).json()["result"] for _ in range(2)]

    assert results == [{"slot": str(slot), "previous": "None", "trigger": "http"}] * 2


@pytest.mark.slow
def test_elsewhere_the_header_means_nothing(serve: Serve, site: Site) -> None:
    assert call(serve(), "tell", slots()[0]).json()["result"]["slot"] == "None"


@pytest.mark.slow
def test_a_slot_on_an_excluded_date_is_skipped_at_once(serve: Serve, site: Site) -> None:
    days = [each.date().isoformat() for each in slots()]
    paths = {
        "repository-sync": "/api/cron/sync",
        "subscription-renewal-reminder": "/api/cron/subscription-reminders",
        "subscription-expired-cleanup": "/api/cron/subscription-expiration",
    }
    keys = f'every = "1h"\ncall = "work:tell"\nexclude = ["{days[0]}", "{days[1]}"]\n'
    site.write("jobctl.toml", "".join(f"[jobs.{each}]\n{keys}" for each in ("tell", *paths)))
    client = serve(**ON_VERCEL)
    first, second = slots()

    answer = call(client, "tell", second)
    again = call(client, "tell", second)
    others = [
        client.get(path, headers={"x-vercel-cron-schedule": f"{first.minute} {first.hour} * * *"})
        for path in paths.values()
    ]
    manual = client.get("/api/cron/jobs/tell")

    why = f"{days[1]} is excluded"
    assert answer.status_code == 200, answer.text
    expected = {"success": True, "status": "skipped", "reason": "excluded", "error": why, "result": None}
    assert expected.items() <= answer.json().items()
    assert again.status_code == 409
    assert [(each.status_code, each.json()["success"], each.json()["message"]) for each in others] == [
        (200, True, f"{days[0]} is excluded")
    ] * 3
    assert manual.json()["status"] == "completed"
    runs = {(run["job_id"], run["status"], run["reason"]) for run in site.runs()}
    assert ("tell", "skipped", "excluded") in runs
    assert len(runs) == 5


@pytest.mark.slow
def test_a_call_of_several_expressions_is_for_its_own(serve: Serve, site: Site) -> None:
    first, second = slots()
    crons = [f"{each.minute} {each.hour} * * *" for each in (first, second)]
    site.jobs(f'[jobs.tell]\ncron = ["{crons[0]}", "{crons[1]}"]\ncall = "work:tell"\n', CODE)
    client = serve(**ON_VERCEL)

    results = [call(client, "tell", slot).json()["result"] for slot in (first, second)]

    assert [each["slot"] for each in results] == [str(first), str(second)]


@pytest.mark.slow
def test_what_a_run_prints_is_in_the_run_store_when_it_is_answered(
    serve: Serve, site: Site, postgres: Postgres
) -> None:
    """The instance may be frozen then."""
    address = postgres.schema()
    client = serve(**{**ON_VERCEL, "JOBCTL_STATE": address, "JOBCTL_LOGS": "store"})

    assert client.get("/api/cron/jobs/tell").status_code == 200

    with closing(open_store(address)) as store:
        (run,) = store.runs("tell")
        assert store.stored_logs is not None
        file = store.stored_logs.open(run.id)
        assert file is not None
        with file:
            assert file.read().endswith(b"] told\n")
