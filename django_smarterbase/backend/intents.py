"""Intents: a transaction of several documents is written down whole before its first document is written, and so is
a statement in autocommit that moves unique values.

``_sb/intents/<id>.json`` lists every write with its condition, its new body and the body that takes it back. When all
are applied the intent is removed. A process that dies in between leaves it, and another completes the transaction
(``backend.recovery``), or takes it back when a condition does not hold. Each document of a transaction carries its id
in ``_txn``, so that one which was applied and has since been changed by others is told from one that never was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from uuid_utils import uuid7

from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.unit_of_work import IntentLost, UnitOfWork
from django_smarterbase.exceptions import CorruptDocument, PreconditionFailed
from django_smarterbase.steps import reach
from django_smarterbase.storage.codec import with_transaction
from django_smarterbase.tables import TableSchema

T = TypeVar("T")


class Intent:
    """The intent of one transaction, held by this process for as long as it renews it in time."""

    def __init__(self, resources: Resources, id: str, writes: Sequence[DocumentWrite]) -> None:
        self.resources = resources
        self.id = id
        self.writes = writes
        self.key = resources.keys.intent(id)
        self._etag: str | None = None
        self._renewed = 0.0

    @classmethod
    def of(cls, resources: Resources, writes: Sequence[DocumentWrite]) -> Intent:
        """An intent of ``writes``, whose documents are marked with its id."""
        id = str(uuid7())
        return cls(resources, id, [_marked(write, id) for write in writes])

    def write(self) -> None:
        """Store the intent; from now on another process may complete the transaction."""
        self._renewed = time.monotonic()
        self._etag = self.resources.store.put(self.key, self._body(), if_absent=True)
        reach("intent-written")

    @property
    def deadline(self) -> float:
        """Until when nobody else takes the transaction over (``time.monotonic``)."""
        return self._renewed + self.resources.options.write_deadline

    def take_over(self, etag: str) -> bool:
        """Become the holder of an intent that another left; False when somebody else was faster."""
        began = time.monotonic()
        try:
            self._etag = self.resources.store.put(self.key, self._body(), if_match=etag)
        except PreconditionFailed:
            return False
        self._renewed = began
        return True

    def renew(self, *, at_once: bool = False) -> None:
        """Say that this process is still at it, when it is time to or ``at_once``. Raises IntentLost."""
        recently = time.monotonic() - self._renewed < self.resources.options.write_deadline / 3
        if self._etag is None or (recently and not at_once):
            return
        if not self.take_over(self._etag):
            raise IntentLost(
                "The transaction took so long that another process has taken it over, which completes it or takes it "
                "back as a whole. Read the documents to see which. Smaller transactions, or a longer write_deadline, "
                "avoid this."
            )

    def remove(self) -> None:
        """The transaction is decided: applied, or taken back."""
        try:
            self.resources.store.delete(self.key, if_match=self._etag)
        except PreconditionFailed:
            return  # Another process has taken over in the meantime and finds the same.
        reach("intent-removed")

    def _body(self) -> bytes:
        # A fresh revision each time: on a store whose ETags are hashes, equal bodies would not show a renewal.
        return orjson.dumps({"id": self.id, "_rev": str(uuid7()), "writes": [_as_json(write) for write in self.writes]})


def commit_whole(unit: UnitOfWork, writes: Sequence[DocumentWrite], *, owner: str | None = None) -> None:
    """As ``unit.commit``, by an intent: nobody builds on a part of it, and if the process dies another decides it. Two
    requests more."""
    intent = Intent.of(unit.resources, writes)
    intent.write()
    try:
        unit.commit(intent.writes, intent=intent, owner=owner)
    except Exception as error:
        if unit.took_back or (isinstance(error, WriteFailed) and error.is_conflict):
            intent.remove()
        raise
    intent.remove()


def read_intent(resources: Resources, key: str, body: bytes, schema_of: Callable[[str], TableSchema | None]) -> Intent:
    """The intent that another process has written. Raises CorruptDocument."""
    try:
        raw = orjson.loads(body)
        if key != resources.keys.intent(_typed(raw["id"], str)):
            raise ValueError(f"the id {raw['id']!r:.100}")
        writes = [_from_json(resources, write, schema_of) for write in _typed(raw["writes"], list)]
        return Intent(resources, raw["id"], writes)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(
            key,
            f"it is not the intent of a transaction ({error!r:.200})",
            "Look at the documents that it names, and remove the object when these are as they should be.",
        ) from error


def _marked(write: DocumentWrite, id: str) -> DocumentWrite:
    if write.schema is None or write.body is None:
        return write
    return replace(write, body=with_transaction(write.body, id))


def _as_json(write: DocumentWrite) -> dict[str, Any]:
    return {
        "table": write.schema.table if write.schema is not None else "",
        "stem": write.stem,
        "key": write.key,
        "base": write.base_etag,
        "body": _text(write.body),
        "undo": _text(write.undo_body),
        "takes": write.takes,
        "frees": write.frees,
    }


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode()


def _from_json(
    resources: Resources, raw: dict[str, Any], schema_of: Callable[[str], TableSchema | None]
) -> DocumentWrite:
    table, stem, key = (_typed(raw[name], str) for name in ("table", "stem", "key"))
    if not (resources.keys.is_system(key) if not table else key == resources.keys.document(table, stem)):
        raise ValueError(f"a write to {key!r:.100}")
    schema = schema_of(table) if table else None
    body, undo = (None if raw[name] is None else _typed(raw[name], str).encode() for name in ("body", "undo"))
    return DocumentWrite(
        schema=schema,
        stem=stem,
        key=key,
        body=body,
        base_etag=None if raw["base"] is None else _typed(raw["base"], str),
        row=None if schema is None or body is None else resources.row_of(schema, key, body),
        undo_body=undo,
        undo_row=None if schema is None or undo is None else resources.row_of(schema, key, undo),
        takes=_claims(raw["takes"]),
        frees=_claims(raw["frees"]),
    )


def _claims(raw: Any) -> tuple[str, ...]:
    return tuple(_typed(claim, str) for claim in _typed(raw, list))


def _typed(value: Any, type_: type[T]) -> T:
    """``value`` if it is of exactly this type. Raises TypeError."""
    if type(value) is not type_:
        raise TypeError(f"{value!r:.100} in place of a {type_.__name__}")
    return value
