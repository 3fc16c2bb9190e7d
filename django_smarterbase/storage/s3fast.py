"""Reads the objects of a bucket through obstore (the extra ``fast``), for a tenth of the CPU time that boto3 takes.

It asks what boto3 would ask: host, addressing, region and signature are those of a request that boto3 has made up, and
credentials come from boto3's session, which renews them. What cannot be carried over is left to boto3, and said once.

obstore works with threads of its own, which a forked child does not have: there it would wait for ever. So a child
whose parent has imported obstore reads through boto3.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.credentials import Credentials
from storages.backends.s3 import S3Storage

from ..conf import Options
from .s3client import BrokenOff, Missing, S3Client, Sample

if TYPE_CHECKING:
    from obstore.store import S3Store as Bucket

logger = logging.getLogger("django_smarterbase.storage")

_CREDENTIALS_KEPT: Final = timedelta(minutes=10)  # boto3 renews its own 15 minutes before they end
_SIGNATURES: Final = ("s3v4", "v4")
_USUAL_HEADERS: Final = frozenset(("user-agent", "x-amz-checksum-mode"))
_NO_OBJECT: Final = "<Code>NoSuchKey</Code>"
_REFUSAL: Final = re.compile(r"status code: [34]\d\d")
_FORKED: Final = "this process was forked from one that had imported obstore"
_DETAILS: Final = "\n\nDebug source"  # what obstore adds to a message, for its own developers


class Unsuited(Exception):  # never leaves the adapter, which asks boto3 instead
    """obstore cannot do this as boto3 does it; the message says why."""


@dataclass(frozen=True, slots=True)
class FastReader:
    """Reads single objects. Thread-safe; waits without the GIL, so that threads of a pool read side by side."""

    bucket: Bucket
    client: S3Client

    def fetch(self, key: str, name: str) -> tuple[bytes, str]:
        """The body and the ETag of the object ``name`` in the bucket, in one request; ``key`` is for messages.

        Raises Missing, BrokenOff when another attempt may succeed, and Unsuited for a request that was refused.
        """
        import obstore
        from obstore.exceptions import BaseError, GenericError

        try:
            with self.client.turn():
                result = obstore.get(self.bucket, name)
                body, etag = bytes(result.bytes()), result.meta["e_tag"]
        except FileNotFoundError as error:
            if _NO_OBJECT in str(error):
                raise Missing(key) from error
            raise Unsuited(_said(error)) from error
        except GenericError as error:
            if _REFUSAL.search(str(error)) is None:
                raise BrokenOff(_said(error)) from error
            raise Unsuited(_said(error)) from error
        except (BaseError, ValueError) as error:  # ValueError: a name that it would write in another way
            raise Unsuited(_said(error)) from error
        if etag is None:
            raise Unsuited("the server gives no ETag")
        return body, etag


class FastReads:
    """The reader of one storage, opened when many objects are first read. Thread-safe.

    There is none where obstore is not installed, and none, which is logged once, where its requests must be boto3's.
    """

    def __init__(self, storage: S3Storage, client: S3Client, options: Options) -> None:
        self._storage = storage
        self._client = client
        self._options = options
        self._lock = threading.Lock()
        self._reader: FastReader | None = None
        self._is_open = find_spec("obstore") is None

    def reader(self) -> FastReader | None:
        """What to read many objects with, unless it is boto3. Makes no request."""
        if not self._is_open:
            with self._lock:
                if not self._is_open:
                    self._open()
        if self._reader is not None and _forked_from_user:
            self.give_up(_FORKED)
        return self._reader

    def give_up(self, reason: str) -> None:
        """Leave all further objects to boto3, and log why."""
        self._reader = None
        logger.warning(
            "Objects of the storage %r are read through boto3, not through obstore: %s.",
            self._options.storage,
            reason,
            extra={"event": "fast_reads_off", "storage": self._options.storage, "detail": reason},
        )

    def _open(self) -> None:
        try:
            self._reader = FastReader(_bucket(self._storage, self._client, self._options), self._client)
        except Unsuited as reason:
            self.give_up(str(reason))
        self._is_open = True


def _bucket(storage: S3Storage, client: S3Client, options: Options) -> Bucket:
    if _forked_from_user:
        raise Unsuited(_FORKED)
    if type(storage).connection is not S3Storage.connection:
        raise Unsuited("the class of the storage makes its connections itself")
    sample = client.sample()
    _refuse_peculiarities(sample)
    given, provider = _credentials(storage)
    bucket: Bucket = import_module("obstore.store").S3Store(
        storage.bucket_name,
        endpoint=sample.place,  # with the bucket in its host or its path: so none is added
        virtual_hosted_style_request=True,
        region=sample.region,
        **given,
        credential_provider=provider,
        client_options=_client_options(storage, client, options),
        retry_config={"max_retries": 0},
    )
    return bucket


def _refuse_peculiarities(sample: Sample) -> None:
    if sample.signature not in _SIGNATURES:
        raise Unsuited(f"its requests are signed in another way ({sample.signature!r})")
    peculiar = sorted(name for name in sample.headers if name.lower() not in _USUAL_HEADERS)
    if peculiar:
        raise Unsuited(f"its requests have headers of their own ({', '.join(peculiar)})")


def _credentials(storage: S3Storage) -> tuple[dict[str, str], Any]:
    """What is the same for ever, or else what to call for those of the moment."""
    credentials = storage._create_session().get_credentials()
    if credentials is None:
        raise Unsuited("boto3 finds no credentials")
    if type(credentials) is not Credentials:
        return {}, lambda: _of_the_moment(credentials)
    given = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
    return ({**given, "session_token": credentials.token} if credentials.token else given), None


def _of_the_moment(credentials: Credentials) -> Mapping[str, Any]:
    frozen = credentials.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "token": frozen.token,
        "expires_at": datetime.now(UTC) + _CREDENTIALS_KEPT,
    }


def _client_options(storage: S3Storage, client: S3Client, options: Options) -> dict[str, Any]:
    config: Any = client.config()  # botocore-stubs know none of its options
    for name in ("proxies", "client_cert"):
        if getattr(config, name):
            raise Unsuited(f"its client_config has {name}")
    limits = {
        "connect_timeout": timedelta(seconds=config.connect_timeout),
        "read_timeout": timedelta(seconds=config.read_timeout),
        "timeout": timedelta(seconds=max(config.read_timeout, options.write_deadline / 2)),
    }
    return {"allow_http": True, **limits, **_trust(storage)}


def _trust(storage: S3Storage) -> dict[str, Any]:
    """Whose certificates are accepted: as boto3 has it, but that the system's authorities count beside one's own."""
    bundle = storage.verify
    if bundle is None:
        bundle = botocore.session.Session(profile=storage.session_profile).get_config_variable("ca_bundle")
    if bundle in (None, True):
        return {}
    if bundle is False:
        return {"allow_invalid_certificates": True}
    try:
        return {"root_certificate": Path(bundle).read_bytes()}
    except OSError as error:
        raise Unsuited(f"its certificates are no file that can be read ({error})") from error


def _said(error: Exception) -> str:
    return str(error).partition(_DETAILS)[0]


_forked_from_user = False


def _forked() -> None:
    global _forked_from_user
    _forked_from_user = _forked_from_user or "obstore" in sys.modules


os.register_at_fork(after_in_child=_forked)
