"""Runs a statement by its course, where it has one; otherwise over all of its candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_smarterbase.backend.courses import Course, InOrder, RowByRow, Sifted, may_have_course
from django_smarterbase.backend.enough import load_enough
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.pieces import Pieces
from django_smarterbase.backend.programs import program_of
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.sieve import Sieve
from django_smarterbase.backend.sifting import HELD, Sifter
from django_smarterbase.backend.spool import Spool
from django_smarterbase.backend.streams import CreateSql, Row, RowStream
from django_smarterbase.planner.plan import OrderedLookup, Scan
from django_smarterbase.storage.keys import stem as stem_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from django_smarterbase.backend.base import DatabaseWrapper
    from django_smarterbase.backend.pieces import Piece
    from django_smarterbase.backend.requests import Execution, Request


def load_or_answer(
    wrapper: DatabaseWrapper, loader: Loader, request: Request, execution: Execution, *, in_pieces: bool
) -> bool:
    """Load what the SQL is to be run over, and say False; or put the rows in ``execution`` as its course has it, if it
    may be run ``in_pieces``.

    In a transaction, which remembers what it reads, no course is taken; only, no more is read than the statement takes.
    Nor is one taken where the index may know all that is asked, unless that is any few rows.
    """
    if in_pieces and may_have_course(request.plan, lazy=request.lazy):
        step = request.plan.steps[0]
        schema = loader.schema_of(step.table)
        path = step.path if isinstance(step.path, OrderedLookup) else None
        if path is not None and loader.load_pages(schema, path, execution.offset):
            return False
        course = None if path is not None and loader.has_loaded(schema) else request.course
        if course is not None and not _is_better_of_index(course, loader):
            create_sql = wrapper.catalog.maker(loader.schema_of(step.table))
            return CourseRun(course, loader, request, execution, create_sql).answer()
    if not (loader.repeatable and load_enough(loader, request)):
        loader.load(request.plan, execution.offset)
    return False


def _is_better_of_index(course: Course, loader: Loader) -> bool:
    """Whether rows are rather made of what the index knows. It names all of a table, so any few rows are read faster;
    who refuses scans gets them of the index nevertheless."""
    if course.step.table not in loader.index_rows:
        return False
    few = isinstance(course, Sifted) and course.enough is not None and course.keys is None
    return not (few and loader.access != "index")


class CourseRun:
    """One statement in autocommit, whose scratch table is empty and is emptied afterwards."""

    def __init__(
        self, course: Course, loader: Loader, request: Request, execution: Execution, create_sql: CreateSql
    ) -> None:
        self.course = course
        self.loader = loader
        self.request = request
        self.execution = execution
        self._create_sql = create_sql
        self._schema = loader.schema_of(course.step.table)
        self._pieces = Pieces(loader, self._schema)
        self._sieve = Sieve(loader, self._schema, course.where)

    def answer(self) -> bool:
        """Put the rows in ``execution``; or load what the SQL is then to be run over, and say False.

        Raises what loading raises, and ConflictError for rows that contradict each other.
        """
        course = self.course
        if isinstance(course, RowByRow):
            return self._row_by_row(course)
        if isinstance(course, InOrder):
            return self._in_order(course)
        self._sift(course)
        return False

    def _row_by_row(self, course: RowByRow) -> bool:
        if not course.counts and self._aggregates():
            self.loader.load(self.request.plan)
            return False
        self._give_rows(self._sieved(once=True), counts=course.counts)
        return True

    def _in_order(self, course: InOrder) -> bool:
        if self._aggregates():
            self.loader.load(self.request.plan)
            return False
        if isinstance(course.step.path, Scan) and self.loader.resources.store.is_packed(self._schema.table):
            return self._in_order_of_packed(course)
        stems = self._pieces.sorted_stems(descending=course.by_pk < 0) if course.by_pk else None
        if stems is not None:
            self._give_rows(self._sieve.through(self._pieces.read(stems)))
            return True
        stems = self._sorted_by_sqlite(course, self._sieved(once=False))
        if stems is not None:
            self._give_rows(self._pieces.read(stems))
        return stems is not None

    def _sieved(self, *, once: bool) -> Generator[Piece]:
        """The documents of the course that its WHERE may let pass. What an index names is read as it is: of that WHERE
        mostly lets all pass."""
        path = self.course.step.path
        pieces = self._pieces.of(path, once=once)
        return self._sieve.through(pieces) if isinstance(path, Scan) else pieces

    def _in_order_of_packed(self, course: InOrder) -> bool:
        """As ``_in_order``, but no document is read twice: the second time it would not come from its pack."""
        spool = Spool()
        try:
            stems = self._sorted_by_sqlite(course, spool.keeping(self._sieved(once=False)))
            if stems is not None:
                self._give_rows(self._pieces.again(stems, spool))
                return True
        except BaseException:
            spool.close()
            raise
        spool.close()
        return False

    def _sorted_by_sqlite(self, course: InOrder, pieces: Generator[Piece]) -> list[str] | None:
        """The stems of the rows in their order; None when these are few enough to stay, and are loaded."""
        sqlite, keys = self.loader.workspace.sqlite, course.keys
        needed = program_of(self.loader.workspace, keys.sql).columns.get(self._schema.table, frozenset())
        sifter = Sifter(self.loader, self._schema, lambda: course.matching, needed=needed, held=HELD)
        sifter.load(pieces)
        if not sifter.thinned:
            return None
        stems = [stem_of(row) for row in sqlite.execute(keys.sql, keys.params)]
        self.loader.workspace.empty([self._schema.table])
        return stems

    def _sift(self, course: Sifted) -> None:
        if self.request.written:
            sifter = Sifter(self.loader, self._schema, lambda: course.keys, remembers=True)
        else:
            program = program_of(self.loader.workspace, qmark(self.request.sql))
            if course.rowwise and program.aggregates:
                self.loader.load(self.request.plan)
                return
            needed = program.columns.get(self._schema.table, frozenset())
            sifter = Sifter(self.loader, self._schema, lambda: course.keys, needed=needed)
        sifter.load(self._sieved(once=False), course.enough)

    def _aggregates(self) -> bool:
        """Whether the SQL puts rows together, by a function of which Django does not know that it does."""
        return program_of(self.loader.workspace, qmark(self.request.sql)).aggregates

    def _give_rows(self, pieces: Generator[Piece], *, counts: bool = False) -> None:
        """All rows at once; or those of the first piece and a stream of the others, if asked for bit by bit."""
        stream = RowStream(self.loader, self._schema, pieces, self.execution, self._create_sql)
        rows = stream.next_rows()
        if rows is None:
            self.execution.execute()  # over no rows, for what the cursor tells of the columns
        elif counts:
            self.execution.rows = [(_number(rows) + sum(map(_number, _others(stream))),)]
        elif self.request.lazy:
            self.execution.rows, self.execution.stream = rows, stream
        else:
            for others in _others(stream):
                rows += others
            self.execution.rows = rows


def _others(stream: RowStream) -> Generator[list[Row]]:
    while (rows := stream.next_rows()) is not None:
        yield rows


def _number(rows: list[Row]) -> int:
    number: int = rows[0][0]
    return number
