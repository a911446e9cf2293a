"""The same values as Next.js, from the same files: vectors that the real ``@next/env`` made."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobctl.settings.environment import Environment

MADE = json.loads((Path(__file__).parent / "next_env_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", MADE["vectors"], ids=lambda one: json.dumps(one["files"])[:60])
def test_the_same_values_as_next_js(vector: dict[str, Any], tmp_path: Path) -> None:
    for name, text in vector["files"].items():
        (tmp_path / name).write_bytes(text.encode())

    found = Environment.load(tmp_path, {**MADE["process"], "NODE_ENV": vector["mode"]}).merged()

    assert found == vector["expected"]


def test_the_vectors_are_many() -> None:
    assert len(MADE["vectors"]) >= 130
