"""Results that outlive the command: one file of events for each app, column, version of Django and state of the code.

A run that was interrupted goes on where it stopped, and a run after a change of the code begins anew: what a result
depends on is part of the name of its folder. Results of stock SQLite do not depend on the engine, and outlive its
changes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import django

from tests.conformance.outcomes import AppRun, read_run
from tests.conformance.runs import Column, Plan
from tests.conformance.source import ROOT

_HARNESS = ("runner", "commit_setup", "census", "runs", "settings_sqlite")
_ENGINE = ("aliases", "haste", "outages", "settings_engine")
_SHOWN = 12  # hexadecimal digits of a state


@cache
def harness_state() -> str:
    """A digest of what every result depends on: the modules that take part in each run, and the installed packages."""
    return _digest([*_modules(_HARNESS), ROOT / "requirements" / "dev.txt"])


@cache
def engine_state() -> str:
    """A digest of the code of the engine, and of the modules that take part in its runs only."""
    sources = (path for pattern in ("*.py", "*.lua") for path in (ROOT / "django_smarterbase").rglob(pattern))
    return _digest([*sources, *_modules(_ENGINE)])


def _modules(names: Iterable[str]) -> Iterator[Path]:
    return (Path(__file__).with_name(f"{name}.py") for name in names)


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:_SHOWN]


@dataclass(frozen=True)
class Kept:
    """The kept results of runs as ``plan`` says, below ``folder``."""

    folder: Path
    plan: Plan

    def find(self, app: str, column: Column) -> AppRun | None:
        """The result of this app in this column, if there is one for the present code."""
        path = self._path(app, column)
        return read_run(app, path) if path.is_file() else None

    def latest(self, app: str, column: Column) -> AppRun | None:
        """As ``find``, or else the newest result of an earlier state of the code."""
        found = self.find(app, column)
        if found is not None or (newest := self._newest(app, column)) is None:
            return found
        return replace(read_run(app, newest), earlier=True)

    def keep(self, column: Column, run: AppRun, events: Path) -> None:
        """Keep a run that reached its end, of which ``events`` tells."""
        path = self._path(run.app, column)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"kind": "run", "seconds": round(run.seconds, 1), "outages": run.outages}
        # Renamed into its place: an interruption leaves no half of a result behind.
        draft = path.with_suffix(".draft")
        draft.write_text(events.read_text(encoding="utf-8") + json.dumps(told) + "\n", encoding="utf-8")
        draft.rename(path)

    def forget(self, app: str, column: Column) -> None:
        """Remove the result of the present code, if there is one."""
        self._path(app, column).unlink(missing_ok=True)

    def seconds(self, app: str, column: Column) -> float | None:
        """How long this app took in this column the last time, whatever the code was then."""
        newest = self._newest(app, column)
        return None if newest is None else read_run(app, newest).seconds

    def _newest(self, app: str, column: Column) -> Path | None:
        found = self._place(column).glob(f"*/{app}.jsonl")
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def _place(self, column: Column) -> Path:
        python = ".".join(map(str, sys.version_info[:3]))
        place = self.folder / f"django-{django.__version__}-python-{python}"
        if not column.engine:
            return place / column.name.lower()
        return place / f"{column.name.lower()}-{self.plan.storage}{'' if self.plan.reload else '-no-reload'}"

    def _path(self, app: str, column: Column) -> Path:
        state = f"{harness_state()}-{engine_state()}" if column.engine else harness_state()
        return self._place(column) / state / f"{app}.jsonl"
