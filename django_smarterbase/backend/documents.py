"""The stored documents of tables, as one statement reads them: which it meets, passes over, and how many it may."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator

from django_smarterbase.backend.account import Account
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Known, Snapshot
from django_smarterbase.backend.soundness import check_key, is_its_own_stem
from django_smarterbase.exceptions import CorruptDocument, ScanBudgetExceeded
from django_smarterbase.storage.base import Admits, Stored
from django_smarterbase.storage.codec import version_of
from django_smarterbase.tables import Affinity, TableSchema

logger = logging.getLogger("django_smarterbase.storage")

_Meet = Callable[[str], str | None]


class Documents:
    """Reads documents for one statement, whose ``account`` it keeps."""

    def __init__(self, resources: Resources, snapshot: Snapshot, account: Account) -> None:
        self._resources = resources
        self._snapshot = snapshot
        self._account = account

    def stored(self, schema: TableSchema, admits: Admits | None = None) -> Iterator[tuple[str, str, Stored]]:
        """Each stored document of the table that ``admits`` does not refuse, as (stem, key, object). Raises
        ScanBudgetExceeded."""
        meet, is_wanted = self._meeting(schema), None
        if admits is not None:
            is_wanted, meet = self._asking_first(meet, admits), self._resources.keys.stems_of_keys(schema.table)
        for key, stored in self._resources.store.scan(self._resources.keys.table_prefix(schema.table), is_wanted):
            stem = meet(key)
            if stem is not None:
                yield stem, key, stored

    def _asking_first(self, meet: _Meet, admits: Admits) -> Admits:
        """Whether a scan gives an object at all, so that what is not wanted costs no more than to look at it."""

        def is_wanted(key: str, body: bytes) -> bool:
            if meet(key) is None:
                return False
            try:
                return admits(key, body)
            except CorruptDocument as error:
                self.pass_over(error)
                return False

        return is_wanted

    def listed(self, schema: TableSchema) -> Iterator[str]:
        """The stem of each stored document of the table, none of which is read. Raises ScanBudgetExceeded."""
        meet = self._meeting(schema)
        listing = self._resources.store.list(self._resources.keys.table_prefix(schema.table))
        return (stem for each in listing if (stem := meet(each.key)) is not None)

    def _meeting(self, schema: TableSchema) -> _Meet:
        """Gives the stem to each key that a scan meets, and None to that of a foreign object, which is passed over."""
        options, table = self._resources.options, self._snapshot.table(schema.table)
        limit = sys.maxsize if options.max_scan_objects is None else table.met + options.max_scan_objects
        stem_of_key = self._resources.keys.stems_of_keys(schema.table)

        def meet(key: str) -> str | None:
            stem = stem_of_key(key)
            if stem is None:
                self._account.skipped += 1
                self._log_skipped(f"The object {key!r} is not a document of {schema.label} and is passed over.", key)
                return None
            table.met += 1
            if table.met > limit:
                raise ScanBudgetExceeded(
                    f"{schema.label}: a scan met more than {options.max_scan_objects} documents (option "
                    "max_scan_objects). Filter by the primary key or an indexed field, bring the index back with "
                    f"manage.py sb_reindex {schema.label}, or raise the limit."
                )
            return stem

        return meet

    def reader(self, schema: TableSchema) -> Callable[[str, str, Stored], Known]:
        """Reads (stem, key, object) of a table; what is the same for all its documents is looked up once, here. What it
        gives raises CorruptDocument."""
        codec = self._resources.codec(schema)
        decode = codec.decode
        only = schema.pk_positions[0] if len(schema.pk_positions) == 1 else None
        is_text = only is not None and schema.columns[only].affinity is Affinity.TEXT

        def read(stem: str, key: str, stored: Stored) -> Known:
            nonlocal codec, decode
            try:
                document = decode(key, stored.body)
                is_newer = document.version > codec.history.version
            except CorruptDocument:
                is_newer = version_of(stored.body) > codec.history.version
                if not is_newer:
                    raise
            if is_newer:
                document = self._resources.decode(schema, key, stored.body)
                codec = (
                    self._snapshot.table_as(self._resources.codec(schema)).codec or codec
                )  # what was read before goes on in the newer history
                decode = codec.decode
            values = document.values
            if only is None or not is_its_own_stem(values[only], stem, is_text=is_text):
                check_key(schema, stem, key, values)
            return Known(stored.etag, values, document.extras)

        return read

    @property
    def passes_over(self) -> bool:
        """Whether a scan passes over a document that cannot be a row, as the option ``on_corrupt`` says."""
        return self._resources.options.on_corrupt == "skip"

    def pass_over(self, error: CorruptDocument) -> None:
        """Pass over a document that cannot be read, or raise ``error``, as the option ``on_corrupt`` says."""
        if not self.passes_over:
            raise error
        self._account.skipped += 1
        self._log_skipped(f"{error} It is passed over.", error.key)

    def _log_skipped(self, message: str, key: str) -> None:
        extra = {"event": "document_skipped", **self._resources.origin, "key": key}
        logger.warning("%s", message, extra=extra)
