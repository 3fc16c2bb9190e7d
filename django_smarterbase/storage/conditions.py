"""The conditions of a write, and their application to a batch of writes; the same in every adapter."""

from __future__ import annotations

import time

from ..exceptions import DeadlinePassed, PreconditionFailed, SmarterBaseError
from .base import ObjectStore, Write, Written


def demand(key: str, etag: str | None, if_match: str | None, if_absent: bool) -> None:
    """Raise PreconditionFailed unless an object with ``etag`` (None: there is none) meets the condition."""
    if (if_absent and etag is not None) or (if_match is not None and etag != if_match):
        raise PreconditionFailed(key)


def in_time(key: str, deadline: float | None, needed: float = 0.0) -> None:
    """Raise DeadlinePassed unless ``needed`` seconds are left until ``deadline`` (``time.monotonic``)."""
    if deadline is not None and time.monotonic() + needed > deadline:
        raise DeadlinePassed(key)


def apply(store: ObjectStore, write: Write) -> Written:
    """Put or delete as ``write`` says; an error of this package becomes part of the outcome."""
    try:
        if write.body is None:
            store.delete(write.key, if_match=write.if_match, deadline=write.deadline)
            return Written(write, None, None)
        etag = store.put(
            write.key, write.body, if_match=write.if_match, if_absent=write.if_absent, deadline=write.deadline
        )
    except SmarterBaseError as error:
        return Written(write, None, error)
    return Written(write, etag, None)
