"""Any ``jobctl.toml`` or ``pyproject.toml``: a catalogue, or each fault with its line; adding a job loses nothing."""

import json
import tomllib
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.catalogue.catalogue import Catalogue, job_names
from jobctl.catalogue.job_keys import KEYS
from jobctl.catalogue.notify_settings import Notify
from jobctl.catalogue.scaffold import new_job, write
from jobctl.errors import ConfigurationError, ConfigurationErrors, JobctlError
from jobctl.project_location import SHARED_FILE, ProjectLocation, find_project
from jobctl.toml_file import lines_of_keys
from tests.support.fuzzing import LARGEST, ODD, anything, bounded, check_message, examples, mutated, repeated

basic = anything.map(
    lambda text: json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "x")
)
bare = st.sampled_from([*KEYS, *Notify._fields, "jobs", "notify", "tool", "jobctl", "a", "a-b", "1"])
key = bare | basic | st.builds("{}.{}".format, bare, basic | bare) | st.just("''")
job_id = st.sampled_from(["a", "a-b", '"A_B"', '"a.b"', '"\\u0000"', *(one.id for one in BUILT_IN[:3])])
plain = st.sampled_from(
    [
        "true", "1", "-1", "1e400", "nan", "-inf", "0x" + "f" * 5000, "0o7", "9" * 4300, "9" * 5000, "9223372036854775808",
        "1979-05-27T07:32:00Z", "0001-01-01", "07:32:00", "9999-12-31T23:59:59-23:59", "''", "'''\n\n'''", '"\\ud800"', "[]", "{}",
        '"5m"', '"30 2 * * *"', '"61 * * * *"', '"Europe/Berlin"', '"m:f"', '"a"', '["true"]', '["a\\u0000"]', '"https://a.b/c"',
        '"$NAME"', '"a@b"', '["failure"]', '"skip"', '{ A = "b" }', '"https://x:99999"', '"every 1s"',
    ]
)  # fmt: skip
value = st.recursive(
    plain | basic,
    lambda inner: st.lists(inner, max_size=3).map(lambda some: f"[{', '.join(some)}]")
    | st.lists(st.builds("{} = {}".format, key, inner), max_size=3).map(lambda some: f"{{ {', '.join(some)} }}"),
    max_leaves=6,
)  # fmt: skip
setting = st.builds("{} = {}".format, key, value)
header = st.builds("[jobs.{}]".format, job_id | key) | st.sampled_from(["[notify]", "[[jobs]]", "[tool.jobctl]", "[jobs]", "[a.b.c]"])  # fmt: skip
usual = st.builds(
    '[jobs.{}]\ncall = "m:f"\n{}'.format, job_id, st.lists(st.builds("{} = {}".format, st.sampled_from([*KEYS]), value), max_size=3, unique_by=lambda one: one.partition(" ")[0]).map("\n".join)
)  # fmt: skip
file = mutated(st.lists(usual | header | setting, max_size=6).map("\n".join), "=[]{}.\"'#, \n\\")
piece = st.sampled_from(["\n", " ", "[", "]", "{", "{a=", "a.", '"a".', '"\\"".', "'a'.", '"', "'", '"""', "#", "[[a]]\n", "a=1\n", ",", "0x", "9", "[jobs.a]\n"]) | setting  # fmt: skip
many = st.builds(lambda form, end: "".join(form.format(n) for n in range(LARGEST // 20)) + end, st.sampled_from(["[jobs.a{}]\n", "a{} = 1\n", "a.b{} = 1\n", "[a{}.b]\n", "'{}'.a=1\n"]), setting)  # fmt: skip
text = file | repeated(piece) | many
data = text.map(lambda one: one.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)
NAMES = st.sampled_from(["jobctl.toml", "jobctl.toml", "pyproject.toml"])


@pytest.mark.slow
@examples(150)
@given(NAMES, data)
@example("jobctl.toml", b"notify = { mail = 5 }")
@example("jobctl.toml", b"notify = { mail = nan }")
@example("jobctl.toml", b"notify = { webhook = 'https://x:99999' }")
@example("jobctl.toml", b"[jobs.a]\ncall = 'm:f'\nretries = 0x" + b"f" * 5000)
@example("jobctl.toml", b'"\\"".' * 20_000 + b"a = 1")
@example("jobctl.toml", b"a." * 63 + b"a = 1\n" + b"'a'." * 100_000 + b"b = 1")
@example("jobctl.toml", b"a=" + b"{a=" * 5000)
@example("jobctl.toml", b"[jobs." + b"a" * 70_000 + b"]\nx=1")
@example("jobctl.toml", b"modules = ['" + b"a" * 500_000 + b"']")
@example("jobctl.toml", b"".join(b"[jobs.a%d]\nx%d = 1\n" % (n, n) for n in range(2000)))
@example("jobctl.toml", b"[jobs.a]\n" + b"".join(b"x%d = 1\n" % n for n in range(20_000)))
@example("pyproject.toml", b" " * 100_000)
@example("pyproject.toml", b"[tool.jobctl]\nmodules = 1\n[tool.jobctl.jobs]\n")
def test_any_file_is_a_catalogue_or_is_refused_with_lines(tmp_path: Path, name: str, data: bytes) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / name).write_bytes(data)
    lines = data.count(b"\n") + 1

    with bounded():
        assert job_names(str(tmp_path))
        try:
            assert len(Catalogue.load(find_project(tmp_path))) >= len(BUILT_IN)
        except ConfigurationError as error:
            told = error
        else:
            return
    check_message(told)
    for one in told.problems if isinstance(told, ConfigurationErrors) else [told]:
        place, _, line = (one.where or name).partition(":")
        assert place == name
        assert 1 <= int(line or 1) <= lines


@pytest.mark.slow
@examples(100)
@given(text)
def test_each_key_of_any_file_has_its_line(text: str) -> None:
    try:
        whole = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    with bounded():
        found = lines_of_keys(text.replace("\r\n", "\n"))
    # what stands in an inline table has no line of its own
    assert set(found) >= ({(one,) for one in whole} if "{" in text else set(_paths(whole)))


def _paths(table: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, inner in table.items():
        found.append((*before, name))
        if isinstance(inner, dict):
            found += _paths(inner, (*before, name))
    return found


ids = mutated(st.sampled_from(["a-job", "a", "tidy-up", "class"]), "-_.ABC1")
modules = st.none() | mutated(st.sampled_from(["jobs.x", "m"]), "./" + ODD)
settings = st.fixed_dictionaries(
    {},
    optional={"every": st.just("5m"), "name": anything, "command": st.lists(anything, max_size=3), "timezone": anything},
)  # fmt: skip


@pytest.mark.slow
@examples(75)
@given(NAMES, st.none() | data, ids, settings, modules)
@example("jobctl.toml", b"\xef\xbb\xbf[jobs.a]\r\ncall = 'm:f'\r\n", "b", {"every": "5m"}, None)
@example("jobctl.toml", b"\xff", "b", {"every": "5m"}, None)
@example("jobctl.toml", b"a = " + b"9" * 5000, "b", {"every": "5m"}, None)
@example("jobctl.toml", None, "b", {"every": "5m"}, "m" * 300)
def test_a_new_job_is_added_and_nothing_lost_or_is_refused_in_a_sentence(
    tmp_path: Path, name: str, before: bytes | None, job_id: str, settings: dict[str, Any], module: str | None
) -> None:
    folder = tmp_path / "project"
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    file = folder / name
    if before is not None:
        file.write_bytes(before)

    with bounded():
        try:
            project = ProjectLocation(folder, file if before is not None else None)
            write(project, new_job(project, job_id, settings, module))
        except JobctlError as error:
            check_message(error)
            assert before is None or file.read_bytes() == before
            return
    written = (project.file or folder / "jobctl.toml").read_bytes()
    assert written.startswith(before or b"")
    shared = before is not None and name == SHARED_FILE
    now, then = (_table(one, shared=shared) for one in (written, before or b""))
    assert now["jobs"].pop(job_id)
    assert now == {"jobs": {}, **then}


def _table(data: bytes, *, shared: bool) -> dict[str, Any]:
    whole = tomllib.loads(data.decode("utf-8-sig"), parse_float=str)  # NaN is not itself
    table: dict[str, Any] = whole.get("tool", {}).get("jobctl", {}) if shared else whole
    return table
