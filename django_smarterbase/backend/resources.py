"""What the connections of one database share in a process: its store, its indexes, its sequences, its codecs."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, Storage, storages

from django_smarterbase.backend.soundness import check_key, check_nulls
from django_smarterbase.conf import Options
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes.service import IndexService
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.recent import Recent
from django_smarterbase.storage.codec import Document, DocumentCodec, version_of
from django_smarterbase.storage.history import History
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.lineage import settled
from django_smarterbase.storage.opening import open_store
from django_smarterbase.storage.sequences import Sequences
from django_smarterbase.tables import Row, TableSchema
from django_smarterbase.tenancy import origin

#: Of how many tenants a process keeps the resources. Of others they are made anew, as in a process that has just begun.
TENANTS_OPEN: Final = 100


class Resources:
    """One database of this process, or one tenant of it. Thread-safe.

    ``database`` is the alias that opened it, for signals and logs; ``origin`` is that and the tenant, if there is one,
    as fields of a log record. All tenants share the store.
    """

    def __init__(self, database: str, name: str, options: Options, storage: Storage, tenant: str | None = None) -> None:
        self.database = database
        self.name = name
        self.tenant = tenant
        self.options = options
        self.storage = storage
        self.keys = Keyspace(name, tenant)
        self.store = DocumentStore(open_store(storage, options, self.keys), self.keys, options, self.origin)
        self.sequences = Sequences(self.store, self.keys)
        self.indexes = IndexService(
            store=self.store,
            keys=self.keys,
            name=name,
            tenant=tenant,
            database=database,
            alias=options.cache,
            options=options,
            decode=self.indexed_row,
        )
        self.unindexed_tables: set[str] = set()
        self._histories: dict[str, History] = {}
        self._codecs: dict[str, DocumentCodec] = {}
        self._settled: dict[str, tuple[TableSchema, History, TableSchema]] = {}

    def settled(self, schema: TableSchema) -> TableSchema:
        """A table as it is after the migrations that its model knows of. Reads the schema object, once a process."""
        history = self.history(schema.table)
        if not history.steps:
            return schema
        known = self._settled.get(schema.table)
        if known is None or known[0] is not schema or known[1] is not history:
            known = self._settled[schema.table] = (schema, history, settled(schema, history))
        return known[2]

    @property
    def origin(self) -> dict[str, str]:
        """``{"database": alias}``, and ``"tenant"`` if there is one."""
        return origin(self.database, self.tenant)

    def codec(self, schema: TableSchema) -> DocumentCodec:
        """The codec of a table as its migrations left it when this process last looked."""
        history = self.history(schema.table)
        codec = self._codecs.get(schema.table)
        if codec is None or codec.schema is not schema or codec.history is not history:
            codec = self._codecs[schema.table] = DocumentCodec(schema, history)
        return codec

    def decode(self, schema: TableSchema, key: str, body: bytes) -> Document:
        """Read a document, after another look at the table's history when it is of a version not known yet.

        Raises CorruptDocument.
        """
        codec = self.codec(schema)
        try:
            document = codec.decode(key, body)
        except CorruptDocument:
            if version_of(body) <= codec.history.version:
                raise
        else:
            if document.version <= codec.history.version:
                return document
        self.refresh_history(schema.table)
        return self.codec(schema).decode(key, body)

    def row_of(self, schema: TableSchema, key: str, body: bytes) -> Row:
        """A document as ``{column: value}``. Raises CorruptDocument."""
        names = (column.name for column in schema.columns)
        return dict(zip(names, self.decode(schema, key, body).values, strict=True))

    def indexed_row(self, schema: TableSchema, key: str, body: bytes) -> Row:
        """A document as ``row_of``, if it can be a row of its table. Raises CorruptDocument."""
        values = self.decode(schema, key, body).values
        check_key(schema, self.keys.stem_of_key(schema.table, key) or "", key, values)
        check_nulls(schema, key, values)
        return dict(zip(schema.by_name, values, strict=True))

    def refresh_history(self, table: str) -> History:
        """Read the schema object of a table. Raises CorruptDocument."""
        key = self.keys.schema(table)
        stored = self.store.get(key)
        try:
            history = History() if stored is None else History.load(stored.body)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptDocument(
                key,
                f"it is not a list of schema steps ({error!r:.200})",
                "Bring it back from a copy: without the steps, documents from before a migration cannot be read.",
            ) from error
        if self._histories.get(table) != history:  # the same again keeps its codec
            self._histories[table] = history
        return self._histories[table]

    def history(self, table: str) -> History:
        """The steps of a table as this process knows them; read when it does not."""
        return self._histories.get(table) or self.refresh_history(table)

    def assume_history(self, table: str, history: History) -> None:
        """Go on from a history that this process is about to write."""
        self._histories[table] = history

    def forget_history(self, table: str) -> None:
        """Look at the schema object again before the table is next used."""
        self._histories.pop(table, None)

    def forget_histories(self) -> None:
        """Look at all schema objects again: other processes may have migrated."""
        self._histories.clear()


_Key = tuple[str, str | None, Options, int]  # NAME, tenant, options, and which storage object

_lock = threading.Lock()
_open: dict[_Key, Resources] = {}
_of_tenants: Recent[_Key, Resources] = Recent(TENANTS_OPEN)


def resources_for(database: str, settings: dict[str, Any], tenant: str | None = None) -> Resources:
    """The resources of ``DATABASES[database]``, opened once a process, or those of a tenant of it.

    Another storage object under the alias (``override_settings``) or other options open other resources. Raises
    ImproperlyConfigured and InvalidTenant.
    """
    options = Options.parse(settings["OPTIONS"])
    storage = _storage(options.storage)
    key = (settings["NAME"], tenant, options, id(storage))
    if tenant is not None:
        return _of_tenants.get(key, lambda: Resources(database, settings["NAME"], options, storage, tenant))
    with _lock:
        if key not in _open:
            _open[key] = Resources(database, settings["NAME"], options, storage)
        return _open[key]


def close_resources(name: str, tenant: str | None = None) -> None:
    """Forget what this process knows of the databases of this NAME and their tenants, whose objects are gone; with
    ``tenant``, of that one only."""
    _of_tenants.discard(lambda key: key[0] == name and tenant in (None, key[1]))
    if tenant is None:
        with _lock:
            for key in [key for key in _open if key[0] == name]:
                del _open[key]


def _forked() -> None:
    """A child begins with nothing: a thread of its parent may hold any of the locks, which then nobody releases."""
    global _lock, _open, _of_tenants
    _lock, _open, _of_tenants = threading.Lock(), {}, Recent(TENANTS_OPEN)


os.register_at_fork(after_in_child=_forked)


def _storage(alias: str) -> Storage:
    try:
        return storages[alias]
    except InvalidStorageError as error:
        raise ImproperlyConfigured(
            f"The smarterbase option storage names the alias {alias!r}, which STORAGES does not have. Add it to "
            'STORAGES, or name another alias in DATABASES[...]["OPTIONS"]["storage"].'
        ) from error
