import re

import pytest

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron, Every, parse_schedule


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("0 0 * * * * 2027", "has 7 fields"),
        ("61 * * * *", "minute: 61 is not in 0-59"),
        ("* 25 * * *", "hour: 25 is not in 0-23"),
        ("* * 0 * *", "day of month: 0 is not in 1-31"),
        ("* * * 13 *", "month: 13 is not in 1-12"),
        ("* * * * 8", "day of week: 8 is not in 0-7"),
        ("60 * * * * *", "second: 60 is not in 0-59"),
        ("*/0 * * * *", "minute: a step of 0 never moves"),
        ("5/15 * * * *", 'minute: "5/15" has a step but no range'),
        ("50-10 * * * *", 'minute: the range "50-10" falls'),
        ("* * * FOO *", 'month: "FOO" is not a number or a name'),
        ("x * * * *", 'minute: "x" is not a value, range or step'),
        ("1,,2 * * * *", 'minute: "" is not a value, range or step'),
        ("0 0 30 2 *", "day of month: 30 is never in month 2"),
        ("0 0 31 4,6,9,11 *", "day of month: 31 is never in month 4, 6, 9, 11"),
        ("0 0 1 * 5#2", "# and L do not go together with a day of month"),
        ("0 0 * * 5#6", "day of week: #6 is not in #1-#5"),
        ("0 0 * * MON,5#2", "plain days do not go together"),
        ("@reboot", '"@reboot" is not known'),
        ("H * * * *", "minute"),
        ("R * * * *", "minute"),
        ("? * * * *", "minute"),
        ("٥ * * * *", "minute"),
        ("0\u00a00 * * *", "has 4 fields"),
        ("0 9 * * *\x1b[31m", 'day of week: "*\\x1b[31m"'),
        ("*" * 257, "at most 256 characters, not 257"),
        ("*/" + "9" * 200 + " * * * *", "minute"),
    ],
)
def test_what_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(message)) as caught:
        Cron(expression)
    text = str(caught.value)
    assert len(text) <= 300
    assert text.isprintable()
    assert isinstance(caught.value, ValueError)


def test_a_fault_says_where_it_stands() -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("0 9 * * 1,9")

    assert caught.value.span == (8, 11)  # type: ignore[attr-defined]


@pytest.mark.parametrize("junk", ["1," * 500_000 + "1 * * * *", "*" * 1_000_000, "\x00" * 5000, "-" * 300])
def test_hostile_texts_are_refused_with_a_short_sentence(junk: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron(junk)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("junk", [None, 5, b"* * * * *"])
def test_only_text_is_an_expression(junk: str) -> None:
    with pytest.raises(ScheduleError, match="is text"):
        Cron(junk)


@pytest.mark.parametrize(
    "name", ["", "..", "/etc/passwd", "America", "a\0b", "x" * 300, "localtime", "right/UTC"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError, match="is not a time zone"):
        Cron("* * * * *", name)


def test_the_nearest_zone_is_suggested() -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("* * * * *", "Europe/Berln")
    assert caught.value.hint == 'did you mean "Europe/Berlin"?'


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 5m", Every(300)),
        ("90m", Every(5400)),
        ("1h 30m", Every(5400)),
        ("*/5 * * * *", Cron("*/5 * * * *")),
        (" @daily ", Cron(" @daily ")),
    ],
)
def test_one_entry_reads_both(text: str, schedule: object) -> None:
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize(
    ("expression", "fixed", "rule"),
    [
        ("30 2 * * *", True, None),
        ("*/5 2 * * *", False, None),
        ("0-59/5 2 * * *", True, None),
        ("* 0 9 * * *", True, None),
        ("0 9 1 * 1", True, "or"),
        ("0 9 */2 * 1", True, "both"),
        ("@hourly", False, None),
    ],
)
def test_which_rules_apply(expression: str, fixed: bool, rule: str | None) -> None:
    cron = Cron(expression)

    assert cron.fixed_time is fixed
    assert (rule in (cron.day_rule or "")) if rule else cron.day_rule is None
