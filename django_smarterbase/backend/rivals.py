"""Stored documents that a write may collide with, which SQLite has to see before it can judge the write.

A statement that writes is run over the rows that it reads. What it made is then looked up by primary key and by unique
columns; when stored documents turn up that are not in the workspace, the statement is undone, they are loaded, and it
is run again: SQLite itself raises the IntegrityError, or follows the ON CONFLICT clause.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from django_smarterbase.backend.claims import claim_key, claim_rule, holders_of
from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.snapshot import Known
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.indexes.service import IndexUntrusted
from django_smarterbase.storage.codec import transaction_of
from django_smarterbase.tables import IndexCondition, IndexEntry, Kind, TableSchema, UniqueRule


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

    def _of_table(self, schema: TableSchema, writes: list[DocumentWrite]) -> list[str]:
        table, began = self.snapshot.table(schema.table), time.monotonic()
        self._learn(schema, [write.stem for write in writes if self._must_look_up(schema, write)])
        stems = [write.stem for write in writes] + self._holders(schema, writes)
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

    def _holders(self, schema: TableSchema, writes: list[DocumentWrite]) -> list[str]:
        """The stems of documents that may hold a unique value which a write takes: by the index, or else by claim."""
        stems: list[str] = []
        for rule in schema.unique:
            taking = [write for write in writes if any(claim_rule(claim) == rule.name for claim in write.takes)]
            if taking:
                by_index = self._by_index(schema, rule, taking)
                stems += self._by_claim(schema, rule, taking) if by_index is None else by_index
        return stems

    def _by_index(self, schema: TableSchema, rule: UniqueRule, writes: list[DocumentWrite]) -> list[str] | None:
        index = next((index for index in schema.indexes if rule.columns and index.columns == rule.columns), None)
        if index is None:
            return None
        rows = [write.row for write in writes if write.row is not None]
        entries = tuple(IndexEntry(index, tuple(row[column] for column in rule.columns)) for row in rows)
        try:
            reading = self.loader.resources.indexes.read(schema, IndexCondition((entries,)))
        except IndexUntrusted as untrusted:
            self.loader.account.fallback_reason = untrusted.reason
            return None
        stems = list(reading.stems or ())
        self._learn(schema, stems)
        return stems

    def _by_claim(self, schema: TableSchema, rule: UniqueRule, writes: list[DocumentWrite]) -> list[str]:
        resources = self.loader.resources
        claims = [claim for write in writes for claim in write.takes if claim_rule(claim) == rule.name]
        keys = [claim_key(resources, schema.table, claim) for claim in claims]
        found = ((key, stored) for key, stored in resources.store.get_many(keys) if stored is not None)
        stems = [stem for key, stored in found for stem in holders_of(key, stored)]
        self._learn(schema, stems)
        return stems
