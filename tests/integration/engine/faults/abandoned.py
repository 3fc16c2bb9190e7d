"""Transactions whose process has died in the middle of COMMIT, and documents that are changed by other means."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, transaction

from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.backend.unit_of_work import UnitOfWork
from tests.integration.commands.site import Site


class Died(BaseException):
    """The end of a process, as far as its transaction is concerned: nothing is taken back, nothing is answered."""


def abandon(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object], *, before: str = "_begin") -> None:
    """Do ``work`` in a transaction whose process dies when one batch is written: before it announces the second
    (``_begin``), or before it takes the claims for it (``_take_claims``)."""
    step, reached = getattr(UnitOfWork, before), []

    def once(self: UnitOfWork, *args: Any) -> Any:
        reached.append(args)
        if len(reached) > 1:
            raise Died
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, before, once)
        with pytest.raises(Died), transaction.atomic():
            work()
    connection.close()


def die_before_writing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Do ``work`` in a process that dies when it has taken its claims, before it announces what it writes."""

    def die(self: UnitOfWork, *args: Any) -> Any:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_begin", die)
        with pytest.raises(Died):
            work()
    connection.close()


def recover() -> int:
    """What another process does with abandoned transactions; returns how many it decided."""
    return recovery_of(connection.resources).recover(connection.catalog.find)


def documents(site: Site, table: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of a table and what they say, without what each write has of its own."""
    for path in sorted((site.folder / site.name / table).glob("*.json")):
        document = orjson.loads(path.read_bytes())
        yield path, {name: value for name, value in document.items() if name not in ("_rev", "_txn")}


def edit(site: Site, table: str, **where: Any) -> None:
    """Change one document as an editor of files would: an attribute that no model knows."""
    ((path, document),) = [
        (path, document) for path, document in documents(site, table) if where.items() <= document.items()
    ]
    path.write_bytes(orjson.dumps({**document, "edited": True, "_rev": uuid.uuid4().hex}))
