"""Promise 4: wall-clock times, in the job's zone, right over clock changes and impossible dates."""

import pytest

from tests.support.project import Site

pytestmark = pytest.mark.slow


def test_a_night_of_each_clock_change(site: Site) -> None:
    spring = site.json("next", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2027-03-27", "-n", "3")
    autumn = site.json("next", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2027-10-30", "-n", "3")

    assert spring["next"] == [
        "2027-03-27T01:30:00+00:00",
        "2027-03-28T01:00:00+00:00",
        "2027-03-29T00:30:00+00:00",
    ]
    assert autumn["next"] == [
        "2027-10-30T00:30:00+00:00",
        "2027-10-31T00:30:00+00:00",
        "2027-11-01T01:30:00+00:00",
    ]


def test_six_fields_have_the_seconds_first(site: Site) -> None:
    found = site.json("next", "*/30 * * * * *", "--from", "2026-11-23T09:00:00Z", "-n", "2")

    assert found["next"] == ["2026-11-23T09:00:30+00:00", "2026-11-23T09:01:00+00:00"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [("0 0 30 2 *", "never"), ("61 * * * *", "minute"), ("0 25 * * *", "hour"), ("* * * *", "fields")],
)
def test_what_cannot_be_is_refused_with_the_field(site: Site, expression: str, words: str) -> None:
    refused = site.call("next", expression)

    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
