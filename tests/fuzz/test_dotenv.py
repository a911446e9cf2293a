"""Any ``.env`` file: read to its end, its values bounded, errors reported without what may be secret."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.errors import ConfigurationError
from jobctl.modes import explain
from jobctl.settings.environment import Environment
from jobctl.settings.masking import is_secret
from jobctl.settings.variables import VARIABLES
from tests.support.fuzzing import (
    FOREIGN,
    ODD,
    SECRET,
    anything,
    bounded,
    check_message,
    examples,
    mutated,
    repeated,
)

name = st.sampled_from(["A", "B", "C", "a.b", "X-Y", "1", "é", "GH_TOKEN", *VARIABLES])
reference = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["$", "${", "}", ":-", "A", "B", "C", "\\", "\\$", "$A", "${B:-x}", "$&", "$'"])
    ),
)
value = (
    reference
    | st.sampled_from(["", "true", "1", "production", "https://a:b@c/d?e#f", "9" * 5000, "3" * 6])
    | anything
)
quoted = st.builds("{0}{1}{0}".format, st.sampled_from(["'", '"', "`"]), value)
line = (
    st.builds("{}{}{}{}".format, st.sampled_from(["", "export ", " "]), name, st.sampled_from(["=", ": ", " = "]), value | quoted)
    | st.builds("# {}".format, value)
    | anything
)  # fmt: skip
file = mutated(st.lists(line, max_size=8).map("\n".join), "=$\"'`#:\\{} \r\n" + FOREIGN)
piece = st.sampled_from(["\n", " ", "A", "=", "#", "A=\n", 'A="\n', "A='\\'", "x\n", "$A", "A=$B", "${A:-", "export ", "\\", "`"]) | line  # fmt: skip
data = (file | repeated(piece)).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(
    max_size=60
)


def load(folder: Path, data: bytes, file: str = ".env") -> Environment:
    (folder / file).write_bytes(data)
    with bounded():
        found = Environment.load(folder, {"HOME": "/h"})
        list(found.python_dotenv_differences())
    return found


@pytest.mark.slow
@examples(150)
@given(data)
@example(b"\n" * 50_000)
@example(b"A=\n" * 200_000)
@example(b"A=\"\nB='\nC=`\n" * 50_000)
@example(b"A=$B\nB=$A\n")
@example(b"A=$A$A\n")
@example(b"".join(b"A%d=$A%d$A%d\n" % (n, n + 1, n + 1) for n in range(60)) + b"A60=xxxxxxxxxx\n")
@example(b"".join(b"A%d=%s\n" % (n, b"$B" * 900) for n in range(200)) + b"B=" + b"x" * 10_000)
@example(b"A=" + b"$B" * 900 + b"\nB=${C:-" + b"x" * 100_000)
@example(b"SMTP_PORT=" + b"9" * 5000)
@example(b"NODE_ENV=" + b"x" * 5000)
@example(b"NODE_ENV=../../x")
@example(b"NODE_ENV=a\0b")
@example(b"A=a\0b")
@example(b"\xef\xbb\xbfA=1\r\nB=\xff")
def test_any_file_is_read_and_its_errors_are_reported(tmp_path: Path, data: bytes) -> None:
    environment = load(tmp_path, data)

    with bounded():
        for fault in environment.check():
            check_message(fault)
    assert len(environment.warnings) <= 100
    assert all(warning.isprintable() and len(warning) <= 300 for warning in environment.warnings)
    merged = environment.merged()
    assert sum(map(len, merged.values())) < 20 * 1024 * 1024
    assert not any("\0" in one for one in merged.values())


@examples(50)
@given(st.lists(line, max_size=4), st.sampled_from([one for one in VARIABLES if is_secret(one)]), st.sampled_from(["=", ": ", " ", "='"]))  # fmt: skip
def test_no_message_holds_a_secret(tmp_path: Path, lines: list[str], name: str, between: str) -> None:
    text = "\n".join([*lines, f"{name}{between}{SECRET}", f"export {name} {SECRET}", SECRET])

    environment = load(tmp_path, text.encode("utf-8", "surrogatepass"))

    told = [*environment.warnings, *map(str, environment.check())]
    try:
        told.append(json.dumps(explain(environment).to_json()))
    except ConfigurationError as error:
        check_message(error)
    assert not [one for one in told if SECRET in one]


plain = st.text(st.characters(exclude_characters="'\\$\r\0", exclude_categories=["Cs"]), max_size=40)


@examples(50)
@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_.-]{0,8}", fullmatch=True), plain, max_size=5))
def test_what_is_written_in_single_quotes_is_read_back_with_its_line(
    tmp_path: Path, values: dict[str, str]
) -> None:
    values = {key: value for key, value in values.items() if key not in {*VARIABLES, "HOME"}}
    text = "".join(f"{key}='{value}'\n" for key, value in values.items())

    environment = load(tmp_path, text.encode())

    assert {key: environment.merged()[key] for key in values} == values
    lines = text.split("\n")
    for key in values:
        assert lines[environment.value(key).source.line - 1].startswith(f"{key}='")


@examples(100)
@given(st.sampled_from(list(VARIABLES)), value | st.text(ODD))
@example("RESEND_BASE_URL", "https://[")
@example("NOVU_BASE_URL", "https://x:99999")
@example("NEXT_PUBLIC_APP_URL", f"https://{'a' * 64}.com")
def test_any_text_of_a_known_variable_is_taken_or_refused_in_a_sentence(name: str, text: str) -> None:
    environment = Environment.load(Path("/nowhere"), {name: text.replace("\0", "")})

    with bounded():
        for fault in environment.check():
            check_message(fault)
