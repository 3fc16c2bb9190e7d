"""What a statement, or a transaction, has seen of the stored documents.

Inside a transaction the first reading of a document counts until its end (repeatable reads), and its ETag is what the
write at COMMIT is conditional on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.storage.history import History
from django_smarterbase.tables import Value


class Known(NamedTuple):
    """A stored document as it was read, in the order of its schema's columns."""

    etag: str
    values: tuple[Value, ...]
    extras: Mapping[str, Any]


@dataclass
class TableSnapshot:
    """One table. ``known`` is ``{stem: Known}``, its values as ``codec`` has them, or None where there was no document;
    ``present`` are the stems that stand in the scratch table (or were changed there); ``complete`` says that every
    document is known; ``met`` is how many documents scans have met. ``earlier`` is what was known by the codecs of
    earlier histories, the oldest first; ``gone`` what was known of documents that went with a table of this name.
    """

    known: dict[str, Known | None] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    complete: bool = False
    met: int = 0
    overlaid: bool = False
    codec: DocumentCodec | None = None
    earlier: list[tuple[DocumentCodec, dict[str, Known | None]]] = field(default_factory=list)
    gone: dict[str, tuple[DocumentCodec, Known]] = field(default_factory=dict)

    def forget(self, stems: Iterable[str]) -> None:
        """These documents are to be read again, and so is what a scan may not have met."""
        for stem in stems:
            self.known.pop(stem, None)
            self.complete = False

    def drop(self, stems: Iterable[str]) -> None:
        """The documents of the table, which are these, go with it: another of its name may have other columns."""
        for stem, known in self.known.items():
            if known is not None and self.codec is not None:
                self.gone.setdefault(stem, (self.codec, known))
        self.known = dict.fromkeys(stems)

    def stored(self, stem: str) -> tuple[DocumentCodec, Known] | None:
        """What was read of a document, and by which codec; None when nothing was, or there was none."""
        known = self.known.get(stem)
        return self.gone.get(stem) if known is None or self.codec is None else (self.codec, known)

    def read_with(self, codec: DocumentCodec) -> None:
        """Go on with ``codec``. A migration may have changed the table since: what is known is then brought up to date.

        Raises CorruptDocument for a document that the new table cannot have.
        """
        before, self.codec = self.codec, codec
        if before is None or (before.schema.columns == codec.schema.columns and before.history == codec.history):
            return
        if before.history != codec.history:
            self.earlier.append((before, self.known))
        self.known = {stem: _read_again(stem, known, before, codec) for stem, known in self.known.items()}

    def return_to(self, history: History) -> None:
        """A savepoint has taken steps of a migration back: go on from what was known before them, since they left
        nothing of a column that they took away or renamed. What was read since is to be read again."""
        while self.codec is not None and not self.codec.history.leads_to(history):
            (self.codec, known), known_since = self.earlier.pop() if self.earlier else (None, {}), self.known
            self.known, self.complete = known, self.complete and known.keys() == known_since.keys()


def _read_again(stem: str, known: Known | None, before: DocumentCodec, codec: DocumentCodec) -> Known | None:
    if known is None:
        return None
    document = codec.decode(stem, before.encode(known.values, known.extras))
    return Known(known.etag, document.values, document.extras)


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

    def table_as(self, codec: DocumentCodec) -> TableSnapshot:
        """The part of the table of ``codec``, with its values as the codec has them."""
        table = self.table(codec.schema.table)
        if table.codec is not codec:
            table.read_with(codec)
        return table

    def was_allocated(self, table: str, value: Value) -> bool:
        """Whether a sequence gave out ``value`` for ``table`` here."""
        return isinstance(value, int) and any(value in values for values in self.allocated.get(table, ()))

    def workspace_emptied(self) -> None:
        """Note that the scratch tables hold no rows any more."""
        for table in self.tables.values():
            table.present.clear()
            table.overlaid = False
