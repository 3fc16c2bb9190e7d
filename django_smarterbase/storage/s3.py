"""Objects in an S3 bucket, through the client of a django-storages ``S3Storage``: one request for each operation.

Conditions are S3's own (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html). Some servers
that speak S3 accept the headers and overwrite all the same; ``verify_conditions`` finds them out, and conditions are
then checked by asking first, which holds within a process only.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from boto3.s3.transfer import S3Transfer
from storages.backends.s3 import S3Storage

from ..conf import Options
from ..exceptions import DeadlinePassed, PreconditionFailed
from . import keys
from .base import Admits, Listed, ObjectStore, Stored, Unchanged, Write, Written
from .conditions import apply, demand
from .counters import count_delete, count_list, count_read, count_write
from .pool import WorkerPool
from .s3client import Answer, BrokenOff, Missing, NotModified, Refused, S3Client, Unsettled, Unsupported
from .s3fast import FastReader, FastReads, Unsuited

Result = TypeVar("Result")

_ATTEMPTS = 6  # at a write that meets 409, and at a body that breaks off
_PAUSE = 0.05  # seconds, doubled with each attempt
_PAGE = 1000  # keys that a listing names at most
_NO_ETAG = '"00000000000000000000000000000000"'
_WRITER = "smarterbase-writer"  # the metadata that tells one's own write


class _Place(NamedTuple):
    endpoint: str | None
    bucket: str
    root: str


class _Conditions(NamedTuple):
    """Which conditional requests a server keeps."""

    puts: bool
    deletes: bool


class S3Store(ObjectStore):
    """ETags are S3's, quotes included; listings are in the order of keys.

    ``probe`` makes the key of the object that ``verify_conditions`` writes, from a token. Until that has been called,
    by the first conditional write at the latest, ``conditional`` is True on trust. The storage's LOCATION, object
    parameters and default ACL apply; gzip does not.
    """

    lists_in_order = True

    def __init__(self, storage: S3Storage, options: Options, probe: Callable[[str], str] = keys.probe) -> None:
        self.conditional = True
        self._storage = storage
        self._probe_key = probe
        self._client = S3Client(storage, options)
        self._fast = FastReads(storage, self._client, options)
        self._pool = WorkerPool(options.concurrency)
        self._patience = options.write_deadline / 2  # seconds; another attempt at a body may take as long
        self._root: str = storage._normalize_name("x").removesuffix("x")
        self._place = _Place(storage.endpoint_url, storage.bucket_name, self._root)
        self._lock = threading.Lock()
        self._conditions: _Conditions | None = None

    def get(self, key: str) -> Stored | None:
        return self._fetched(key)

    def _fetched(self, key: str, **condition: str) -> Stored | None:
        parameters = {**self._read_parameters(key), **condition}
        return self._read(key, partial(self._client.fetch, key, Key=self._root + key, **parameters))

    def _read(self, key: str, fetch: Callable[[], tuple[bytes, str]]) -> Stored | None:
        attempt, latest = 0, time.monotonic() + self._patience
        while True:
            try:
                body, etag = fetch()
            except Missing:
                count_read(key)
                return None
            except BrokenOff as error:  # the client repeats requests, but not the reading of a body
                count_read(key)
                attempt += 1
                if attempt == _ATTEMPTS or time.monotonic() > latest:
                    raise self._client.unavailable(key, error) from error
                self._pause("get_object", key, attempt)
                continue
            count_read(key, len(body))
            return Stored(body, etag)

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        reader = self._fast.reader()
        if reader is None:
            return self._pool.map(lambda key: (key, self.get(key)), keys)
        return self._pool.map(lambda key: (key, self._get_fast(reader, key)), keys)

    def revalidate(self, known: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, Stored | Unchanged | None]]:
        return self._pool.map(self._revalidated, known)

    def _revalidated(self, known: tuple[str, str | None]) -> tuple[str, Stored | Unchanged | None]:
        key, etag = known
        try:
            return key, self._fetched(key, **({} if etag is None else {"IfNoneMatch": etag}))
        except NotModified:
            count_read(key)
            return key, Unchanged()

    def place(self) -> str:
        return f"{self._place.endpoint or ''} {self._place.bucket} {self._root}"

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        after = {"StartAfter": self._root + start_after} if start_after is not None else {}
        for page in self._pages(prefix, **after):
            for found in page.get("Contents", ()):
                yield Listed(found["Key"][len(self._root) :], found["ETag"], found["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        # One request for a thousand of them, however many objects they hold.
        for page in self._pages(prefix, Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"][len(self._root) + len(prefix) :].removesuffix("/")

    def _pages(self, prefix: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        parameters["Prefix"] = self._root + prefix
        while True:
            count_list(prefix)
            page = self._client.send("list_objects_v2", prefix, **parameters)
            yield page
            if not page.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = page["NextContinuationToken"]

    def listings(self, objects: int) -> int:
        return max(1, math.ceil(objects / _PAGE))

    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        for key, stored in self.get_many(listed.key for listed in self.list(prefix)):
            if stored is not None and (admits is None or admits(key, stored.body)):
                yield key, stored

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        deadline: float | None = None,
    ) -> str:
        if (if_match is None and not if_absent) or self._verified().puts:
            return self._put(key, body, if_match, if_absent, deadline)
        with self._lock:
            self._demand(key, if_match, if_absent)
            return self._put(key, body, None, False, deadline)

    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        if if_match is None:
            self._delete(key, None, deadline)
        elif self._verified().deletes:
            self._delete(key, if_match, deadline)
        else:
            with self._lock:
                self._demand(key, if_match, if_absent=False)
                self._delete(key, None, deadline)

    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        return self._pool.map(partial(apply, self), writes)

    def verify_conditions(self) -> bool:
        """Six requests the first time, for an object that is gone afterwards. Raises StorageUnavailable."""
        return self._verified().puts

    def _verified(self) -> _Conditions:
        if self._conditions is None:
            with _probing:
                if self._place not in _known:
                    _known[self._place] = self._probed()
            self._conditions = _known[self._place]
            self.conditional = self._conditions.puts
        return self._conditions

    def _probed(self) -> _Conditions:
        key = self._probe_key(uuid.uuid4().hex)
        try:
            puts = (
                not self._is_refused(partial(self._put, key, b"{}", None, True))
                and self._is_refused(partial(self._put, key, b"{ }", None, True))
                and self._is_refused(partial(self._put, key, b"{  }", _NO_ETAG, False))
            )
            self._put(key, b"{}", None, False)
            return _Conditions(puts, deletes=self._is_refused(partial(self._delete, key, _NO_ETAG)))
        except Unsupported:
            return _Conditions(puts=False, deletes=False)
        finally:
            self._delete(key, None)

    def _is_refused(self, request: Callable[[], object]) -> bool:
        try:
            request()
        except PreconditionFailed:
            return True
        return False

    def _put(self, key: str, body: bytes, if_match: str | None, if_absent: bool, deadline: float | None = None) -> str:
        token = uuid.uuid4().hex
        parameters = {**self._write_parameters(key, token), "Key": self._root + key, "Body": body}
        if if_match is not None:
            parameters["IfMatch"] = if_match
        if if_absent:
            parameters["IfNoneMatch"] = "*"

        def request() -> str:
            count_write(key, len(body))
            etag: str = self._client.send("put_object", key, deadline, **parameters)["ETag"]
            return etag

        try:
            return self._settled("put_object", key, request)
        except Refused as refused:
            return self._own_etag(key, token, refused)
        except Missing as error:
            raise PreconditionFailed(key) from error

    def _settled(self, operation: str, key: str, request: Callable[[], Result]) -> Result:
        """The answer to a conditional request that others under way do not keep from being decided.

        The other one may be an earlier attempt of the same request, of which the client has heard nothing: then a
        refusal is ``repeated``, and without an answer the request is in doubt. Raises PreconditionFailed when it was
        certainly not applied.
        """
        doubtful: Unsettled | None = None
        for attempt in range(_ATTEMPTS):
            try:
                return request()
            except Unsettled as busy:
                doubtful = busy if busy.repeated else doubtful
                self._pause(operation, key, attempt + 1)
            except DeadlinePassed:
                if doubtful is None:
                    raise
                break
            except Answer as answer:
                answer.repeated = answer.repeated or doubtful is not None
                raise
        if doubtful is not None:
            raise self._client.unavailable(key, doubtful) from doubtful
        raise PreconditionFailed(key)

    def _own_etag(self, key: str, token: str, refused: Refused) -> str:
        """The object's ETag, if it was this writer's own earlier attempt, applied but unanswered, that changed it."""
        if refused.repeated:
            head = self._head(key)
            if head is not None and head.get("Metadata", {}).get(_WRITER) == token:
                etag: str = head["ETag"]
                return etag
        raise PreconditionFailed(key) from refused

    def _delete(self, key: str, if_match: str | None, deadline: float | None = None) -> None:
        condition = {"IfMatch": if_match} if if_match is not None else {}

        def request() -> None:
            count_delete(key)
            self._client.send("delete_object", key, deadline, Key=self._root + key, **condition)

        try:
            self._settled("delete_object", key, request)
        except (Refused, Missing) as answer:
            if if_match is None or (answer.repeated and self._head(key) is None):
                return
            raise PreconditionFailed(key) from answer

    def _demand(self, key: str, if_match: str | None, if_absent: bool) -> None:
        head = self._head(key)
        demand(key, head["ETag"] if head is not None else None, if_match, if_absent)

    def _head(self, key: str) -> Any:
        count_read(key)
        try:
            return self._client.send("head_object", key, Key=self._root + key, **self._read_parameters(key))
        except Missing:
            return None

    def _pause(self, operation: str, key: str, attempt: int) -> None:
        """Before a request is repeated that this store repeats, not the client."""
        self._client.retried(operation, key, attempt)
        time.sleep(random.uniform(0, _PAUSE * 2**attempt))

    def _get_fast(self, reader: FastReader, key: str) -> Stored | None:
        if self._read_parameters(key):
            return self.get(key)
        try:
            return self._read(key, partial(reader.fetch, key, self._root + key))
        except Unsuited as reason:
            count_read(key)
            stored = self.get(key)
            if stored is not None and self._fast.reader() is not None:
                # boto3 knows how: it may follow the bucket to its region, or have a name that obstore writes otherwise.
                self._fast.give_up(str(reason))
            return stored

    def _write_parameters(self, key: str, token: str) -> dict[str, Any]:
        parameters = {"ContentType": "application/json", **self._storage.get_object_parameters(key)}
        if self._storage.default_acl:
            parameters.setdefault("ACL", self._storage.default_acl)
        parameters["Metadata"] = {**parameters.get("Metadata", {}), _WRITER: token}
        return parameters

    def _read_parameters(self, key: str) -> dict[str, Any]:
        parameters = self._storage.get_object_parameters(key)
        return {name: parameters[name] for name in S3Transfer.ALLOWED_DOWNLOAD_ARGS if name in parameters}


_probing = threading.Lock()
_known: dict[_Place, _Conditions] = {}


def _forked() -> None:
    """A thread of the parent may be probing; what was found out holds for the child too."""
    global _probing
    _probing = threading.Lock()


os.register_at_fork(after_in_child=_forked)
