import re

import pytest

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron, Every, parse_schedule
from jobctl.schedules.cron_grammar import CronFieldError
from jobctl.schedules.zones import zone


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "has 0 fields"),
        ("5", "has 1 field;"),
        ("* * * *", "has 4 fields; cron needs 5, or 6 with seconds first"),
        ("0 0 * * * * 2027", "has 7 fields"),
        ("61 * * * *", "minute: 61 is not in 0-59"),
        ("* 25 * * *", "hour: 25 is not in 0-23"),
        ("* * 0 * *", "day of month: 0 is not in 1-31"),
        ("* * * 13 *", "month: 13 is not in 1-12"),
        ("* * * * 8", "day of week: 8 is not in 0-7"),
        ("60 * * * * *", "second: 60 is not in 0-59"),
        ("0-60 * * * *", "minute: 60 is not in 0-59"),
        ("*/0 * * * *", "minute: a step must not be 0"),
        ("*/x * * * *", 'minute: "*/x" is not a number, a range or a step'),
        ("*/-5 * * * *", 'minute: "*/-5" is not'),
        ("*-5 * * * *", 'minute: "*-5" is not'),
        ("1-2-3 * * * *", 'minute: "1-2-3" is not'),
        ("1//2 * * * *", 'minute: "1//2" is not'),
        ("+5 * * * *", 'minute: "+5" is not'),
        ("1_0 * * * *", 'minute: "1_0" is not'),
        ("5/15 * * * *", 'minute: "5/15" has a step but no range'),
        ("50-10 * * * *", 'minute: the range "50-10" runs backwards'),
        ("0 0 * * FRI-MON", 'day of week: the range "FRI-MON" runs backwards'),
        ("* * * FOO *", 'month: "FOO" is not a number, a range or a step'),
        ("MON * * * *", 'minute: "MON" is not a number, a range or a step'),
        ("1,,2 * * * *", 'minute: "" is not a number, a range or a step'),
        ("0 0 30 2 *", "day of month: 30 is never in month 2"),
        ("0 0 30,31 2 */7", "day of month: 30, 31 is never in month 2"),
        ("0 0 31 4,6,9,11 *", "day of month: 31 is never in month 4, 6, 9, 11"),
        ("0 0 1 * 5#2", "# and L cannot be combined with a day of month"),
        ("0 0 */2 * L5", "# and L cannot be combined with a day of month"),
        ("0 0 1-31 * 5#2", "# and L cannot be combined with a day of month"),
        ("0 0 * * 5#6", 'day of week: "5#6" has no number from #1 to #5'),
        ("0 0 * * 5#", 'day of week: "5#" has no number from #1 to #5'),
        ("0 0 * * 9#1", "day of week: 9 is not in 0-7"),
        ("0 0 * * 5-6#1", 'day of week: "5-6#1" is not'),
        ("0 0 * * MON,5#2", "plain days cannot be combined"),
        ("0 0 * * L", 'day of week: "L" is not'),
        ("0 0 * * L5L", 'day of week: "L5L" is not'),
        ("0 0 L-3 * *", 'day of month: "L-3" is not'),
        ("0 0 15W * *", 'day of month: "15W" is not'),
        ("L * * * *", 'minute: "L" is not'),
        ("@reboot", '"@reboot" is not known'),
        ("@daily 5 * * *", 'minute: "@daily" is not'),
        ("H * * * *", 'minute: "H" is not'),
        ("R(0-10) * * * *", 'minute: "R(0-10)" is not'),
        ("? * * * *", 'minute: "?" is not'),
        ("٥ * * * *", 'minute: "٥" is not'),
        ("5² * * * *", 'minute: "5²" is not'),
        ("0 0 * * ſun", 'day of week: "ſun" is not'),
        ("0\u00a00 * * *", '"0\\xa00 * * *" has 4 fields'),
        ("0 9 * * 1\n", 'day of week: "1\\x0a" is not'),
        ("0 9 * * *\x1b[31m", 'day of week: "*\\x1b[31m" is not'),
        ("*" * 257, "at most 256 characters, not 257"),
        ("*/" + "9" * 200 + " * * * *", "minute"),
        ("9" * 200 + " * * * *", "minute"),
    ],
)
def test_what_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(message)) as caught:
        Cron(expression)
    text = str(caught.value)
    assert len(text) <= 300
    assert text.isprintable()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("expression", "blamed"),
    [
        ("0 9 * * 1,9", "1,9"),
        ("  61 \t 0 * * *", "61"),
        ("0 0 0 * *", "0"),
        ("1 1 1 1 11", "11"),
        ("5 5 5 5 5 5#9", "5#9"),
        ("0 0 30 2 *", "30"),
        ("0 0 0 31 4 *", "31"),
        ("0 0 2 * 5#2", "5#2"),
        ("0 0 * * 1,L5", "1,L5"),
    ],
)
def test_an_error_has_its_place(expression: str, blamed: str) -> None:
    with pytest.raises(CronFieldError) as caught:
        Cron(expression)

    assert caught.value.span is not None
    start, end = caught.value.span
    assert expression[start:end] == blamed
    assert expression[end:].strip() == "" or expression[end] in " \t"


def test_an_error_of_the_whole_expression_has_no_place() -> None:
    with pytest.raises(CronFieldError) as caught:
        Cron("* * * *")
    assert caught.value.span is None


@pytest.mark.parametrize(
    "junk",
    [
        "1," * 500_000 + "1 * * * *",
        "0-59," * 100_000 + "1 * * * *",
        "*" * 1_000_000,
        "*/" + "9" * 5000 + " * * * *",
        "9" * 5000,
        " " * 1_000_000,
        "\x00" * 5000,
        "-" * 300,
        "every " + "9" * 1_000_000,
        "1h" * 500_000,
        "\x1b[2J" * 10,
        "\u2028" * 5000,
    ],
)
def test_hostile_texts_are_refused_with_a_short_sentence(junk: str) -> None:
    for read in (Cron, parse_schedule):
        with pytest.raises(ScheduleError) as caught:
            read(junk)
        assert len(str(caught.value)) <= 300
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("junk", [None, 5, b"* * * * *", ["* * * * *"]])
def test_only_text_is_an_expression(junk: str) -> None:
    for read in (Cron, parse_schedule):
        with pytest.raises(ScheduleError, match="is text, not"):
            read(junk)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../UTC", "/etc/passwd", "America", "a\0b", "x" * 300, "localtime", "posixrules", "Factory",
     "right/UTC", "posix/UTC", "zone.tab", "tzdata.zi", "utc ", "europe/berlin", "\udcff", "\x1b[31m"],
)  # fmt: skip
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError, match="is not a time zone") as caught:
        Cron("* * * * *", name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("name", [None, 5, ["UTC"]])
def test_a_zone_is_a_name(name: str) -> None:
    with pytest.raises(ScheduleError, match="a time zone is a name"):
        Cron("* * * * *", name)


@pytest.mark.parametrize("near", ["Europe/Berln", "europe/berlin"])
def test_the_nearest_zone_is_suggested(near: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("* * * * *", near)
    assert caught.value.hint == 'did you mean "Europe/Berlin"?'


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "EST5EDT"])
def test_a_zone_has_its_name(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 5m", Every(300)),
        ("Every  5m", Every(300)),
        ("90m", Every(5400)),
        ("1h 30m", Every(5400)),
        (" 15 m ", Every(900)),
        ("*/5 * * * *", Cron("*/5 * * * *")),
        ("0 9 * * MON", Cron("0 9 * * MON")),
        (" @daily ", Cron("@daily")),
    ],
)
def test_a_schedule_is_parsed_from_either_form(text: str, schedule: object) -> None:
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("every", '"" is not a duration'),
        ("every day", '" day" is not a duration'),
        ("5 minutes", '"5 minutes" is not a duration'),
        ("every 0s", "at least 1 s, not 0 s"),
        ("500ms", "at least 1 s, not 0.5 s"),
        ("every 101y", "is not a duration"),
        ("99999w", "more than 100 years"),
        ("15", '"15" has 1 field; cron needs 5'),
    ],
)
def test_an_interval_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(message)):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("expression", "fixed", "rule"),
    [
        ("30 2 * * *", True, None),
        ("*/5 2 * * *", False, None),
        ("5,*/5 2 * * *", True, None),
        ("0-59/5 2 * * *", True, None),
        ("0 0-23 * * *", True, None),
        ("* 0 9 * * *", True, None),
        ("0 9 * * 1-5", True, None),
        ("0 9 * * 5#2", True, None),
        ("0 9 1 * *", True, None),
        ("0 9 1 * 1", True, "or"),
        ("0 9 15 * 0-6", True, "or"),
        ("0 9 L * 1", True, "or"),
        ("0 9 */2 * 1", True, "both"),
        ("0 9 1 * */2", True, "both"),
        ("@hourly", False, None),
        ("@daily", True, None),
    ],
)
def test_which_rules_apply(expression: str, fixed: bool, rule: str | None) -> None:
    cron = Cron(expression)

    assert cron.fixed_time is fixed
    assert (f" {rule} " in (cron.day_rule or "")) if rule else cron.day_rule is None


def test_the_parsed_fields_are_public() -> None:
    fields = Cron("*/20 9 1,L jan-MAR 5-7").fields

    assert fields.second.numbers == (0,)
    assert fields.minute.numbers == (0, 20, 40)
    assert fields.minute.star
    assert fields.day.numbers == (1,)
    assert fields.day.last_day
    assert fields.month.numbers == (1, 2, 3)
    assert fields.weekday.numbers == (0, 5, 6)
    assert not fields.weekday.full
    assert Cron("0 0 * * 5L,sun#2").fields.weekday.nth == ((0, 2), (5, -1))
