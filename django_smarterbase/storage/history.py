"""What migrations did to a table: the steps by which a document of an older version is read as one of today.

The object ``_sb/schema/<table>.json`` holds ``{"version": n, "steps": [...]}``. A document carries in ``_v`` the
version it was written with, and the later steps are applied when it is read. No migration rewrites a document.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from django_smarterbase.storage.values import untag
from django_smarterbase.tables import Affinity, Kind

_VERSIONS = range(2**62)  # each step adds one, so that more are no version


class Change(enum.StrEnum):
    """What one step of a migration does to a table's documents."""

    ADD = "add"  # documents without the column read ``value``
    RENAME = "rename"  # ``column`` is called ``to`` from now on
    REMOVE = "remove"  # the attribute is dropped at the next write
    RETYPE = "retype"  # older values are read as ``kind`` and ``affinity``; null reads as ``value``


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``version`` is the first version whose documents do not need it; ``value`` is a tagged value.

    ``kind``, ``affinity`` and ``nullable`` are what a retyped column was, ``new_kind`` and so on what it is since; of
    an added column there are only the latter. By them a process tells whether its models are from before the step.
    """

    version: int
    change: Change
    column: str
    to: str | None = None
    value: Any = None  # tagged
    kind: str | None = None
    affinity: str | None = None
    nullable: bool | None = None
    new_kind: str | None = None
    new_affinity: str | None = None
    new_nullable: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """The step as it stands in the schema object, without what it does not use."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class History:
    """The steps of a table in the order in which they were made. Version 1 has none."""

    version: int = 1
    steps: tuple[Step, ...] = ()

    def after(self, version: int) -> tuple[Step, ...]:
        """The steps that a document of ``version`` still needs."""
        return tuple(step for step in self.steps if step.version > version)

    def until(self, version: int) -> tuple[Step, ...]:
        """The steps that a document of ``version`` has behind it."""
        return tuple(step for step in self.steps if step.version <= version)

    def between(self, older: int, newer: int) -> tuple[Step, ...]:
        """The steps that lead from one version to another."""
        return tuple(step for step in self.steps if older < step.version <= newer)

    def leads_to(self, later: History) -> bool:
        """Whether ``later`` is this history and perhaps more steps."""
        return later.steps[: len(self.steps)] == self.steps

    def with_step(self, change: Change, column: str, **details: Any) -> History:
        """This history and one more step, in a version of its own."""
        step = Step(self.version + 1, change, column, **details)
        return History(step.version, (*self.steps, step))

    def dump(self) -> bytes:
        """The body of the schema object."""
        body = {"version": self.version, "steps": [step.as_json() for step in self.steps]}
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)

    @classmethod
    def load(cls, body: bytes) -> History:
        """Read the body of a schema object. Raises ValueError, KeyError or TypeError when it is none."""
        raw = orjson.loads(body)
        if type(raw["steps"]) is not list:
            raise ValueError("steps that are no list")
        history = cls(raw["version"], tuple(_step(step) for step in raw["steps"]))
        versions = [1, *(step.version for step in history.steps), history.version]
        if any(type(version) is not int for version in versions) or versions[-1] not in _VERSIONS:
            raise ValueError("a version that is no whole number")
        if versions != sorted(versions) or 1 in versions[1:-1]:
            raise ValueError("versions that do not rise")
        return history


def _step(raw: dict[str, Any]) -> Step:
    step = Step(**{**raw, "change": Change(raw["change"])})
    renames, retypes = step.change is Change.RENAME, step.change is Change.RETYPE
    if not isinstance(step.column, str) or not (isinstance(step.to, str) if renames else step.to is None):
        raise ValueError(f"{step.change} of {step.column!r:.100} to {step.to!r:.100}")
    _check_type(step.kind, step.affinity, needed=retypes)
    _check_type(step.new_kind, step.new_affinity)
    if any(type(nullable) not in (bool, type(None)) for nullable in (step.nullable, step.new_nullable)):
        raise ValueError(f"{step.change} of {step.column!r:.100} that is nullable or not")
    if step.value is not None:
        untag(step.value)
    return step


def _check_type(kind: str | None, affinity: str | None, *, needed: bool = False) -> None:
    if needed or kind is not None:
        Kind(kind or "")
    if needed or affinity is not None:
        Affinity(affinity or "")
