"""Loads pages of ordered indexes: what they name, what is in doubt, and what stands in for rows that do not count.

SQLite must see every row that could stand in the page. The index knows the committed documents of now. A row of it does
not count when the transaction has changed it or has read it in another state, or when a join drops it: for each of
these, one more is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django_smarterbase.backend.workspace import quote
from django_smarterbase.indexes.keys import etag_text
from django_smarterbase.indexes.service import Page
from django_smarterbase.planner.plan import InnerJoin, OrderedLookup
from django_smarterbase.tables import TableSchema, Walk

if TYPE_CHECKING:
    from django_smarterbase.backend.loader import Loader

_ROUNDS: Final = 4  # in which rows that do not count turn up


@dataclass
class OrderedLoading:
    """Follows one OrderedLookup for a loader. ``left_out`` is by how much the statement's OFFSET is too large then.

    ``offset`` is that of the SQL that is going to run, in which it can be lessened; 0 when it cannot.
    """

    loader: Loader
    schema: TableSchema
    path: OrderedLookup
    offset: int
    left_out: int = 0
    spare: int = 0
    complete: bool = False

    def load(self, follow: Callable[[], None]) -> bool:
        """Load the pages, and by ``follow`` what is joined to them. False when the other path must be taken."""
        for _ in range(_ROUNDS):
            self.complete = True
            if not all(self._load_walk(walk) for walk in self.path.walks):
                return False
            follow()
            dropped = sum(map(self._dropped, self.path.joins))
            if self.complete or dropped <= self.spare:
                return True
            self.spare = dropped
        return False

    def _load_walk(self, walk: Walk) -> bool:
        ghosts = 0
        for _ in range(_ROUNDS):
            page = self._ask(replace(walk, stop=walk.stop + self.spare + ghosts))
            if page is None:
                return False
            self.loader.fetch(self.schema, (*page.etags, *page.in_doubt))
            found = self._ghosts(page)
            if walk.alike is not None and found:
                return False  # others of its group must stand in for it
            if page.ended or found <= ghosts:
                self.left_out, self.complete = page.left_out, self.complete and page.ended
                return True
            ghosts = found
        return False

    def _ask(self, walk: Walk) -> Page | None:
        skip = self.path.skips and self.offset == walk.start > 0 and not self._has_seen_any()
        return self.loader.page(self.schema, walk, skip=skip)

    def _has_seen_any(self) -> bool:
        table = self.loader.snapshot.table(self.schema.table)
        return bool(table.known or table.present)

    def _ghosts(self, page: Page) -> int:
        """How many documents of a page SQLite has in another state than the index, or not at all."""
        known = self.loader.snapshot.table(self.schema.table).known
        changed = {pending.stem for pending in self.loader.workspace.pending(self.schema.table)}
        seen = ((stem, etag, known.get(stem)) for stem, etag in page.etags.items())
        return sum(stem in changed or row is None or etag_text(row.etag) != etag for stem, etag, row in seen)

    def _dropped(self, join: InnerJoin) -> int:
        """How many rows a join drops, since what they refer to is not there."""
        table, target = quote(join.table), quote(join.target)
        sql = (
            f"SELECT COUNT(*) FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM {target} AS o "
            f"WHERE o.{quote(join.target_column)} = t.{quote(join.column)})"
        )
        number: int = self.loader.workspace.sqlite.execute(sql).fetchone()[0]
        return number
