"""Any text as a duration, and as a time on the command line."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.cli.times import read_since, read_span, read_time
from jobctl.durations import MAXIMUM, format_duration, parse_duration, write_duration
from jobctl.errors import UsageError
from jobctl.schedules import Every
from jobctl.schedules.zones import zone
from tests.support.fuzzing import FOREIGN, anything, bounded, check_message, examples, mutated, repeated

part = st.builds(
    "{}{}".format,
    st.integers(0, 10**13)
    | st.decimals(0, 1000, places=3)
    | st.sampled_from(["1" * 5000, "nan", "1e9", "٣"]),
    st.sampled_from(["ms", "s", "m", "h", "d", "w", " m", "y", "", "µs", "ſ"]),
)
durations = st.lists(part, min_size=1, max_size=3).map(" ".join)
times = (
    st.datetimes().map(datetime.isoformat)
    | st.dates().map(str)
    | st.datetimes(timezones=st.timezones()).map(str)
)
text = mutated(durations | times, "0123456789.:-+TZmshdw " + FOREIGN) | anything | repeated(part | anything)
now = datetime(2026, 11, 23, 9, tzinfo=UTC)


@examples(150)
@given(text)
@example("9" * 12 + "w")
@example("1m" * 500_000)
def test_any_text_is_a_duration_or_is_refused_in_a_sentence(text: str) -> None:
    with bounded():
        try:
            found = parse_duration(text)
        except UsageError as error:
            check_message(error)
            return
        assert timedelta(0) <= found <= MAXIMUM
        assert abs(parse_duration(write_duration(found)) - found) < timedelta(milliseconds=1)
        assert len(format_duration(found)) <= 20


@examples(100)
@given(text, st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Apia", "America/New_York"]))
@example("0001-01-01", "Asia/Tokyo")
@example("9999-12-31T23:59", "America/New_York")
def test_any_text_is_a_time_or_is_refused_in_a_sentence(text: str, name: str) -> None:
    for read in (
        lambda: read_time(text, "--from", zone(name)), lambda: read_since(text, now), lambda: read_span(text, "--grace"),
    ):  # fmt: skip
        with bounded():
            try:
                read()
            except UsageError as error:
                check_message(error)


@examples(50)
@given(
    st.floats()
    | st.integers()
    | st.timedeltas()
    | st.sampled_from([10**400, -(10**400), True, None, "5m", 1e300])
)
@example(timedelta(days=11_575, milliseconds=1))
def test_any_number_is_an_interval_or_is_refused_in_a_sentence(given: Any) -> None:
    try:
        every = Every(given)
    except UsageError as error:
        check_message(error)
        return
    assert Every(parse_duration(write_duration(every.interval))) == every
