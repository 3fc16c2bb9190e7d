"""What a statement came to while it ran, be it all at once or bit by bit, for its profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django_smarterbase.backend.session import Session
from django_smarterbase.backend.streams import RowStream
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.ops import Ops, counting
from django_smarterbase.signals import conflict_raised, send

if TYPE_CHECKING:
    from django_smarterbase.profiling.profile import Operation

Row = tuple[Any, ...]


@dataclass(slots=True)
class Run:
    """How a statement goes, or a COMMIT: ``duration`` in ms, ``error`` the name of the exception that ended it."""

    database: str
    operation: Operation
    model: str | None
    ops: Ops = field(default_factory=Ops)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    duration: float = 0.0
    error: str | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Count and time what is done within the block, beside what was done before, and note what it raises.

        By its counters a statement is known to have waited for Redis in vain, so that it does not wait again.
        """
        begun = time.perf_counter()
        try:
            with counting(self.ops):
                yield
        except BaseException as raised:
            self.error = type(raised).__name__
            if isinstance(raised, ConflictError):
                send(
                    conflict_raised,
                    Session,
                    database=self.database,
                    operation=self.operation,
                    model=self.model,
                    error=raised,
                )
            raise
        finally:
            self.duration += (time.perf_counter() - begun) * 1000


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
            with self._run.going_on():
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
