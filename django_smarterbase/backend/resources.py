"""What the connections of one database share in a process: its store, its indexes, its sequences, its codecs."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, Storage, storages

from django_smarterbase.backend.soundness import check_key, check_nulls
from django_smarterbase.conf import Options
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes.service import IndexService
from django_smarterbase.storage.codec import Document, DocumentCodec
from django_smarterbase.storage.history import History
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store
from django_smarterbase.storage.sequences import Sequences
from django_smarterbase.tables import Row, TableSchema


class Resources:
    """One database of this process. Thread-safe. ``database`` is the alias that opened it, for signals and logs."""

    def __init__(self, database: str, name: str, options: Options, storage: Storage) -> None:
        self.database = database
        self.name = name
        self.options = options
        self.storage = storage
        self.keys = Keyspace(name)
        self.store = open_store(storage, options, self.keys)
        self.sequences = Sequences(self.store, self.keys)
        self.indexes = IndexService(
            store=self.store,
            keys=self.keys,
            name=name,
            database=database,
            alias=options.cache,
            options=options,
            decode=self.indexed_row,
        )
        self.unindexed_tables: set[str] = set()
        self._histories: dict[str, History] = {}
        self._codecs: dict[str, DocumentCodec] = {}

    def codec(self, schema: TableSchema) -> DocumentCodec:
        """The codec of a table as its migrations left it when this process last looked."""
        history = self.history(schema.table)
        codec = self._codecs.get(schema.table)
        if codec is None or codec.schema is not schema or codec.history is not history:
            codec = self._codecs[schema.table] = DocumentCodec(schema, history)
        return codec

    def decode(self, schema: TableSchema, key: str, body: bytes) -> Document:
        """Read a document, after another look at the table's history when it is of a version not known yet."""
        codec = self.codec(schema)
        document = codec.decode(key, body)
        if document.version > codec.history.version:
            self.refresh_history(schema.table)
            document = self.codec(schema).decode(key, body)
        return document

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
        self._histories[table] = history
        return history

    def history(self, table: str) -> History:
        """The steps of a table as this process knows them; read when it does not."""
        return self._histories.get(table) or self.refresh_history(table)

    def assume_history(self, table: str, history: History) -> None:
        """Go on from a history that this process is about to write."""
        self._histories[table] = history

    def forget_history(self, table: str) -> None:
        """Look at the schema object again before the table is next used."""
        self._histories.pop(table, None)


_lock = threading.Lock()
_open: dict[tuple[str, Options, int], Resources] = {}


def resources_for(database: str, settings: dict[str, Any]) -> Resources:
    """The resources of ``DATABASES[database]``, opened once a process. Raises ImproperlyConfigured.

    Another storage object under the alias (``override_settings``) or other options open other resources.
    """
    options = Options.parse(settings["OPTIONS"])
    storage = _storage(options.storage)
    key = (settings["NAME"], options, id(storage))
    with _lock:
        if key not in _open:
            _open[key] = Resources(database, settings["NAME"], options, storage)
        return _open[key]


def close_resources(name: str) -> None:
    """Forget what this process knows of the databases of this NAME, whose objects are gone."""
    with _lock:
        for key in [key for key in _open if key[0] == name]:
            del _open[key]


def _forked() -> None:
    """A child begins with nothing: a thread of its parent may hold any of the locks, which then nobody releases."""
    global _lock, _open
    _lock, _open = threading.Lock(), {}


os.register_at_fork(after_in_child=_forked)


def _storage(alias: str) -> Storage:
    try:
        return storages[alias]
    except InvalidStorageError as error:
        raise ImproperlyConfigured(
            f"The smarterbase option storage names the alias {alias!r}, which STORAGES does not have. Add it to "
            'STORAGES, or name another alias in DATABASES[...]["OPTIONS"]["storage"].'
        ) from error
