"""The object store protocol that every adapter keeps, and the counting of its requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Stored(NamedTuple):
    """An object as it was read."""

    body: bytes
    etag: str


class Unchanged(NamedTuple):
    """What ``revalidate`` says of an object that still has the ETag that was named: its body is the known one."""


class Listed(NamedTuple):
    """An object as a listing names it. ``size`` is in bytes. Where a store's listing tells neither: ``""`` and -1."""

    key: str
    etag: str
    size: int


class Write(NamedTuple):
    """A write of ``write_many``: a put of ``body``, or a delete when ``body`` is None.

    ``if_match`` is the ETag that the object must still have; ``if_absent`` demands that there is none. ``deadline`` as
    in ``put``.
    """

    key: str
    body: bytes | None
    if_match: str | None = None
    if_absent: bool = False
    deadline: float | None = None


class Written(NamedTuple):
    """The outcome of a ``Write``: its new ETag (None after a delete), or the error it met."""

    write: Write
    etag: str | None
    error: Exception | None


#: Tells of a key and a body whether who scans wants the object.
Admits = Callable[[str, bytes], bool]


class ObjectStore(ABC):
    """Objects under a key, with ETags and conditional writes. Synchronous and thread-safe.

    Keys are relative to the storage's location and made by ``storage.keys`` only. Each adapter counts its requests
    through ``ops.storage_ops()`` in the calling thread.
    """

    #: Whether ``if_match`` and ``if_absent`` hold between processes. Without, the last writer wins. A fact once
    #: ``verify_conditions`` has been called, which the first conditional write does at the latest.
    conditional: bool
    #: Whether a listing tells the ETag of each object.
    lists_etags: bool = True
    #: Whether a listing is in the order of keys.
    lists_in_order: bool = False

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """The object under ``key``, or None. Raises StorageUnavailable."""

    @abstractmethod
    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        """Each of ``keys`` with its object or None, in the order of ``keys``; up to ``concurrency`` reads at a time.

        Streams: no more than a bounded window of bodies is held. Raises StorageUnavailable.
        """

    def revalidate(self, known: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, Stored | Unchanged | None]]:
        """As ``get_many``, of keys each with the ETag of a body that the caller has (None: of none): Unchanged stands
        for an object that still has it, and counts as a read of 0 bytes.

        Here the object is read all the same; where ``place`` is not None, its body is not.
        """
        for key, etag in known:
            stored = self.get(key)
            yield key, Unchanged() if stored is not None and stored.etag == etag else stored

    def place(self) -> str | None:
        """What tells these objects from those of other stores, whose keys and ETags may be the same; None where
        ``revalidate`` spares nothing."""
        return None

    @abstractmethod
    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        """Every object whose key begins with ``prefix`` (and is greater than ``start_after``), in the store's order.

        Streams in constant memory. An object that is there throughout is listed, whatever else changes meanwhile; one
        that is replaced meanwhile may be listed twice.
        """

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders in the folder ``prefix`` (which ends with a slash) that hold objects, each once.

        Here a listing of all these objects; adapters that know better do it in less. Raises StorageUnavailable.
        """
        found = (listed.key.removeprefix(prefix).partition("/") for listed in self.list(prefix))
        yield from dict.fromkeys(name for name, slash, _rest in found if slash)

    def listings(self, objects: int) -> int:
        """How many requests the listing of so many objects takes."""
        return 1

    @abstractmethod
    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        """Every object under ``prefix`` with its body: a listing whose objects are read in parallel, streamed.

        Like a listing it misses nothing, and may give an object that is replaced meanwhile twice, the newer one last.
        Those that ``admits`` refuses are read and counted, and not given. It is called in the calling thread, and what
        it raises is raised.
        """

    @abstractmethod
    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        deadline: float | None = None,
    ) -> str:
        """Write the object and return its new ETag.

        What might not have taken effect, or failed, by ``deadline`` (``time.monotonic``) is not begun. Raises
        PreconditionFailed, DeadlinePassed (nothing was written), StorageUnavailable.
        """

    @abstractmethod
    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        """Remove the object; one that is not there is no error unless ``if_match`` is given (PreconditionFailed).

        ``deadline`` as in ``put``.
        """

    @abstractmethod
    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        """Apply ``writes`` in parallel, each on its own; outcomes in the order of ``writes``. Never raises for one."""

    @abstractmethod
    def verify_conditions(self) -> bool:
        """Probe, once a process and location, whether the store keeps conditions; the answer is remembered."""
