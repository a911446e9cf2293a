"""Any ``vercel.json``, and any record of what was exported: what is there stays as it is, or nothing is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.export_folder import RECORD
from jobctl.web.endpoints import is_endpoint
from tests.fuzz.test_command_line import given_words
from tests.support.fuzzing import anything, examples, mutated
from tests.support.terminal import Cli

NAMES = st.sampled_from(
    ["crons", "path", "schedule", "$schema", "files", "api/index.py", "../x", "/x", "a\0b", ""]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | anything | st.sampled_from(["/api/cron/sync", "* * * * *", "\ud800", 10**4300])  # fmt: skip
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | anything, inner, max_size=4),
    max_leaves=12,
)
cron = st.fixed_dictionaries({}, optional={"path": plain, "schedule": plain, "more": values})
document = st.dictionaries(NAMES | anything, values, max_size=3) | st.builds(
    lambda one, crons: {**one, "crons": crons}, st.dictionaries(anything, values, max_size=2), st.lists(cron, max_size=3)
)  # fmt: skip


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """JSON, as people and programs lay it out, or nearly."""
    indent, ascii_ = draw(st.sampled_from([None, 2, 4])), draw(st.booleans())
    try:
        text = json.dumps(draw(document | values), indent=indent, ensure_ascii=ascii_)
    except ValueError:
        text = '{"crons": ' + "9" * 5000 + "}"
    return draw(mutated(st.just(text), '{}[],:"\\n 9')).encode("utf-8", "surrogatepass")


data = written() | written() | st.binary(max_size=40)


@pytest.mark.slow
@examples(60)
@given(data, st.none() | data, st.booleans())
@example(b'{"crons": [], "a": ' + b"9" * 5000 + b"}", None, False)
@example(b"[" * 100_000, b"[" * 100_000, False)
@example(b'{"crons": [{"path": "\\ud800"}]}', None, False)
@example(b'\xef\xbb\xbf{"crons": []}', b'{"files": {"a\\u0000b": ""}}', False)
def test_any_file_keeps_what_others_wrote(
    cli: Cli, here: Path, data: bytes, record: bytes | None, as_json: bool
) -> None:
    file, kept = here / "vercel.json", here / RECORD
    file.write_bytes(data)
    kept.unlink(missing_ok=True)
    if record is not None:
        kept.write_bytes(record)

    given_words("export", "vercel", ".", *(["--json"] if as_json else []))

    after = file.read_bytes()
    if after != data:
        before, now = (
            json.loads(one.decode("utf-8-sig"), parse_constant=str, parse_float=str) for one in (data, after)
        )
        assert _others(before.pop("crons", [])) == _others(now.pop("crons"))
        assert _without_ours(before) == _without_ours(now)


def _without_ours(whole: dict[str, Any]) -> dict[str, Any]:
    functions = {**whole.pop("functions", {})}
    entry = functions.pop("app.py", {})
    more = (
        {name: value for name, value in entry.items() if name != "maxDuration"}
        if isinstance(entry, dict)
        else {}
    )
    return {**whole, "functions": functions, "app.py": more}


def _others(crons: list[Any]) -> list[Any]:
    return [one for one in crons if not (isinstance(one, dict) and is_endpoint(str(one.get("path"))))]
