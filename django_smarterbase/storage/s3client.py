"""The client of an ``S3Storage``, and the meaning of its errors."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from ..conf import Options
from ..exceptions import DeadlinePassed, SmarterBaseError, StorageUnavailable
from ..signals import send, storage_request_failed, storage_request_retried
from .conditions import in_time

_ATTEMPTS = 3
_SHORTEST_TIMEOUT = 1.0  # seconds
_CONNECT_SHARE = 15  # of the write deadline: three attempts to connect and to read stay within it
_READ_SHARE = 5
_LONGEST_SHARE = 2  # of the write deadline, that one attempt is reckoned to take at most: else none would be begun
_MISSING = frozenset(("NoSuchKey", "404", "NotFound"))
_ANY_KEY: Final = "key"


class Answer(SmarterBaseError):
    """A plain answer that is not success. ``repeated``: an earlier attempt of the request may have been applied."""

    def __init__(self, key: str, repeated: bool = False) -> None:
        super().__init__(key)
        self.repeated = repeated


class Missing(Answer):
    """There is no such object (404)."""


class NotModified(Answer):
    """The object still has the ETag that the request named (304)."""


class Refused(Answer):
    """The condition of a request does not hold (412)."""


class Unsettled(Answer):
    """Another conditional request for the object is under way (409)."""


class Unsupported(Answer):
    """The server does not know this kind of request (501)."""


class BrokenOff(Exception):  # never leaves the adapter
    """A body that did not come to its end, or an attempt that is to be repeated by who reads."""


class Sample(NamedTuple):
    """What a request for an object looks like: ``place`` is its URL without slash and key."""

    place: str
    region: str
    signature: object
    headers: Mapping[str, str]


class _Sampled(Exception):  # not an error: the request has been looked at, and is not to be sent
    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.place)
        self.sample = sample


@dataclass(slots=True)
class _Sending:
    """A request, its deadline (``time.monotonic``) if it has one, and how often it was sent so far."""

    operation: str
    key: str
    deadline: float | None
    sent: int = 0


_sending: ContextVar[_Sending | None] = ContextVar("smarterbase_s3_sending", default=None)
_sampling: ContextVar[bool] = ContextVar("smarterbase_s3_sampling", default=False)


class S3Client:
    """Sends requests through ``storage.connection.meta.client``, of one client for all threads of a process.

    The client is the storage's own but for its configuration: where ``client_config`` says nothing, its timeouts are
    such that all attempts end within ``write_deadline``, retries are botocore's standard mode, and the pool holds a
    connection for each request that may be under way. (The adaptive mode would hold requests back without bound after a
    503, so that one key that fails lets the writes of all others miss their deadline.)

    No more than ``concurrency`` requests are under way, however many threads ask. The others wait for their turn here,
    where no timeout of a request runs yet.
    """

    def __init__(self, storage: S3Storage, options: Options) -> None:
        self._storage = storage
        self._alias = options.storage
        self._defaults = Config(
            max_pool_connections=max(10, options.concurrency),
            connect_timeout=max(_SHORTEST_TIMEOUT, options.write_deadline / _CONNECT_SHARE),
            read_timeout=max(_SHORTEST_TIMEOUT, options.write_deadline / _READ_SHARE),
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        self._longest = options.write_deadline / _LONGEST_SHARE
        self._attempt = self._longest
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(max(1, int(options.concurrency)))
        self._client: Any = None
        self._pid = 0

    def send(self, operation: str, key: str, deadline: float | None = None, **parameters: Any) -> Mapping[str, Any]:
        """Send one request when it is its turn, and return its response. ``key`` is for the message.

        No attempt is begun that might not be over by ``deadline``. Raises Missing, NotModified, Refused, Unsettled,
        Unsupported, StorageUnavailable, and DeadlinePassed when it was never sent.
        """
        with self._turns:
            return self._sent(operation, key, deadline, parameters)

    def fetch(self, key: str, **parameters: Any) -> tuple[bytes, str]:
        """The body and the ETag of an object, in one turn. Raises as ``send``, and BrokenOff for a body cut short."""
        with self._turns:
            response = self._sent("get_object", key, None, parameters)
            try:
                return bytes(response["Body"].read()), response["ETag"]
            except BotoCoreError as error:
                raise BrokenOff(str(error)) from error

    def turn(self) -> AbstractContextManager[object]:
        """Within it one request may be under way, as one of ``concurrency``."""
        return self._turns

    def config(self) -> Config:
        """The configuration of the client, its time limits filled in."""
        config: Config = self._connected().meta.config
        return config

    def sample(self) -> Sample:
        """What a request for an object looks like. None is sent."""
        token = _sampling.set(True)
        try:
            self._connected().get_object(Bucket=self._storage.bucket_name, Key=_ANY_KEY)
        except _Sampled as sampled:
            return sampled.sample
        finally:
            _sampling.reset(token)
        raise AssertionError("A request was sent that was only to be looked at.")

    def _sent(
        self, operation: str, key: str, deadline: float | None, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        sending = _Sending(operation, key, deadline)
        token = _sending.set(sending)
        try:
            response: Mapping[str, Any] = getattr(self._connected(), operation)(
                Bucket=self._storage.bucket_name, **parameters
            )
        except ClientError as error:
            raise self._meaning(error, key) from error
        except BotoCoreError as error:
            raise self.unavailable(key, error) from error
        except DeadlinePassed as late:
            if not sending.sent:
                raise
            raise self.unavailable(key, late) from late
        finally:
            _sending.reset(token)
        return response

    def retried(self, operation: str, key: str, attempt: int) -> None:
        """Say that a request is sent for another time, after ``attempt`` of them."""
        send(
            storage_request_retried,
            S3Client,
            storage=self._alias,
            operation=operation,
            key=key,
            attempt=attempt,
        )

    def unavailable(self, key: str, error: Exception) -> StorageUnavailable:
        """The error for a request that got no answer, or one that says neither yes nor no."""
        send(storage_request_failed, S3Client, storage=self._alias, key=key, error=error)
        return StorageUnavailable(
            f"The S3 bucket {self._storage.bucket_name!r} at {self._endpoint()} failed for {key!r}: {error}. Check "
            "that the endpoint is reachable, that the bucket exists and that the credentials permit s3:GetObject, "
            "s3:PutObject, s3:DeleteObject and s3:ListBucket."
        )

    def _endpoint(self) -> str:
        """Where requests go, which the environment or a profile may have named."""
        if self._client is not None:
            return str(self._client.meta.endpoint_url)
        return self._storage.endpoint_url or "AWS"

    def _connected(self) -> Any:
        with self._lock:
            # A forked child must not share its parent's sockets.
            if self._client is None or self._pid != os.getpid():
                own = copy.copy(self._storage)  # a copy starts without connections
                own.client_config = self._defaults.merge(self._storage.client_config)
                self._client, self._pid = own.connection.meta.client, os.getpid()
                self._client.meta.events.register("before-send.s3", self._before_attempt)
                self._client.meta.events.register("before-sign.s3.GetObject", _before_signing)
                limits = self._client.meta.config
                self._attempt = min(self._longest, limits.connect_timeout + limits.read_timeout)
            return self._client

    def _before_attempt(self, **_event: Any) -> None:
        sending = _sending.get()
        if sending is None:
            return
        in_time(sending.key, sending.deadline, self._attempt)
        if sending.sent:
            self.retried(sending.operation, sending.key, sending.sent)
        sending.sent += 1

    def _meaning(self, error: ClientError, key: str) -> SmarterBaseError:
        response: Mapping[str, Any] = error.response
        metadata = response.get("ResponseMetadata", {})
        code = response.get("Error", {}).get("Code", "")
        repeated = metadata.get("RetryAttempts", 0) > 0
        match metadata.get("HTTPStatusCode"):
            case 404 if code in _MISSING:
                return Missing(key, repeated)
            case 304:
                return NotModified(key, repeated)
            case 412:
                return Refused(key, repeated)
            case 409:
                return Unsettled(f"another conditional request for {key!r} is under way", repeated)
            case 501:
                return Unsupported(key)
        return self.unavailable(key, error)


def _before_signing(
    request: Any = None, region_name: str = "", signature_version: object = None, **_event: Any
) -> None:
    if _sampling.get():
        place = request.url.removesuffix(f"/{_ANY_KEY}")
        raise _Sampled(Sample(place, region_name, signature_version, dict(request.headers)))
