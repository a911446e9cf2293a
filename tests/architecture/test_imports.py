"""No two modules import each other, not even late, within a function (only types may cross); names are unique."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jobctl

ROOT = Path(jobctl.__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "jobctl").rglob("*.py")
}


def imported(node: ast.AST) -> Iterator[str]:
    """The modules that are imported below a node, except for type checkers alone."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in MODULES else node.module
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def test_no_two_modules_import_each_other() -> None:
    arrows = {
        (module, other)
        for module, path in MODULES.items()
        for other in imported(ast.parse(path.read_text(encoding="utf-8")))
        if other in MODULES
    }

    assert len(arrows) > len(MODULES)
    assert [(one, other) for one, other in sorted(arrows) if one < other and (other, one) in arrows] == []


def test_no_two_classes_of_the_package_share_a_name() -> None:
    names = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert [name for name, number in names.items() if number > 1] == []
