"""A report as CSV: read back by any reader, and no formula to a spreadsheet."""

import csv
import io
from typing import Any

import pytest

from jobctl.site.reports.plain_text import HEAD, csv_text


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_value_of_the_report_is_there(report: dict[str, Any]) -> None:
    text = csv_text(report)

    rows = read(text)
    assert text.count("\r\n") == text.count("\n") == len(rows) + 1
    assert tuple(rows[0]) == HEAD
    found = {(one["section"], one["name"], one["detail"]): (one["value"], one["before"]) for one in rows}
    assert found["report", "Weekly User Growth", "period"] == ("2026-W47", "")
    assert found["figures", "Renewed", ""] == ("9000", "1000")
    assert found["revenue", "USD", ""] == ("1234", "1000")
    assert found["days", "2026-11-18", "Votes"] == ("14", "")
    assert found["top items", "علي حسن 🙂", "Votes"] == ("89", "")
    assert found["top items", "Plain", "Category"] == ("Tools", "")
    assert found["subscriptions", "premium", "expired"] == ("12", "")
    assert len([one for one in rows if one["section"] == "days"]) == 4 * 7


@pytest.mark.parametrize(
    "name",
    ['=HYPERLINK("http://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=1,"a\n=2'],
)
def test_no_name_is_a_formula(report: dict[str, Any], name: str) -> None:
    report["top_items"][0] |= {"name": name, "category": name}
    report["subscriptions"][0]["plan"] = name

    cells = [cell for row in read(csv_text(report)) for cell in row.values()]

    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]
    assert "'" + " ".join(name.split()) in cells


def test_commas_and_quotes_stay_in_their_cell(report: dict[str, Any]) -> None:
    report["top_items"][0]["name"] = 'A "quoted", name; with\nlines'

    assert 'A "quoted", name; with lines' in {row["name"] for row in read(csv_text(report))}


def test_a_negative_number_stays_one(report: dict[str, Any]) -> None:
    report["revenue"][0]["now"] = -12.5

    assert "-12.5" in {row["value"] for row in read(csv_text(report))}
