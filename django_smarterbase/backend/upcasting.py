"""Documents of older versions, written back in the newest: what ``sb_upcast`` does to one table.

Nobody needs it to read them. It goes the way of every write: conditional on the document that was read, with claims,
with the index. Each batch is a unit of work, and what another writer was faster with is left as that one wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django_smarterbase.backend.changes import ChangeReader
from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.retrying import MAX_ATTEMPTS
from django_smarterbase.backend.snapshot import Known, Snapshot
from django_smarterbase.backend.soundness import check_key, check_nulls
from django_smarterbase.backend.workspace import TouchedRow
from django_smarterbase.exceptions import ConflictError, CorruptDocument, SmarterBaseError
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.codec import DocumentCodec, version_of
from django_smarterbase.tables import TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

_NAMED: Final = 10  # errors that are kept


class OldCode(SmarterBaseError):
    """The models of this process are from before a migration of the table."""


@dataclass
class Progress:
    """How far a table is. Of ``documents`` seen, ``outdated`` were of an older version; of those ``written`` are
    written back by now, ``overtaken`` were written or deleted by others first, and ``failed`` could not be. ``errors``
    tells of the first ten of these.
    """

    documents: int = 0
    outdated: int = 0
    written: int = 0
    overtaken: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)

    def fail(self, error: Exception) -> None:
        """Count a document that could not be written back."""
        self.failed += 1
        if len(self.errors) < _NAMED:
            self.errors.append(str(error))


class Upcaster:
    """Writes the documents of one table back. ``progress`` may be looked at meanwhile.

    ``version`` is the newest one. Raises OldCode when the models of this process are of an older one.
    """

    def __init__(self, wrapper: DatabaseWrapper, schema: TableSchema) -> None:
        self.wrapper = wrapper
        self.resources = wrapper.resources
        self.progress = Progress()
        self.version = self.resources.refresh_history(schema.table).version
        self.schema = wrapper.table_schema(schema.table)  # as it is after all migrations up to now
        if self._codec.version < self.version:
            raise OldCode(
                f"{schema.label}: the code of this process knows version {self._codec.version} of the table "
                f"{schema.table!r}, and migrations have made version {self.version}. Run it with the newest code."
            )

    @property
    def _codec(self) -> DocumentCodec:
        return self.resources.codec(self.schema)

    def run(self, *, batch: int, dry_run: bool, go_on: Callable[[], bool]) -> bool:
        """Read every document once, and write those of older versions back, ``batch`` at a time, unless it is a
        ``dry_run``. ``go_on`` is asked after each document and each batch. Returns whether it came to the end.

        A table that has one version only is not read. Raises StorageUnavailable, and ConflictError when others are
        faster again and again.
        """
        self.wrapper.validate_no_atomic_block()
        found: dict[str, Stored] = {}
        for stem, stored in self._outdated() if self.version > 1 else ():
            if stored is not None and not dry_run:
                found[stem] = stored
                if len(found) == batch:
                    self._write_back(found)
                    found = {}
            if not go_on():
                return False
        self._write_back(found)
        return True

    def _outdated(self) -> Iterator[tuple[str, Stored | None]]:
        """Each document of the table as (stem, object); None in place of one that is up to date."""
        stem_of_key = self.resources.keys.stems_of_keys(self.schema.table)
        for key, stored in self.resources.store.scan(self.resources.keys.table_prefix(self.schema.table)):
            stem = stem_of_key(key)
            if stem is not None:
                self.progress.documents += 1
                outdated = version_of(stored.body) < self.version
                self.progress.outdated += outdated
                yield stem, stored if outdated else None

    def _write_back(self, found: dict[str, Stored]) -> None:
        """Write a batch back. When one of it was changed meanwhile, all are read again: they may have been too."""
        for _ in range(MAX_ATTEMPTS):
            writes = self._writes(found) if found else []
            self.wrapper.session.await_decision(write.built_on for write in writes if write.built_on is not None)
            failure = self.wrapper.session.apply(writes)
            if failure is None:
                self.progress.written += len(writes)
                return
            found = self._read_again(writes, failure.write)
        raise ConflictError(
            f"{self.schema.label}: other writers changed the documents of a batch {MAX_ATTEMPTS} times in a row. Those "
            "before it are written back. Run sb_upcast again, with a smaller --batch or when there is less traffic."
        )

    def _read_again(self, writes: list[DocumentWrite], overtaken: DocumentWrite) -> dict[str, Stored]:
        """What is still of an older version. The writes of the batch were taken back, in the newest version."""
        stems = {write.key: write.stem for write in writes}
        found = {}
        for key, stored in self.resources.store.get_many(stems):
            if stored is not None and version_of(stored.body) < self.version:
                found[stems[key]] = stored
            elif stored is None or key == overtaken.key:
                self.progress.overtaken += 1
            else:
                self.progress.written += 1
        return found

    def _writes(self, found: dict[str, Stored]) -> list[DocumentWrite]:
        """The writes of a batch, by way of the workspace: it computes generated columns and the values of claims."""
        workspace, snapshot = self.wrapper.session.workspace, Snapshot()
        known = snapshot.table_as(self._codec).known
        for stem, stored in found.items():
            try:
                known[stem] = self._known(stem, stored)
            except CorruptDocument as error:
                self.progress.fail(error)
        self.wrapper.ensure_table(self.schema.table)
        workspace.sqlite.execute("BEGIN")
        try:
            self._load(snapshot, list(known))
            changes = ChangeReader(self.resources, workspace, snapshot)
            rows = [TouchedRow(self._pk(values), values) for values in workspace.rows(self.schema.table)]
            return [write for row in rows if (write := changes.write_of(self.schema, row)) is not None]
        finally:
            workspace.sqlite.execute("ROLLBACK")

    def _load(self, snapshot: Snapshot, stems: list[str]) -> None:
        loader = Loader(self.resources, self.wrapper.session.workspace, snapshot, lambda _table: self.schema)
        try:
            loader.fetch(self.schema, stems)
        except CorruptDocument:
            for stem in stems:
                try:
                    loader.fetch(self.schema, [stem])
                except CorruptDocument as error:
                    self.progress.fail(error)

    def _known(self, stem: str, stored: Stored) -> Known:
        key = self.resources.keys.document(self.schema.table, stem)
        document = self.resources.decode(self.schema, key, stored.body)
        check_key(self.schema, stem, key, document.values)
        check_nulls(self.schema, key, document.values)
        return Known(stored.etag, document.values, document.extras)

    def _pk(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(values[position] for position in self.schema.pk_positions)
