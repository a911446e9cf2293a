"""``check_in = "auto"``: monitors at healthchecks.io and Sentry, made from the definitions of jobs."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.model import Expectations, Job, Schedule
from jobctl.schedules import Every, Excluding, cron_schedule
from jobctl.schedules.excluding import parse_dates
from jobctl.subscribers.monitor_definition import MonitorDefinition
from tests.support.http_server import Healthchecks, Provider, Sentry, healthchecks, http_server
from tests.support.project import Site, until

TICK = '[jobs.tick]\ncall = "time:monotonic"\ncheck_in = "auto"\n'
DAILY = TICK + 'cron = "30 2 * * 1-5"\ntimezone = "Europe/Berlin"\nexpect = { done_within = "10m" }\n'


class At:
    """A server of healthchecks.io, and a project that has its key."""

    def __init__(self, site: Site, rules: Healthchecks, provider: Provider) -> None:
        self.site, self.rules, self.provider = site, rules, provider
        self.slug = f"{site.folder.name}-tick"
        site.environment |= {"HEALTHCHECKS_API_KEY": Healthchecks.KEY, "HEALTHCHECKS_API_URL": provider.url}

    def trigger(self, exit_code: int = 0) -> str:
        done = self.site.call("trigger", "tick")
        assert done.returncode == exit_code, done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def posts(self) -> list[dict[str, object]]:
        return [one.body for one in self.provider.requests if one.method == "POST"]


@pytest.fixture
def at(site: Site) -> Iterator[At]:
    with healthchecks() as (rules, provider):
        yield At(site, rules, provider)


@pytest.fixture
def sentry(site: Site) -> Iterator[Sentry]:
    rules = Sentry()
    with http_server(rules) as provider:
        site.environment["SENTRY_DSN"] = provider.url.replace("://", f"://{Sentry.KEY}@") + "/42"
        yield rules


def files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.slow
def test_the_first_run_makes_the_monitor_and_checks_in_there(at: At) -> None:
    at.site.jobs(DAILY)

    shown = at.trigger()

    ((code, check),) = at.rules.checks.items()
    assert check["slug"] == check["name"] == at.slug
    assert check["tags"] == f"jobctl {at.site.folder.name}"
    assert (check["schedule"], check["tz"], check["grace"]) == ("30 2 * * 1-5", "Europe/Berlin", 600)
    assert check["channels"] == "*"
    (start, success) = at.rules.pings[code]
    assert (start[0], success[0]) == ("/start", "")
    assert start[1] == success[1]
    assert "notified" not in shown
    kept = files(at.site.folder / ".jobctl")
    assert b"monitor:" in kept
    for secret in (code, Healthchecks.KEY):
        assert secret not in shown
        assert secret.encode() not in kept


@pytest.mark.slow
def test_the_monitor_is_updated_when_the_definition_changes_and_not_before(at: At) -> None:
    at.site.jobs(DAILY)
    at.trigger()
    (code,) = at.rules.checks
    at.rules.checks[code]["channels"] = "chosen by people"
    at.trigger()
    assert len(at.posts()) == 1

    at.site.jobs(TICK + 'every = "90m"\ntimeout = "1m"\n')
    at.trigger()

    assert len(at.posts()) == 2
    assert at.rules.checks.keys() == {code}
    assert at.rules.checks[code]["timeout"] == 90 * 60
    assert at.rules.checks[code]["grace"] == 65
    assert at.rules.checks[code]["channels"] == "chosen by people"
    assert len(at.rules.pings[code]) == 6


@pytest.mark.slow
def test_a_monitor_that_was_deleted_is_made_again(at: At) -> None:
    at.site.jobs(DAILY)
    at.trigger()
    at.rules.checks.clear()
    at.rules.pings.clear()

    at.trigger()

    ((_, pings),) = at.rules.pings.items()
    assert [path for path, _ in pings] == ["/start", ""]


@pytest.mark.slow
def test_a_monitor_that_is_deleted_meanwhile_is_made_again(at: At) -> None:
    at.site.jobs(TICK + 'every = "1s"\n')
    scheduler = at.site.run()
    until(lambda: any(at.rules.pings.copy().values()))

    at.rules.checks.clear()

    until(lambda: at.rules.checks)
    scheduler.terminate()
    assert scheduler.wait() == 0


@pytest.mark.slow
def test_a_scheduler_makes_monitors_at_its_start_and_updates_them_when_the_file_changes(at: At) -> None:
    at.site.jobs(DAILY + TICK.replace("tick", "off") + 'every = "1h"\nenabled = false\n')
    scheduler = at.site.run()
    until(lambda: at.rules.checks)
    ((code, check),) = at.rules.checks.items()
    assert (check["slug"], at.rules.pings[code]) == (at.slug, [])

    at.site.jobs(DAILY.replace("30 2", "45 3"))
    until(lambda: at.rules.checks[code]["schedule"] == "45 3 * * 1-5")
    scheduler.terminate()
    assert scheduler.wait() == 0

    before = len(at.provider.requests)
    again = at.site.run()
    again.terminate()
    assert again.wait() == 0
    assert len(at.provider.requests) == before


@pytest.mark.slow
def test_a_wrong_key_is_reported_and_fails_no_job(at: At) -> None:
    at.site.environment["HEALTHCHECKS_API_KEY"] = "x9" * 16
    at.site.jobs(DAILY)

    shown = at.trigger()

    assert "check-in 127.0.0.1 was not notified: 127.0.0.1" in shown
    assert "answered 401 (wrong api key: see HEALTHCHECKS_API_KEY" in shown
    assert "x9x9" not in shown


@pytest.mark.slow
def test_a_silent_service_delays_no_job(at: At) -> None:
    at.provider.hang = threading.Event()
    at.site.jobs(TICK + 'every = "1s"\n')

    scheduler = at.site.run()
    until(lambda: len([run for run in at.site.runs_kept("tick") if run.duration is not None]) >= 3)
    at.provider.hang.set()
    scheduler.terminate()
    assert scheduler.wait() == 0


@pytest.mark.slow
def test_sentry_gets_the_definition_with_each_check_in(site: Site, sentry: Sentry) -> None:
    fall = '[jobs.fall]\ncommand = ["false"]\ncheck_in = "auto"\nevery = "90s"\njitter = "10s"\n'
    site.jobs(DAILY + fall)

    done = site.call("trigger", "tick")
    failed = site.call("trigger", "fall")

    assert (done.returncode, failed.returncode) == (0, 1)
    tick, fall = f"{site.folder.name}-tick", f"{site.folder.name}-fall"
    assert sentry.monitors[tick] == {
        "schedule": {"type": "crontab", "value": "30 2 * * 1-5"},
        "timezone": "Europe/Berlin",
        "checkin_margin": 5,
        "max_runtime": 10,
    }
    assert sentry.monitors[fall] == {
        "schedule": {"type": "interval", "value": 2, "unit": "minute"},
        "timezone": "UTC",
        "checkin_margin": 6,
        "max_runtime": 61,
    }
    states = [(slug, status) for slug, _, status in sentry.check_ins]
    assert states == [(tick, "in_progress"), (tick, "ok"), (fall, "in_progress"), (fall, "error")]
    ids = [one for _, one, _ in sentry.check_ins]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert Sentry.KEY.encode() not in files(site.folder / ".jobctl")


@pytest.mark.slow
def test_healthchecks_is_preferred_to_sentry(at: At, sentry: Sentry) -> None:
    at.site.jobs(DAILY)

    at.trigger()

    assert at.rules.checks
    assert not sentry.monitors


@pytest.mark.usefixtures("inline")
def test_without_a_key_both_variables_are_named(site: Site) -> None:
    site.jobs(DAILY)

    for command in (["trigger", "tick"], ["check", "settings"]):
        done = site.call(*command)
        assert done.returncode == 2
        shown = " ".join((done.stdout + done.stderr).split())
        assert 'check_in = "auto" needs HEALTHCHECKS_API_KEY or SENTRY_DSN, and neither is set' in shown
        assert "jobctl.toml:7" in shown


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("variables", "exit_code", "words"),
    [
        ({"HEALTHCHECKS_API_KEY": "k" * 32}, 0, "1 monitor at healthchecks.io (HEALTHCHECKS_API_KEY)"),
        ({"SENTRY_DSN": f"https://{Sentry.KEY}@o1.example/42"}, 0, "1 monitor at o1.example (SENTRY_DSN)"),
        ({"SENTRY_DSN": "https://o1.example/hidden-part"}, 2, "SENTRY_DSN is not a DSN"),
        ({"SENTRY_DSN": f"http://{Sentry.KEY}@o1.example/42"}, 2, "SENTRY_DSN begins with http://"),
        (
            {"HEALTHCHECKS_API_KEY": "k" * 32, "HEALTHCHECKS_API_URL": "http://hc.example"},
            2,
            "HEALTHCHECKS_API_URL begins with http://",
        ),
    ],
)
def test_check_says_which_service_is_used(
    site: Site, variables: dict[str, str], exit_code: int, words: str
) -> None:
    site.jobs(DAILY)
    site.environment |= variables

    done = site.call("check", "settings")

    shown = " ".join(done.stdout.split())
    assert (done.returncode, words in shown) == (exit_code, True), shown
    assert "hidden-part" not in shown
    assert Sentry.KEY not in shown


@pytest.mark.usefixtures("inline")
def test_a_job_without_a_period_is_refused(site: Site) -> None:
    after = DAILY + '[jobs.next]\ncommand = ["true"]\nafter = ["tick"]\ncheck_in = "auto"\n'
    site.environment["HEALTHCHECKS_API_KEY"] = "k" * 32
    site.jobs(after)
    refused = site.call("check", "settings")
    site.jobs(after + 'expect = { success_every = "26h" }\n')

    assert refused.returncode == 2
    assert "[jobs.next].check_in" in refused.stderr
    assert "the job has no schedule" in " ".join(refused.stderr.split())
    assert site.call("check", "settings").returncode == 0


@pytest.mark.usefixtures("inline")
def test_the_word_auto_is_no_secret(site: Site) -> None:
    site.environment["HEALTHCHECKS_API_KEY"] = "k" * 32
    site.jobs(DAILY + 'name = "auto mailer"\n')

    shown = site.call("status", "tick", "--json").stdout
    assert '"auto mailer"' in shown
    assert '"auto"' in shown


def defined(schedule: Schedule | None, **options: object) -> MonitorDefinition:
    return MonitorDefinition.of(Job("tick", "Tick", schedule, "a:b", **options), "My Site")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expression", "cron"),
    [
        ("@daily", "0 0 * * *"),
        ("*/5 0 9 * * *", None),
        ("30 0 9 * * MON", "0 9 * * MON"),
        ("0 9 * * L5", "0 9 * * 5L"),
        ("0 9 1-31/2 * 1", "0 9 1-31/2 * 1"),
        (",".join(map(str, range(50))) + " 9 * * *", None),
    ],
)
def test_a_cron_expression_is_one_that_the_services_read(expression: str, cron: str | None) -> None:
    assert defined(cron_schedule(expression, "Europe/Berlin")).cron == cron


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        (Every(timedelta(minutes=90)), 1.5),
        (cron_schedule(["0 9 * * 1-5", "0 11 * * 6"]), 46),
        (cron_schedule(["0 0 1 * *", "0 0 15 * *"]), 17 * 24),
        (cron_schedule("*/5 0 9 * * *"), 24 - 55 / 3600),
        (Excluding(Every(timedelta(hours=3)), [parse_dates("2026-12-24..2026-12-26")]), 3),
    ],
)
def test_the_period_is_the_longest_time_between_slots(schedule: Schedule, hours: float) -> None:
    definition = defined(schedule)

    assert definition.cron is None
    assert definition.period == timedelta(hours=hours)


def test_a_job_without_a_schedule_has_the_period_of_its_expectation() -> None:
    expect = Expectations(success_every=timedelta(hours=26))

    assert defined(None, expect=expect).period == timedelta(hours=26)


def test_the_grace_is_what_is_expected_or_the_time_limit_of_all_attempts() -> None:
    minute = timedelta(minutes=1)
    limits = {"timeout": minute, "grace": timedelta(0), "jitter": timedelta(seconds=5)}
    plain = defined(Every(60), **limits)
    retried = defined(Every(60), **limits, retries=2, retry_delay=timedelta(seconds=10))
    started = defined(Every(60), **limits, expect=Expectations(start_within=minute))
    done = defined(Every(60), **limits, expect=Expectations(start_within=minute, done_within=3 * minute))

    assert plain.grace == timedelta(seconds=65)
    assert retried.grace == timedelta(seconds=3 * 60 + 30 * 1.1 + 5)
    assert started.grace == timedelta(seconds=125)
    assert started.start_margin == timedelta(seconds=65)
    assert (done.grace, done.run_limit) == (timedelta(seconds=185), 3 * minute)
    assert defined(Every(60), retries=100).grace == timedelta(days=365)


@pytest.mark.parametrize(
    ("folder", "job_id", "slug"),
    [
        ("My Site", "tick", "my-site-tick"),
        ("", "tick", "tick"),
        ("сайт", "tick", "88b15327-tick"),
        ("a" * 60, "tick", "a" * 41 + "-ca70ddd4"),
    ],
)
def test_the_slug_has_the_names_of_project_and_job(folder: str, job_id: str, slug: str) -> None:
    found = MonitorDefinition.of(Job(job_id, job_id, Every(60), "a:b"), folder).slug

    assert found == slug
    assert len(found) <= 50
