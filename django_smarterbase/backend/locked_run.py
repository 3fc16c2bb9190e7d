"""Locks the rows that a SELECT has named, and runs it again over them as they are under the lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.locked_select import Named, RowLocking
from django_smarterbase.backend.locking import Rows
from django_smarterbase.backend.requests import Execution
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.storage.codec import transaction_of

if TYPE_CHECKING:
    from django_smarterbase.backend.session import Session

_ROUNDS: Final = 10  # in which a SELECT whose rows were just locked names others


def lock_rows(
    session: Session, locking: RowLocking, execution: Execution, loader: Loader, again: Callable[[], object]
) -> None:
    """Lock what the SELECT has named, and run it ``again`` until it names nothing else, or is to be compiled anew.

    Raises LockNotAvailable, and ConflictError when it names others each time.
    """
    locks = session.locks
    for _ in range(_ROUNDS):
        named = locking.named(execution.rows or ())
        new = locks.beyond(named)
        busy = locks.take(new, nowait=locking.nowait, skip=locking.skip)
        loader.account.fallback_reason = locks.unavailable or loader.account.fallback_reason
        locking.busy = [named[table][stem] for table, stems in busy.items() for stem in stems]
        read_anew = _read_anew(session, loader, _without(named, busy), new)
        if locking.by_chance and read_anew and not busy:
            locking.chosen = [row for rows in named.values() for row in rows.values()]
        if busy or locking.chosen or not read_anew:
            return
        loader.account.candidates = 0
        again()
    raise ConflictError(
        f"The rows of {', '.join(sorted(named))} that select_for_update() names changed {_ROUNDS} times while they "
        "were locked. Run the transaction again."
    )


def _without(named: Mapping[str, Mapping[str, Named]], busy: Rows) -> Rows:
    return {table: stems.keys() - set(busy.get(table, ())) for table, stems in named.items()}


def _read_anew(session: Session, loader: Loader, rows: Rows, new: Rows) -> bool:
    """Read locked ``rows`` again of which what was read counts no more: they are locked only now, or were made by a
    transaction that is decided only now. What this transaction has changed itself counts on. Returns whether any was.
    """
    found = False
    for table, stems in rows.items():
        pending = {document.stem for document in session.workspace.pending(table)}
        known = {stem: session.snapshot().table(table).known.get(stem) for stem in stems if stem not in pending}
        made_by = {stem: transaction_of(each.extras) for stem, each in known.items() if each is not None}
        decided = session.await_decision(id for id in made_by.values() if id is not None)
        stale = [stem for stem, id in made_by.items() if id in decided or stem in new.get(table, ())]
        loader.relearn(session.wrapper.table_schema(table), stale)
        found = found or bool(stale)
    if found:
        session.empty()
    return found
