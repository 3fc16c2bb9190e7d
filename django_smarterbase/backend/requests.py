"""What a session is asked to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.utils.functional import cached_property

from django_smarterbase.hints import QueryHints
from django_smarterbase.planner.plan import QueryPlan
from django_smarterbase.profiling.profile import Operation

if TYPE_CHECKING:
    from django_smarterbase.backend.courses import Course
    from django_smarterbase.backend.loader import Loader
    from django_smarterbase.backend.locked_select import RowLocking
    from django_smarterbase.backend.streams import RowStream


class Execution(Protocol):
    """A statement, ``sql`` in Django's parameter style, which can be run more than once; ``rows`` are those of the last
    run, and ``stream`` gives those that follow them, of a statement whose rows are asked for bit by bit. ``offset`` is
    the number after the OFFSET with which the SQL ends; 0 when it does not.
    """

    sql: str
    rows: list[tuple[Any, ...]] | None
    stream: RowStream | None

    @property
    def offset(self) -> int: ...

    def execute(self, left_out: int = 0) -> None:
        """Run the SQL in the workspace and take its rows; with an OFFSET less by the rows that were left out there."""


class Shortcut(Protocol):
    """A way to answer a statement from the index alone."""

    def answer(self, loader: Loader, execution: Execution) -> bool:
        """Put the rows in ``execution``, or say False: the statement then takes the long way."""


def _no_course() -> None:
    return None


@dataclass(eq=False)  # not frozen: that would take each statement 2 µs
class Request:
    """One statement to run, which nobody changes. ``written`` are the tables that it may change.

    ``auto_values`` is how many sequence values an INSERT needs (None: not known before it has run). ``upsert`` says
    that an INSERT has an ON CONFLICT clause, so that a row with its key must be there for SQLite to see, and
    ``rehearsed`` that its rows are asked for before they are made, since one may change another. ``counts`` says that
    the only row is a number of rows, ``locking`` which rows are to be locked. ``find_course`` finds how it may be run
    over a piece of its table at a time; its query is compiled once more for that, so it is asked only where a course
    may be taken. ``lazy`` says that its rows are asked for bit by bit. ``index_may_suffice`` says that of one table at
    least no column is selected that no index has. ``sql`` is what was compiled: other SQL that a cursor is
    given meanwhile (by an ``execute_wrapper``) is another statement.
    """

    plan: QueryPlan
    operation: Operation
    hints: QueryHints
    written: tuple[str, ...] = ()
    model: str | None = None
    auto_values: int | None = 0
    upsert: bool = False
    rehearsed: bool = False
    counts: bool = False
    locking: RowLocking | None = None
    find_course: Callable[[], Course | None] = _no_course
    lazy: bool = False
    shortcut: Shortcut | None = None
    index_may_suffice: bool = False
    sql: str = ""

    @cached_property
    def course(self) -> Course | None:
        """The course that the statement may take, or None."""
        return self.find_course()
