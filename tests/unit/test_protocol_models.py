"""The model of moved unique values: it holds with all of its rules, and each of them is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "docs" / "protocol" / "moved_values_model.py"


def explore(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(MODEL), *arguments], capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_moved_values_have_one_document_whatever_dies_when() -> None:
    assert explore() == (0, "ok: 6,584 states\n")


@pytest.mark.parametrize("arguments", [("intent",), ("wait",), ("await",), ("intent", "--alive"), ("wait", "--alive")])
def test_moved_values_have_two_documents_when_a_rule_is_left_out(arguments: tuple[str, ...]) -> None:
    code, said = explore(*arguments)
    assert code == 1
    assert said.startswith("BROKEN: two documents have one value")
