"""What a statement, or a transaction, has seen of the stored documents.

Inside a transaction the first reading of a document counts until its end (repeatable reads), and its ETag is what the
write at COMMIT is conditional on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django_smarterbase.tables import Value


class Known(NamedTuple):
    """A stored document as it was read, in the order of its schema's columns."""

    etag: str
    values: tuple[Value, ...]
    extras: Mapping[str, Any]


@dataclass
class TableSnapshot:
    """One table. ``known`` is ``{stem: Known}``, None for a stem that had no document; ``present`` are the stems that
    stand in the scratch table (or were changed there); ``complete`` says that every document is known, ``met`` that a
    scan has met one.
    """

    known: dict[str, Known | None] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    complete: bool = False
    met: bool = False
    overlaid: bool = False


@dataclass
class Snapshot:
    """All tables. ``allocated`` are the values that the sequences gave to this statement or transaction."""

    tables: dict[str, TableSnapshot] = field(default_factory=dict)
    allocated: dict[str, list[range]] = field(default_factory=dict)

    def table(self, name: str) -> TableSnapshot:
        """The part of one table."""
        if name not in self.tables:
            self.tables[name] = TableSnapshot()
        return self.tables[name]

    def was_allocated(self, table: str, value: Value) -> bool:
        """Whether a sequence gave out ``value`` for ``table`` here."""
        return isinstance(value, int) and any(value in values for values in self.allocated.get(table, ()))

    def workspace_emptied(self) -> None:
        """Note that the scratch tables hold no rows any more."""
        for table in self.tables.values():
            table.present.clear()
            table.overlaid = False
