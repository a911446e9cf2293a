"""Names, categories and tags as the site itself reads them out of its content, YAML 1.2 included."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobctl.settings.core_yaml import parse, text_of
from jobctl.site.content.items import Item, read_items
from tests.support.npm import fetch

PACKAGE = "2.8.3"
VECTORS: list[tuple[str, Any]] = [
    ("Yes", "Yes"), ("on", "on"), ("N", "N"), ("TRUE", True), ("tRUE", "tRUE"), ("False", False),
    ("12:30", "12:30"), ("190:20:30", "190:20:30"), ("2026-01-05", "2026-01-05"), ("1_000", "1_000"),
    ("2026-01-05 10:00:00", "2026-01-05 10:00:00"), ("017", 17), ("0o17", 15), ("0b11", "0b11"), ("0xfff", 4095),
    ("0xffffffffffffffff", 18446744073709551616.0), ("9007199254740993", 9007199254740992), ("1e3", 1000), ("5.", 5),
    (".5", 0.5), ("+1", 1), ("12e03", 12000), (".inf", float("inf")), ("1e400", float("inf")), ("~", None), ("", None),
    ("Null", None), ("nULL", "nULL"), ("=", "="), ("'12'", "12"), ("!!str 12", "12"), ("!color red", "red"),
    ("a\x85b\x9fc", "a\x85b\x9fc"), ("a\u2028b", "a\u2028b"), ("a\x00\x7fb", "a\x00\x7fb"), ("a\rb", "a\rb"),
    ('"\\N\\x41"', "\x85A"), ("&x [1, 1.50, a]", [1, 1.5, "a"]), ("{a: 1, 2: b, true: c}", {"a": 1, "2": "b", "true": "c"}),
    ("{<<: {a: 1}}", {"<<": {"a": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VECTORS)
def test_values_are_those_of_npms_yaml(text: str, value: Any) -> None:
    found = parse(f"key: {text}")["key"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a: [", "a: *missing", "--- 1\n--- 2", "a: b: c", "\ta: 1", "[" * 9000]
)
def test_what_it_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"YAML|twice"):
        parse(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (12.50, "12.5"), (1e21, "1e+21"), (1e20, "1" + "0" * 20), (1e-7, "1e-7"),
     (1.5e-9, "1.5e-9"), (1e-6, "0.000001"), (-0.0, "0"), (float("nan"), "NaN"), (float("-inf"), "-Infinity"),
     (18446744073709551616.0, "18446744073709552000"), (-2.5, "-2.5"), (7, "7"), (100, "100"), ("x", "x")],
)  # fmt: skip
def test_values_are_written_as_javascript_does(value: Any, text: str) -> None:
    assert text_of(value) == text


DIFFER = """
import yaml from 'yaml';
import { createInterface } from 'node:readline';
const plain = (v) => v === undefined || v === null ? null : typeof v === 'number' ? { n: String(v) }
  : Array.isArray(v) ? v.map(plain)
  : typeof v === 'object' ? Object.fromEntries(Object.keys(v).map((k) => ['k' + k, plain(v[k])])) : v;
for await (const line of createInterface({ input: process.stdin })) {
  let found;
  try { found = { value: plain(yaml.parse(JSON.parse(line), { logLevel: 'error' })) } } catch { found = null }
  console.log(JSON.stringify(found));
}
"""


@pytest.mark.request
def test_values_differ_from_npms_yaml_nowhere(tmp_path: Path) -> None:
    """A fuzz of scalars, and of small documents that both can read."""
    fetch(tmp_path, {"yaml": PACKAGE})
    (tmp_path / "differ.js").write_text(DIFFER)
    chance = random.Random(5)
    letters = [*"0123456789.eE+-xoafINn_:", "true", "null", "~", "\x85", "é"]
    texts = [f"key: {text}" for text, _ in VECTORS]
    texts += [f"a: {''.join(chance.choices(letters, k=chance.randint(1, 7)))}" for _ in range(20_000)]
    texts += [
        "".join(chance.choices([*letters, *" \n,'\"#", "- ", "a: ", "\n  ", ": "], k=chance.randint(1, 12)))
        for _ in range(20_000)
    ]

    done = subprocess.run(
        ["node", "differ.js"], cwd=tmp_path, check=True, capture_output=True, text=True, encoding="utf-8", timeout=100,
        input="".join(f"{json.dumps(text)}\n" for text in texts),
    )  # fmt: skip

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            return {f"k{key}": plain(one) for key, one in value.items()}
        return (
            {"n": text_of(value)} if isinstance(value, int | float) and not isinstance(value, bool) else value
        )

    differ = []
    for text, line in zip(texts, done.stdout.rstrip("\n").split("\n"), strict=True):
        theirs = json.loads(line)
        try:
            ours = {"value": plain(parse(text))}
        except ValueError:
            continue
        if theirs is not None and ours != theirs:
            differ.append((text, ours, theirs))
    assert differ == []


# Items


def put(folder: Path, path: str, text: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_categories_and_tags_have_the_names_of_their_lists(tmp_path: Path) -> None:
    put(tmp_path, "categories.yml", "- id: dev-tools\n  name: Developer Tools\n- {id: 7, name: Seven}\n- x\n")
    put(tmp_path, "tags.yml", "- id: open-source\n  name: Open Source\n")
    categories = {
        "by-id": "dev-tools",
        "by-name": "Dev & Tools!",
        "listed": "[dev-tools, other]",
        "as-object": "{id: dev-tools, name: Mine}",
        "own-object": "{id: own, name: Mine}",
        "unknown": "Some Thing",
        "number": "7",
    }
    for slug, category in categories.items():
        put(
            tmp_path,
            f"data/{slug}/{slug}.yml",
            f"name: N\ncategory: {category}\ntags: [open-source, New One]\n",
        )

    found = read_items(tmp_path, categories)

    assert {slug: one.category for slug, one in found.items()} == {
        "by-id": "Developer Tools",
        "by-name": "Developer Tools",
        "listed": "Developer Tools",
        "as-object": "Developer Tools",
        "own-object": "Mine",
        "unknown": "Some Thing",
        "number": "Seven",
    }
    assert {one.tags for one in found.values()} == {("Open Source", "New One")}


def test_lists_may_be_in_folders_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "categories/categories.yml", "- {id: a, name: In the folder}\n")
    put(tmp_path, "categories.yml", "- {id: a, name: Beside it}\n")
    put(tmp_path, "data/x/x.yml", "name: X\ncategory: a\n")

    assert read_items(tmp_path, ["x"])["x"] == Item("x", "X", "In the folder")


@pytest.mark.parametrize(
    ("files", "name"),
    [(["index.yml"], "index.yml"), (["index.yaml"], "index.yaml"), (["tool.fr.yml", "zz.yaml"], "zz.yaml"),
     (["tool.fr.yml", "tool.de.yml"], "tool.de.yml"), (["a.yml", "tool.yml"], "tool.yml"), (["notes.md"], "tool")],
)  # fmt: skip
def test_which_file_of_an_item_counts(files: list[str], name: str, tmp_path: Path) -> None:
    for file in files:
        put(tmp_path, f"data/tool/{file}", f"name: {file}\n")

    assert read_items(tmp_path, ["tool"])["tool"].name == name


def test_what_cannot_be_read_keeps_its_id(tmp_path: Path) -> None:
    put(tmp_path, "data/list/list.yml", "- a\n")
    put(tmp_path, "data/broken/broken.yml", "name: [\n")
    put(tmp_path, "data/large/large.yml", f"name: Large\ntext: {'x' * 300_000}\n")
    put(tmp_path.parent, "secret.yml", "name: Secret\n")
    (tmp_path / "data" / "out").mkdir()
    (tmp_path / "data" / "out" / "out.yml").symlink_to(tmp_path.parent / "secret.yml")
    put(tmp_path, "data/flag/flag.yml", "name: true\ncategory: {}\ntags: 5\n")
    slugs = ["list", "broken", "large", "out", "flag", "nowhere", "../data/list", ""]

    found = read_items(tmp_path, slugs)

    assert set(found.values()) == {Item(slug, slug, "Uncategorized") for slug in slugs}


def test_a_name_of_digits_is_shown_as_the_site_shows_it(tmp_path: Path) -> None:
    put(tmp_path, "data/x/x.yml", "name: 20.50\n")

    assert read_items(tmp_path, ["x"])["x"].name == "20.5"
