"""Schedules in words, and hints for the syntax of other programs."""

import pytest

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.errors import ScheduleError
from jobctl.schedules import parse_schedule
from jobctl.schedules.words import in_words


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("every 5m", "every 5 minutes"),
        ("every 1d", "every day"),
        ("every 1h30m", "every 1 hour 30 minutes"),
        ("every 1500ms", "every 1,500 milliseconds"),
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/7 * * * *", "at the minutes 0, 7, 14, … 56 of each hour"),
        ("1-29 * * * *", "at the minutes 1 to 29 of each hour"),
        ("0 * * * *", "every hour"),
        ("@hourly", "every hour"),
        ("5 */2 * * *", "every 2 hours, at minute 5"),
        ("5,35 * * * *", "at the minutes 5 and 35 of each hour"),
        ("0 8-18 * * *", "each hour, from 08:00 to 18:00"),
        ("5 8-18 * * *", "each hour, from 08:05 to 18:05"),
        ("0 0-6,22 * * *", "each hour, in the hours 0, 1, 2, … 22"),
        ("0 9 * * *", "every day at 09:00"),
        ("0,30 9-10 * * *", "every day at 09:00, 09:30, 10:00 and 10:30"),
        ("10 0 9 * * *", "every day at 09:00:10"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 * * * * *", "every minute, at second 30"),
        ("*/20 * 9 * * *", "every 20 seconds, from 09:00 to 09:59"),
        ("*/10 */5 9 * * *", "every 10 seconds of the minutes 0, 5, 10, … 55, from 09:00 to 09:59"),
        ("*/5 9-17 * * 1-5", "every 5 minutes, from 09:00 to 17:59, from Monday to Friday"),
        ("0 9 * * 6,0", "at 09:00 on every Saturday and Sunday"),
        ("0 9 * * 1", "at 09:00 on every Monday"),
        ("0 9 1 * MON", "at 09:00 on the 1st of the month, and on every Monday"),
        ("0 9 1-7 * *", "at 09:00 from the 1st to the 7th of the month"),
        ("0 9 */2 * MON", "at 09:00 on the days 1, 3, 5, … 31 of the month, if that is a Monday"),
        ("0 9 1 * */2", "at 09:00 on the 1st of the month, if that is a Tuesday, Thursday, Saturday or Sunday"),
        ("0 9 2,11,L * *", "at 09:00 on the 2nd, 11th and last day of the month"),
        ("0 9 * * 5#2", "at 09:00 on the second Friday of the month"),
        ("0 9 * * L5", "at 09:00 on the last Friday of the month"),
        ("0 9 * 3-5 *", "every day at 09:00, from March to May"),
        ("0 0 1 1,7 *", "at 00:00 on the 1st of the month, in January and July"),
    ],
)  # fmt: skip
def test_a_schedule_in_words(schedule: str, words: str) -> None:
    assert in_words(parse_schedule(schedule)) == words


def test_the_built_in_jobs_in_words() -> None:
    texts = [job.settings.get("cron") or f"every {job.settings['every']}" for job in BUILT_IN]
    words = {in_words(parse_schedule(text)) for text in texts}
    assert {"every 5 minutes", "at 09:00 on every Monday", "every day at 09:00"} < words
    assert not words & {*texts}


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("@every 1h30m", "write an interval: every 1h30m"),
        ("0 9 * * MON-SUN", "it means all of them: write *"),
        ("0 9 * * FRI-MON", "write FRI-SAT,SUN-MON"),
        ("0 22-6 * * *", "write 22-23,0-6"),
        ("0 9 * * 7-0", "write SUN"),
        ("0 9 * * 7-2", "write SUN-TUE"),
        ("0 9 * 11-2 *", "write NOV-DEC,JAN-FEB"),
        ("0 9 25-5 * *", "write 25-31,1-5"),
        ("0 0 12 ? * MON", "? is of Quartz: write *"),
        ("0 0 12 ? * MON 2027", "the seventh field of Quartz is a year"),
        ("H/15 * * * *", "H is of Jenkins: write a number"),
        ("H(0-29) 3 * * *", "H is of Jenkins: write a number"),
        ("0 9 15W * *", "no weekday nearest to a day is known here"),
        ("WHAT * * * *", "write a number, a range"),
    ],
)
def test_the_syntax_of_other_programs_gets_a_hint(expression: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(expression)
    assert (caught.value.hint or "").startswith(hint)
