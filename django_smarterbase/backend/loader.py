"""Executes a plan: finds the candidates of each access path, reads them, and puts them in the workspace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from django_smarterbase.backend.account import Account
from django_smarterbase.backend.admission import Admission
from django_smarterbase.backend.documents import Documents
from django_smarterbase.backend.index_rows import IndexRows
from django_smarterbase.backend.narrowing import Narrowing
from django_smarterbase.backend.ordered import OrderedLoading
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.resolving import resolved, terms_of_values
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Snapshot, TableSnapshot
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.hints import Access
from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted, Page, Reading
from django_smarterbase.planner.cost import best_order, chosen_scan
from django_smarterbase.planner.covering import MAX_ENTRIES
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    OrderedLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.storage.affinity import stored as value_as_stored
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexSubquery, TableSchema, Value, Walk

logger = logging.getLogger("django_smarterbase.storage")

Found = TypeVar("Found")
Answer = TypeVar("Answer")


class Loader:
    """Loads the workspace for one statement.

    ``access`` is the caller's wish (``hints``): "index" refuses scans, "scan" does not consult the index.
    ``repeatable`` says that what is read must be remembered, for later statements of a transaction. ``index_rows``
    tells of which tables rows are made of what the index knows. What the loading comes to is noted in ``account``.
    """

    def __init__(
        self,
        resources: Resources,
        workspace: Workspace,
        snapshot: Snapshot,
        schema_of: Callable[[str], TableSchema],
        access: Access = "any",
        *,
        repeatable: bool = True,
        account: Account | None = None,
    ) -> None:
        self.resources = resources
        self.workspace = workspace
        self.snapshot = snapshot
        self.schema_of = schema_of
        self.access = access
        self.account = Account() if account is None else account
        self.documents = Documents(resources, snapshot, self.account)
        self.index_rows: Mapping[str, IndexRows] = {}
        self.left_out = 0  # rows before those of a page, by which the statement's OFFSET is too large
        self.repeatable = repeatable
        self._untrusted: set[str] = set()

    def load(self, plan: QueryPlan, offset: int = 0) -> None:
        """Load the candidates of every step, in the plan's order or the better one of several; ``offset`` is the
        statement's if it can be less."""
        steps = plan.steps if self.access == "scan" else best_order(plan, self._size)
        self.account.steps = steps
        self.account.index_suffices = all(
            step.table in self.index_rows and not isinstance(step.path, (KeyLookup, OrderedLookup)) for step in steps
        )
        self._load_steps(steps, offset)

    def _load_steps(self, steps: Sequence[Step], offset: int = 0) -> None:
        self.left_out = 0
        for position, step in enumerate(steps):
            schema = self.schema_of(step.table)
            self.overlay(schema)
            if isinstance(step.path, OrderedLookup):
                self._load_pages(schema, step.path, offset, partial(self._load_steps, steps[position + 1 :]))
                return
            self._follow(schema, step.path)

    def _size(self, step: Step) -> int | None:
        if not isinstance(step.path, IndexLookup) or step.path.condition.has_subquery:
            return None
        reading = self.ask(self.schema_of(step.table), step.path.condition, members=False)
        return None if reading is None else reading.candidates

    def _load_pages(self, schema: TableSchema, path: OrderedLookup, offset: int, follow: Callable[[], None]) -> None:
        if not self.load_pages(schema, path, offset, follow):
            self._follow(schema, path.otherwise)
            self.mention_missing_index(schema)
            follow()

    def load_pages(
        self, schema: TableSchema, path: OrderedLookup, offset: int, follow: Callable[[], None] = lambda: None
    ) -> bool:
        """Load the pages of an ordered index, and by ``follow`` what is joined to them; False when they are not to be
        had. ``offset`` as in ``load``."""
        loading = OrderedLoading(self, schema, path, offset)
        if self.access == "scan" or self._table(schema).complete or not loading.load(follow):
            return False
        self.left_out = loading.left_out
        self.account.indexes += path.index_names
        return True

    def _follow(self, schema: TableSchema, path: AccessPath) -> None:
        if isinstance(path, KeyLookup):
            self.fetch(schema, self.stems_of(schema, path.pks))
        elif isinstance(path, IndexLookup):
            self.consult(schema, resolved(path.condition, self._select))
        elif isinstance(path, JoinLookup):
            values = self.workspace.column_values(path.source_table, path.source_column)
            narrowed_by = path.narrowed_by or IndexCondition()
            self._reach(schema, path.index, values, resolved(narrowed_by, self._select))
        elif isinstance(path, SubqueryLookup):
            self._reach(schema, path.subquery.index, self._select(path.subquery), IndexCondition())
        elif isinstance(path, Scan) and not self._bring_all(schema):
            self._scan_for(schema, path.narrowed_by or IndexCondition())

    def _bring_all(self, schema: TableSchema) -> bool:
        """Load every document of the table as the index knows it; False where it does not know enough, or may not be
        trusted. If the caller refuses scans, it may name them all only when none is read."""
        if schema.table not in self.index_rows or (self.access == "index" and not self.account.index_suffices):
            return False
        reading = self.ask(schema, IndexCondition(), told=self._told(schema))
        if reading is None:
            return False
        self.account.indexes.append(f"{schema.table}-all")
        self.account.listed.append(schema.table)
        self._bring(schema, reading.stems or (), reading)
        return True

    def _told(self, schema: TableSchema) -> Sequence[IndexDefinition] | None:
        """The indexes whose records are all that is asked for of the table's documents."""
        made = self.index_rows.get(schema.table)
        return None if made is None else made.indexes

    def _bring(self, schema: TableSchema, stems: Sequence[str], reading: Reading | None = None) -> None:
        """Load documents that ``reading`` has named: from the records of the index if these are all that is asked for,
        or else as they stand."""
        in_doubt, records = (reading.in_doubt, reading.records) if reading is not None else ((), None)
        made, present = self.index_rows.get(schema.table), self._table(schema).present
        certain = [stem for stem in stems if stem not in in_doubt and stem not in present]
        if made is not None and certain:
            loaded = self._asking(schema, partial(made.load, self.resources.indexes, self.workspace, certain, records))
            if loaded is not None:
                self.account.candidates += len(loaded)
                present.update(loaded)
            elif schema.table in self.account.listed:  # all of its documents are going to be read
                self.account.index_suffices = False
                self.refuse_scan(schema)
        self.fetch(schema, stems)

    def _select(self, subquery: IndexSubquery) -> list[Value]:
        return self.workspace.selected(qmark(subquery.sql), subquery.params)

    def _reach(
        self, schema: TableSchema, index: IndexDefinition | None, values: Sequence[Value], narrowed_by: IndexCondition
    ) -> None:
        """Load the documents that have one of ``values`` in the column of ``index``, or as their primary key."""
        if index is None:
            self._bring(schema, self.stems_of(schema, [(value,) for value in values if value is not None]))
        else:
            self.consult(schema, IndexCondition((terms_of_values(index, values), *narrowed_by.clauses)))

    def stems_of(self, schema: TableSchema, pks: Iterable[tuple[Value, ...]]) -> list[str]:
        affinities = [schema.by_name[name].affinity for name in schema.pk]
        stems = [stem_of([value_as_stored(*each) for each in zip(affinities, pk, strict=True)]) for pk in pks]
        return list(dict.fromkeys(stems)) if len(stems) > 1 else stems

    def consult(self, schema: TableSchema, condition: IndexCondition) -> None:
        """Load what the index names; or scan, when it may not be trusted or a scan is cheaper."""
        reading = self.named(schema, condition)
        if reading is not None:
            self._bring(schema, reading.stems or (), reading)
        else:
            self._scan_for(schema, condition)
            self.mention_missing_index(schema)

    def _may_ask(self, condition: IndexCondition) -> bool:
        return self.access != "scan" and sum(1 for _ in condition.leaves) <= MAX_ENTRIES

    def named(self, schema: TableSchema, condition: IndexCondition) -> Reading | None:
        """What the index names; None when it is not to be asked, may not be trusted, or a scan is cheaper."""
        reading = self._asked(schema, condition) if self._may_ask(condition) else None
        if reading is not None:
            self.account.indexes.extend(index.name for index in condition.indexes)
        return reading

    def _asked(self, schema: TableSchema, condition: IndexCondition) -> Reading | None:
        """What the index names; None when it may not be trusted, or when a scan costs less, as the account then tells.

        One round trip; two when there are more candidates than a scan takes requests, and they are still the cheaper.
        """
        choosable = self.access == "any" and schema.table not in self.index_rows
        requests = self.resources.scan_requests(schema) if choosable else None
        reading = self.ask(schema, condition, at_most=requests, told=self._told(schema))
        if reading is None or reading.stems is not None or requests is None:
            return reading
        chosen = chosen_scan(schema.table, reading.candidates, reading.documents, requests)
        if chosen is None:
            return self.ask(schema, condition)
        self.account.choices.append(chosen)
        return None

    def mention_missing_index(self, schema: TableSchema) -> None:
        """Warn that a table with documents has no index, if that is why it was scanned. An empty one gets it with its
        first document."""
        if self.account.fallback_reason is FallbackReason.NOT_BUILT and self.snapshot.table(schema.table).met:
            self.resources.mention_missing_index(schema)

    def ask(
        self,
        schema: TableSchema,
        condition: IndexCondition,
        *,
        members: bool = True,
        at_most: int | None = None,
        told: Sequence[IndexDefinition] | None = None,
    ) -> Reading | None:
        """What the index says; None when it may not be trusted, which the account then tells.

        A statement does not ask again for a table whose index it could not trust: Redis may be slow to fail.
        """
        read = partial(self.resources.indexes.read, schema, condition, members=members, at_most=at_most, told=told)
        return self._asking(schema, read)

    def page(self, schema: TableSchema, walk: Walk, *, skip: bool) -> Page | None:
        """A page of an ordered index; None when that may not be trusted, or finds no end."""
        indexes = self.resources.indexes
        grouped = walk.alike is not None
        ask = partial(indexes.groups, schema, walk) if grouped else partial(indexes.walk, schema, walk, skip=skip)
        page = self._asking(schema, ask)
        self.account.beyond = page is None and schema.table not in self._untrusted
        return page

    def _asking(self, schema: TableSchema, question: Callable[[], Answer]) -> Answer | None:
        if schema.table in self._untrusted:
            return None
        try:
            return question()
        except IndexUntrusted as untrusted:
            self._untrusted.add(schema.table)
            self.account.fallback_reason = untrusted.reason
            return None

    def has_pending(self, schema: TableSchema) -> bool:
        """Whether the transaction has changed documents of the table, of which no index knows."""
        return self.repeatable and self.workspace.has_pending(schema.table)

    def has_loaded(self, schema: TableSchema) -> bool:
        """Whether rows of the table stand in the workspace, left there by earlier statements of the transaction."""
        return bool(self.snapshot.table(schema.table).present)

    def _table(self, schema: TableSchema) -> TableSnapshot:
        return self.snapshot.table_as(self.resources.codec(schema))

    def overlay(self, schema: TableSchema) -> None:
        """Load the pending documents of the transaction, which stand in for the stored ones."""
        table = self._table(schema)
        if table.overlaid:
            return
        table.overlaid = True
        if not self.repeatable:
            return  # nothing is pending outside of a transaction
        rows = []
        for pending in self.workspace.pending(schema.table):
            if pending.stem not in table.present:
                table.present.add(pending.stem)
                if pending.body is not None:
                    rows.append(self.resources.decode(schema, pending.key, pending.body).values)
        self.workspace.insert(schema.table, rows)

    def learn(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Read the documents with these stems that are not known yet, without loading them."""
        self._learn(schema, self._table(schema), stems)

    def _learn(self, schema: TableSchema, table: TableSnapshot, stems: Iterable[str]) -> None:
        if not table.complete:
            self._read(schema, table, [stem for stem in stems if stem not in table.known])

    def relearn(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Read documents again that are not loaded; what was known of them counts no more."""
        self._read(schema, self._table(schema), list(stems))

    def learn_all(self, schema: TableSchema) -> None:
        """Read every document of the table that is not known yet, without loading them."""
        table = self._table(schema)
        if table.complete:
            return
        self.refuse_scan(schema)
        self.account.scanned.append(schema.table)
        read = self.documents.reader(schema)
        for stem, key, stored in self.documents.stored(schema):
            if stem not in table.known:
                try:
                    table.known[stem] = read(stem, key, stored)
                except CorruptDocument as error:
                    self.documents.pass_over(error)
        table.complete = True

    def fetch(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Load the documents with these stems that are not in the workspace yet."""
        table = self._table(schema)
        wanted = [stem for stem in stems if stem not in table.present]
        self.account.candidates += len(wanted)
        self._learn(schema, table, wanted)
        loaded = ((stem, table.known.get(stem)) for stem in wanted)
        self._admit(schema, table, [(stem, known.values) for stem, known in loaded if known is not None], skip=False)
        table.present.update(wanted)

    def _read(self, schema: TableSchema, table: TableSnapshot, stems: list[str]) -> None:
        keys = {self.resources.keys.document(schema.table, stem): stem for stem in stems}
        read = self.documents.reader(schema)
        for key, stored in self.resources.store.get_many(keys):
            stem = keys[key]
            table.known[stem] = None if stored is None else read(stem, key, stored)

    def scan(self, schema: TableSchema, *, strict: bool = False) -> None:
        """Load every document of the table; ``strict`` passes over none that its constraints do not admit."""
        self.learn_all(schema)
        self._load_known(schema, skip=not strict and self.documents.passes_over)

    def _load_known(self, schema: TableSchema, *, skip: bool) -> None:
        table = self._table(schema)
        wanted = [(stem, known.values) for stem, known in table.known.items() if known and stem not in table.present]
        self.account.candidates += len(wanted)
        self._load(schema, wanted, skip=skip)

    def take(self, schema: TableSchema, documents: Iterable[tuple[str, str, Stored]]) -> None:
        """Load documents that a scan has met, given as (stem, key, object), and remember them."""
        table, read, wanted = self._table(schema), self.documents.reader(schema), []
        for stem, key, stored in documents:
            try:
                known = table.known[stem] if stem in table.known else read(stem, key, stored)
            except CorruptDocument as error:
                self.documents.pass_over(error)
                continue
            table.known[stem] = known
            if known is not None and stem not in table.present:
                wanted.append((stem, known.values))
        self._load(schema, wanted, skip=self.documents.passes_over)

    def _load(self, schema: TableSchema, rows: Sequence[tuple[str, tuple[Value, ...]]], *, skip: bool) -> None:
        table = self._table(schema)
        skipped = self._admit(schema, table, rows, skip=skip)
        self.account.skipped += len(skipped)
        for stem in skipped:
            del table.known[stem]
        table.present.update(stem for stem, _values in rows if stem not in skipped)

    def _scan_for(self, schema: TableSchema, condition: IndexCondition) -> None:
        """Read every document of the table, and load those that an index of the condition would have named; in a
        transaction all, as later statements may need them."""
        table = self._table(schema)
        if table.complete or self.repeatable or not condition.clauses:
            self.scan(schema)
            return
        self.refuse_scan(schema)
        self.account.scanned.append(schema.table)
        narrowing, read = Narrowing(self.resources.codec(schema), condition), self.documents.reader(schema)
        for stem, key, stored in self.documents.stored(schema, narrowing.admits):
            try:
                if stem not in table.known:
                    table.known[stem] = read(stem, key, stored)
            except CorruptDocument as error:
                self.documents.pass_over(error)
        self._load_known(schema, skip=self.documents.passes_over)

    def _admit(
        self, schema: TableSchema, table: TableSnapshot, rows: Sequence[tuple[str, tuple[Value, ...]]], *, skip: bool
    ) -> set[str]:
        return Admission(self.resources, self.workspace, schema, table).admit(rows, skip=skip)

    def refuse_scan(self, schema: TableSchema) -> None:
        """Raise FullScanRefused if the caller wants an answer from the index or none."""
        if self.access == "index":
            raise self.account.refusal(schema.label)
