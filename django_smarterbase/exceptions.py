"""The error hierarchy.

SmarterBaseError
├── ConflictError          (OperationalError)  another writer changed a document that this one had read
├── CorruptDocument        (DataError)         a stored object is not a document of its table
├── ScanBudgetExceeded     (OperationalError)  a scan would read more than ``max_scan_objects``
├── FullScanRefused        (OperationalError)  ``require_index()`` and no index can answer
├── IndexUnavailable       (OperationalError)  Redis cannot answer and the caller asked for no fallback
├── PackingFailed          (OperationalError)  the documents of a table could not be packed
├── LockNotAvailable       (OperationalError)  another transaction has locked a row
├── InvalidTenant          (ValueError)        what cannot be the name of a tenant
├── TenantInTransaction    (TransactionManagementError)  the tenant was switched within a transaction
├── HistoryUnavailable                         the history of profiles could not be cleared
├── StorageUnavailable     (OperationalError)  the object store cannot be reached
├── PreconditionFailed                         a conditional write met another ETag; inside the package only
└── DeadlinePassed                             a write was not begun, as it was too late; inside the package only

Every message names what was concerned (model, key, value), the limit that was met, and a remedy.
"""

from typing import Final

from django.db.transaction import TransactionManagementError
from django.db.utils import DataError, OperationalError

_MEND: Final = 'Mend or remove the object, or set the option on_corrupt = "skip" to let scans pass over it.'


class SmarterBaseError(Exception):
    """Base of every error that this package raises on purpose."""


class ConflictError(SmarterBaseError, OperationalError):
    """Another writer changed a document between its read and its write, and nothing was applied."""


class CorruptDocument(SmarterBaseError, DataError):
    """A stored object cannot be read as a document of its table, or as the system object that its key says.

    The message names the key and the ``remedy``.
    """

    def __init__(self, key: str, problem: str, remedy: str = _MEND) -> None:
        super().__init__(f"The object {key!r} is not a readable document: {problem}. {remedy}")
        self.key = key
        self.problem = problem


class ScanBudgetExceeded(SmarterBaseError, OperationalError):
    """A scan met more objects than the option ``max_scan_objects`` permits."""


class FullScanRefused(SmarterBaseError, OperationalError):
    """A query that asked for ``require_index()`` could only be answered by a scan."""


class IndexUnavailable(SmarterBaseError, OperationalError):
    """The index cannot be trusted or reached, and the operation may not go on without it."""


class PackingFailed(SmarterBaseError, OperationalError):
    """The documents of a table were not packed. Queries go on with the packs that there were, or without."""


class LockNotAvailable(SmarterBaseError, OperationalError):
    """A row is locked by another transaction: for too long, or ``nowait`` was asked for."""


class InvalidTenant(SmarterBaseError, ValueError):
    """A name that no tenant can have: empty, too long, or no text."""


class TenantInTransaction(SmarterBaseError, TransactionManagementError):
    """A transaction belongs to one tenant, and was to go on for another."""


class HistoryUnavailable(SmarterBaseError):
    """The history of profiles was to be cleared, and Redis cannot be reached."""


class StorageUnavailable(SmarterBaseError, OperationalError):
    """The object store did not answer."""


class PreconditionFailed(SmarterBaseError):
    """A conditional write found another ETag, or an object where none was expected. Nothing was written."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The object {key!r} is not in the state that this conditional write expected.")
        self.key = key


class DeadlinePassed(SmarterBaseError):
    """A write was not begun, since it might have taken effect after its deadline. Nothing was written."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The object {key!r} was not written, since too little was left of its write deadline.")
        self.key = key
