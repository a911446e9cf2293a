"""``exclude`` and ``[calendars]``: dates, files, and every fault with its place."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from jobctl.catalogue.calendars import MAX_EVENTS
from jobctl.catalogue.catalogue import Catalogue
from jobctl.errors import ConfigurationError
from jobctl.model import Job
from jobctl.project_location import find_project
from jobctl.schedules import Cron, Every, Excluding

JOB = '[jobs.a]\ncall = "m:f"\ncron = "0 9 * * *"\n'
YEAR = datetime.now(UTC).year


def load(folder: Path, text: str) -> dict[str, Job]:
    (folder / "jobctl.toml").write_text(text)
    return {job.id: job for job in Catalogue.load(find_project(folder))}


def dates(job: Job) -> list[str]:
    assert isinstance(job.schedule, Excluding)
    return ["..".join(map(str, dict.fromkeys(each))) for each in job.schedule.dates]


def event(begin: str, *lines: str, uid: str = "") -> str:
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{uid or begin}{lines}", f"DTSTART{begin}", *lines, "END:VEVENT", ""]
    )


def calendar(*events: str) -> str:
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n" + "".join(events) + "END:VCALENDAR\r\n"


def refused(folder: Path, text: str) -> ConfigurationError:
    """The only fault."""
    with pytest.raises(ConfigurationError) as error:
        load(folder, text)
    (problem,) = getattr(error.value, "problems", [error.value])
    assert isinstance(problem, ConfigurationError)
    return problem


def test_dates_and_calendars_are_left_out_of_the_schedule(tmp_path: Path) -> None:
    text = JOB + (
        'exclude = ["2026-12-24 .. 2026-12-26", "@holidays"]\n'
        '[calendars.holidays]\ndates = ["2026-12-27", "2027-05-01..2027-05-02"]\n'
    )
    job = load(tmp_path, text)["a"]

    assert dates(job) == ["2026-12-24..2026-12-27", "2027-05-01..2027-05-02"]
    assert job.exclude == ("2026-12-24 .. 2026-12-26", "@holidays")
    assert (job.schedule_text, job.schedule and job.schedule.members) == ("0 9 * * *", (Cron("0 9 * * *"),))


def test_a_built_in_job_keeps_its_schedule_and_may_lose_it(tmp_path: Path) -> None:
    text = '[jobs.repository-sync]\nexclude = ["2026-12-24"]\n'
    excluded = load(tmp_path, text)["repository-sync"]
    changed = load(tmp_path, text + 'every = "15m"\n')["repository-sync"]

    assert (dates(excluded), dates(changed)) == (["2026-12-24"], ["2026-12-24"])
    assert changed.schedule
    assert changed.schedule.members == (Every(900),)


def test_a_decorated_function_may_exclude(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "from jobctl import job\n"
        '@job(cron="0 9 * * *", exclude=["@holidays", "2026-01-06"])\ndef report(): pass\n'
    )
    text = 'modules = ["work"]\n[calendars.holidays]\ndates = ["2026-12-25"]\n'

    assert dates(load(tmp_path, text)["report"]) == ["2026-01-06", "2026-12-25"]
    with pytest.raises(ConfigurationError, match='there is no calendar "@holidays"'):
        load(tmp_path, 'modules = ["work"]\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (JOB + 'exclude = "2026-12-24"\n', "jobctl.toml:4: [jobs.a].exclude: expected a list of dates and calendars"),
        (JOB + "exclude = [2026-12-24]\n", "jobctl.toml:4: [jobs.a].exclude: expected a list of dates and calendars, in quotes"),
        (JOB + 'exclude = ["2026-12-32"]\n', 'jobctl.toml:4: [jobs.a].exclude: "2026-12-32" is no date'),
        (JOB + 'exclude = ["Christmas"]\n', '"Christmas" is neither a date nor a range of dates | write "2026-12-24" or "2026-12-24..2026-12-26", or "@holidays"'),
        (JOB + 'exclude = ["@hollidays"]\n[calendars.holidays]\ndates = []\n', 'jobctl.toml:4: [jobs.a].exclude: there is no calendar "@hollidays" | did you mean "holidays"?'),
        (JOB + 'exclude = ["@holidays"]\n', 'there is no calendar "@holidays" | define it: [calendars.holidays]'),
        (JOB + 'exclude = ["@Holidays!"]\n', '"@Holidays!" is not a calendar'),
        ('[jobs.a]\ncall = "m:f"\nexclude = ["2026-12-24"]\n', "jobctl.toml:3: [jobs.a].exclude: only a job with every or cron has times to exclude"),
        ("calendars = 3\n", "jobctl.toml:1: calendars: expected tables"),
        ("[calendars.x]\n", "jobctl.toml:1: [calendars.x]: it needs dates or file"),
        ('[calendars.x]\ndate = ["2026-12-24"]\n', '[calendars.x]: there is no key "date" | did you mean "dates"?'),
        ('[calendars.x]\ndates = ["2026-12-24", "@y"]\n', 'jobctl.toml:2: [calendars.x].dates: "@y" is neither a date'),
        ("[calendars.x]\nfile = 3\n", "jobctl.toml:2: [calendars.x].file: expected the name of a file"),
        ('[calendars.x]\nfile = "no.ics"\n', 'jobctl.toml:2: [calendars.x].file: "no.ics": it cannot be read: no such file'),
        ('[calendars."A b"]\ndates = []\n', '"A b" is not a name'),
    ],
)  # fmt: skip
def test_every_fault_has_its_place(tmp_path: Path, text: str, message: str) -> None:
    problem = refused(tmp_path, text)
    assert message in f"{problem} | {problem.hint}"


def test_a_file_has_days_ranges_and_recurrences(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "holidays.ics").write_bytes(
        calendar(
            event(f";VALUE=DATE:{YEAR}0315"),
            event(f";VALUE=DATE:{YEAR}0801", f"DTEND;VALUE=DATE:{YEAR}0804"),
            event(";VALUE=DATE:19901225", "RRULE:FREQ=YEARLY", f"EXDATE;VALUE=DATE:{YEAR}1225"),
            event(f";VALUE=DATE:{YEAR}0910", "STATUS:CANCELLED"),
            event(f":{YEAR}0911T100000Z"),
            event(f":{YEAR}0912T100000Z", "RRULE:FREQ=SECONDLY"),
        ).encode()
    )
    text = JOB + 'exclude = ["@x"]\n[calendars.x]\nfile = "public/holidays.ics"\ndates = ["2030-06-01"]\n'

    found = dates(load(tmp_path, text)["a"])

    assert {f"{YEAR}-03-15", f"{YEAR}-08-01..{YEAR}-08-03", "2030-06-01"} <= set(found)
    christmas = [each for each in found if each.endswith("-12-25")]
    assert christmas == [f"{year}-12-25" for year in range(YEAR - 1, YEAR + 11) if year != YEAR]
    assert not any("-09-" in each for each in found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "it is not an iCalendar file"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "it is not an iCalendar file"),
        (calendar(event(":20261225T100000Z")).encode(), "it has no all-day event, and only these exclude dates"),
        (calendar(*(event(";VALUE=DATE:20200101", "RRULE:FREQ=DAILY", uid=str(n)) for n in range(12))).encode(),
         f"it has more than {MAX_EVENTS:,} events, with their recurrences, in 10 years"),
        (b"x" * 1_100_000, "it is larger than 1 MiB"),
        (b"\xff\xfe", "it is not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.ics").write_bytes(data)
    assert (
        refused(tmp_path, '[calendars.x]\nfile = "x.ics"\n').problem
        == f'[calendars.x].file: "x.ics": {message}'
    )


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.ics").write_text(calendar(event(";VALUE=DATE:20261225")))
    monkeypatch.setitem(sys.modules, "recurring_ical_events", None)
    problem = refused(tmp_path, '[calendars.x]\nfile = "x.ics"\n')
    assert "calendar files need a package that is not installed" in problem.problem
    assert problem.hint == 'pip install "ever-jobctl[calendars]"'


def test_a_date_of_a_file_excludes(tmp_path: Path) -> None:
    (tmp_path / "x.ics").write_text(calendar(event(f";VALUE=DATE:{YEAR + 1}0315")))
    job = load(tmp_path, JOB + 'exclude = ["@x"]\n[calendars.x]\nfile = "x.ics"\n')["a"]
    assert isinstance(job.schedule, Excluding)
    assert job.schedule.dates == ((date(YEAR + 1, 3, 15),) * 2,)
