"""How often and how soon a statement, or a transaction, is run again that met a faster writer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db.utils import IntegrityError

from django_smarterbase.backend.document_writes import WriteFailed
from django_smarterbase.exceptions import ConflictError

T = TypeVar("T")

MAX_ATTEMPTS: Final = 12
_FIRST_PAUSE: Final = 0.002  # seconds
_LONGEST_PAUSE: Final = 0.25


def pause(attempt: int) -> None:
    """Wait a random while, longer after each attempt, so that competing writers do not meet again in step."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))


def again_after_conflicts(work: Callable[[], T]) -> T:
    """Do ``work``, which is a transaction by itself, again as long as others are faster, MAX_ATTEMPTS times at most.

    Raises what it raises otherwise, and the error of the last attempt.
    """
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            return work()
        except (ConflictError, IntegrityError) as error:
            if not _was_taken_back(error):
                raise
        pause(attempt)
    return work()


def _was_taken_back(error: ConflictError | IntegrityError) -> bool:
    """Whether COMMIT said it, and nothing is left of the transaction. What SQLite says will be said again; and of one
    that another process decides nobody knows yet what becomes of it."""
    if isinstance(error.__cause__, WriteFailed):
        return not error.__cause__.standing
    return type(error) is ConflictError
