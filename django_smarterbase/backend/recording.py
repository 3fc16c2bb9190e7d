"""What a statement came to while it ran, be it all at once or bit by bit, for its profile."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from django_smarterbase.backend.session import Session
from django_smarterbase.backend.streams import RowStream
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.ops import Ops, counting
from django_smarterbase.signals import conflict_raised, send

if TYPE_CHECKING:
    from django_smarterbase.profiling.profile import Operation

Row = tuple[Any, ...]


class Run(counting):
    """How a statement goes, or a COMMIT: ``duration`` in ms, ``error`` the name of the exception that ended it.

    Within its block, which may be entered again, what is done is counted and timed, and what it raises is noted. By its
    counters a statement is known to have waited for Redis in vain, so that it does not wait again.
    """

    __slots__ = ("_begun", "database", "duration", "error", "model", "operation", "started_at")

    def __init__(self, database: str, operation: Operation, model: str | None) -> None:
        super().__init__()
        self.database = database
        self.operation = operation
        self.model = model
        self.started_at = datetime.now(UTC)
        self.duration = 0.0
        self.error: str | None = None

    def __enter__(self) -> Ops:
        self._begun = time.perf_counter()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is not None:
            self._note(error)
        self.duration += (time.perf_counter() - self._begun) * 1000

    def _note(self, error: BaseException) -> None:
        self.error = type(error).__name__
        if isinstance(error, ConflictError):
            send(
                conflict_raised,
                Session,
                database=self.database,
                operation=self.operation,
                model=self.model,
                error=error,
            )


class FollowingRows:
    """The rows of a stream, those of one piece at a time; its statement ends with the last one, with an error, or when
    nobody wants any more. ``ended`` is then called once, with their number."""

    def __init__(self, stream: RowStream, run: Run, number: int, ended: Callable[[int], None]) -> None:
        self._stream = stream
        self._run = run
        self._number = number
        self._ended = ended
        self._closed = False

    def __iter__(self) -> FollowingRows:
        return self

    def __next__(self) -> list[Row]:
        if self._closed:
            raise StopIteration
        try:
            with self._run:
                rows = self._stream.next_rows()
        except BaseException:
            self.close()
            raise
        if rows is None:
            self.close()
            raise StopIteration
        self._number += len(rows)
        return rows

    def close(self) -> None:
        """Read no further. The statement of a parent process is not this one's to end."""
        if not self._closed:
            self._closed = True
            with counting(self._run.ops):
                self._stream.close()
            if not self._stream.is_of_parent:
                self._ended(self._number)
