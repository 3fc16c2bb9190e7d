"""The tests that docs/GUARANTEES.md relies on exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions_in(path: str) -> set[str]:
    """The test functions of a file, those of classes too."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_guarantee_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "GUARANTEES.md").read_text()
    named = _TEST.findall(page)
    assert len(named) >= 40
    assert not [f"{path}::{name}" for path, name in named if name not in functions_in(path)]


def test_every_guarantee_has_a_test() -> None:
    page = (ROOT / "docs" / "GUARANTEES.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert rows
    assert not [row for row in rows if not _TEST.search(row)]
