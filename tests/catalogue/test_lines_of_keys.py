import tomllib

import pytest

from jobctl.toml_file import lines_of_keys

TEXT = '''# a comment
modules = [
  "a",  # [jobs.fake]
  "b = 1",
]
title = """
[jobs.fake]
key = "no"
"""

[jobs.first]
call = "m:f"
"quoted key" = 'x'
dotted.inner = 1
inline = { a = 1, b = [1,
  2] }
after = 2
[ jobs . "second.job" ]
path = \'\'\'
'[x]'\'\'\'
last = "a \\" b = 1" # c
[[many]]
x = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("modules",), 2),
        (("title",), 6),
        (("jobs",), 11),
        (("jobs", "first"), 11),
        (("jobs", "first", "call"), 12),
        (("jobs", "first", "quoted key"), 13),
        (("jobs", "first", "dotted", "inner"), 14),
        (("jobs", "first", "inline"), 15),
        (("jobs", "first", "after"), 17),
        (("jobs", "second.job"), 18),
        (("jobs", "second.job", "path"), 19),
        (("jobs", "second.job", "last"), 21),
        (("many", "x"), 23),
    ],
)
def test_each_key_is_found_on_its_line(path: tuple[str, ...], line: int) -> None:
    assert tomllib.loads(TEXT)
    assert lines_of_keys(TEXT)[path] == line


def test_a_key_with_escapes_is_found_unescaped() -> None:
    assert lines_of_keys('\n"a\\u0062\\"c" = 1\n') == {('ab"c',): 2}


def test_what_only_resembles_a_key_is_not_found() -> None:
    found = lines_of_keys(TEXT)

    assert not [path for path in found if "fake" in path or path[-1] == "key"]
