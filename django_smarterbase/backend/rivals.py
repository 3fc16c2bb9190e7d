"""Stored documents that a write may collide with, which SQLite has to see before it can judge the write.

A statement that writes is run over the rows that it reads. What it made is then looked up by primary key and by unique
columns; when stored documents turn up that are not in the workspace, the statement is undone, they are loaded, and it
is run again: SQLite itself raises the IntegrityError, or follows the ON CONFLICT clause. Of an INSERT whose rows may
change one another it is looked up before what they are going to be (``backend.proposals``).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from django_smarterbase.backend.claims import claim_key, claim_rule, holders_of
from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.proposals import Proposal
from django_smarterbase.backend.snapshot import Known
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.indexes.service import IndexUntrusted
from django_smarterbase.storage.codec import transaction_of
from django_smarterbase.tables import IndexCondition, IndexEntry, Kind, Row, TableSchema, UniqueRule


class _Taker(Protocol):
    """A row to be, and the claims that it takes."""

    @property
    def row(self) -> Row | None: ...

    @property
    def takes(self) -> tuple[str, ...]: ...


class Rivals:
    """Finds the rivals of a statement's writes.

    ``every_key`` looks up the primary key of every new row; otherwise only those that a caller may have chosen twice
    (not a sequence's, not UUIDs), and with ``keys`` off none: then the conditional write finds out. ``decided`` waits
    for transactions, given by their ids: a rival that may yet be taken back is no reason to refuse a write. It returns
    those of which it was not known before a moment (``time.monotonic``).
    """

    def __init__(
        self, loader: Loader, decided: Callable[[Iterable[str], float], set[str]], *, keys: bool, every_key: bool
    ) -> None:
        self.loader = loader
        self.snapshot = loader.snapshot
        self.decided = decided
        self.keys = keys
        self.every_key = every_key
        self._met: set[tuple[str, str]] = set()  # (table, stem) of documents that were read here
        self._asked: set[tuple[str, str]] = set()  # (table, claim) of values whose holders are known by now

    def of(self, writes: Iterable[DocumentWrite]) -> dict[str, list[str]]:
        """``{table: stems}`` of the stored documents that must be loaded. Raises ConflictError for one that is not what
        the statement, or its transaction, has read before."""
        by_table: dict[str, list[DocumentWrite]] = defaultdict(list)
        for write in writes:
            if write.schema is not None and write.row is not None:
                by_table[write.schema.table].append(write)
        found = {}
        for table, group in by_table.items():
            schema = group[0].schema
            if schema is not None and (stems := self._of_table(schema, group)):
                found[table] = stems
        return found

    def of_proposals(self, schema: TableSchema, proposals: Sequence[Proposal]) -> list[str]:
        """The stems of the stored documents that must be loaded for rows that are to be inserted. Raises ConflictError
        as ``of``."""
        began = time.monotonic()
        stems = [proposal.stem for proposal in proposals if proposal.stem is not None]
        self._learn(schema, stems)
        return self._unseen(schema, stems + self._holders(schema, proposals), began)

    def _of_table(self, schema: TableSchema, writes: list[DocumentWrite]) -> list[str]:
        began = time.monotonic()
        self._learn(schema, [write.stem for write in writes if self._must_look_up(schema, write)])
        return self._unseen(schema, [write.stem for write in writes] + self._holders(schema, writes), began)

    def _unseen(self, schema: TableSchema, stems: Iterable[str], began: float) -> list[str]:
        """Those of the documents that exist and are not in the workspace, now that others' transactions have left
        them as they are to stay."""
        table = self.snapshot.table(schema.table)
        unseen = [stem for stem in dict.fromkeys(stems) if stem not in table.present and table.known.get(stem)]
        self._await_decision(schema, unseen, began)
        return [stem for stem in unseen if table.known.get(stem)]

    def _learn(self, schema: TableSchema, stems: list[str]) -> None:
        known = self.snapshot.table(schema.table).known
        self._met.update((schema.table, stem) for stem in stems if stem not in known)
        self.loader.learn(schema, stems)

    def _await_decision(self, schema: TableSchema, stems: Iterable[str], began: float) -> None:
        """Read the documents again that a transaction of several has made, once it is decided."""
        before = {stem: known for stem in stems if (known := self._known(schema, stem))}
        made_by = {stem: id for stem, known in before.items() if (id := transaction_of(known.extras)) is not None}
        news = self.decided(made_by.values(), began) if made_by else set()
        doubtful = [stem for stem, id in made_by.items() if id in news]
        self.loader.relearn(schema, doubtful)
        for stem in doubtful:
            now = self._known(schema, stem)
            changed = now is None or now.etag != before[stem].etag
            if changed and (schema.table, stem) not in self._met:
                raise ConflictError(
                    f"{schema.label}: {stem!r} was read as a transaction had left it that was not decided yet, and "
                    "was changed since. Run the statement or transaction again."
                )

    def _known(self, schema: TableSchema, stem: str) -> Known | None:
        return self.snapshot.table(schema.table).known.get(stem)

    def _must_look_up(self, schema: TableSchema, write: DocumentWrite) -> bool:
        if not self.keys or write.base_etag is not None or write.row is None:
            return False
        if write.stem in self.snapshot.table(schema.table).present:
            return False
        columns = [schema.by_name[name] for name in schema.pk]
        if self.snapshot.was_allocated(schema.table, write.row[columns[0].name]):
            return False
        return self.every_key or any(column.kind is not Kind.UUID for column in columns)

    def _holders(self, schema: TableSchema, takers: Iterable[_Taker]) -> list[str]:
        """The stems of documents that may hold a unique value which a row takes: by the index, or else by claim. A
        value is asked for once."""
        by_rule: dict[str, dict[str, Row]] = defaultdict(dict)
        for taker in takers:
            for claim in taker.takes:
                if taker.row is not None and (schema.table, claim) not in self._asked:
                    by_rule[claim_rule(claim)][claim] = taker.row
        stems: list[str] = []
        for rule in schema.unique:
            if taking := by_rule.get(rule.name):
                by_index = self._by_index(schema, rule, taking.values())
                stems += self._by_claim(schema, taking) if by_index is None else by_index
                self._asked.update((schema.table, claim) for claim in taking)
        return stems

    def _by_index(self, schema: TableSchema, rule: UniqueRule, rows: Iterable[Row]) -> list[str] | None:
        index = next((index for index in schema.indexes if rule.columns and index.columns == rule.columns), None)
        if index is None:
            return None
        entries = tuple(IndexEntry(index, tuple(row[column] for column in rule.columns)) for row in rows)
        try:
            reading = self.loader.resources.indexes.read(schema, IndexCondition((entries,)))
        except IndexUntrusted as untrusted:
            self.loader.account.fallback_reason = untrusted.reason
            return None
        stems = list(reading.stems or ())
        self._learn(schema, stems)
        return stems

    def _by_claim(self, schema: TableSchema, claims: Iterable[str]) -> list[str]:
        resources = self.loader.resources
        keys = [claim_key(resources, schema.table, claim) for claim in claims]
        found = ((key, stored) for key, stored in resources.store.get_many(keys) if stored is not None)
        stems = [stem for key, stored in found for stem in holders_of(key, stored)]
        self._learn(schema, stems)
        return stems
