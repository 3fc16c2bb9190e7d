"""The Makefile, as a developer meets it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)", re.MULTILINE)
COMMAND = re.compile(r"(?:[A-Z0-9]+=\S+ )*make ([a-z][a-z-]*)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run make and return what it said."""
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def targets() -> set[str]:
    """The targets that the Makefile defines."""
    return set(TARGET.findall((ROOT / "Makefile").read_text()))


def listed() -> set[str]:
    """The targets that ``make help`` lists."""
    return set(MAKE.findall(make("help").stdout))


def test_help_lists_every_target() -> None:
    assert listed() == targets() >= {"setup", "demo", "run", "test", "lint", "bench", "conformance"}


def test_help_is_what_make_does_without_a_target() -> None:
    assert make().stdout == make("help").stdout


def code_of(markdown: str) -> Iterator[str]:
    """The code in a Markdown text: indented and fenced lines, and spans between backticks."""
    fenced = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip().removeprefix("$ ")
        else:
            yield from re.findall(r"`([^`]+)`", line)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_in_the_documents_exists(name: str) -> None:
    commands = [found for code in code_of((ROOT / name).read_text()) if (found := COMMAND.match(code))]
    assert commands
    assert {command[1] for command in commands} <= targets()


def test_ci_runs_lint_all_tests_and_conformance_in_that_order() -> None:
    steps = re.findall(r"^step make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert steps == ["setup", "lint", "test", "toolbars", "conformance"]


def test_setup_says_what_is_needed_when_python_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.10.1\nexit 1\n')
    old.chmod(0o755)
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").touch()
    done = make("setup", f"PYTHON={old}", cwd=tmp_path)
    assert done.returncode != 0
    assert "is Python 3.10.1: Python 3.11 or newer is needed" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_lock_pins_versions_and_names_no_index() -> None:
    lines = [line for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[^ @/]+", line) for line in lines)
