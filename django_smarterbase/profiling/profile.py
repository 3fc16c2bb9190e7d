"""The record of one statement: how its rows were found, what that took, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling.prices import prices

Complexity = Literal["O(1)", "O(n)"]
Operation = Literal["select", "insert", "update", "delete", "raw", "commit"]

#: ``index_used`` of a statement that names its documents by primary key, or reads none.
KEY = "key"
#: ``index_used`` of a statement that read a whole table.
FULL_SCAN = "none:full-scan"


def redis_index(name: str) -> str:
    """``index_used`` of a statement that was narrowed by the index ``name``."""
    return f"redis:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryProfile:
    """One statement as it was carried out. No value that a query filters by or writes appears in it.

    ``method`` names the operation: what ``.named()`` said, otherwise the calling function. A transaction's COMMIT is a
    statement of its own (operation "commit"), whose results are the documents that it wrote. ``model`` is the model's
    label, None for raw SQL. ``complexity`` is "O(n)" when a whole table was read. ``index_used`` is ``KEY``,
    ``redis:<index name>`` or ``FULL_SCAN``. ``filter_fields`` are names of model fields, in the order of the
    conditions. ``candidates`` counts the documents that the access paths named, ``result_count`` the rows returned,
    changed or, by a ``count()``, counted (None when the caller left before the last one). ``fallback`` is True when an
    index should have answered but was not trusted, for ``fallback_reason``. ``skipped_documents`` counts unreadable
    documents that a scan passed over. ``duration`` is in ms, ``started_at`` is aware and in UTC. ``error`` is the class
    name of the exception that ended the statement: a message might quote values.
    """

    method: str
    model: str | None
    database: str
    operation: Operation
    complexity: Complexity
    index_used: str
    started_at: datetime
    duration: float
    filter_fields: tuple[str, ...] = ()
    storage_ops: StorageOps = field(default_factory=StorageOps)
    redis_ops: RedisOps = field(default_factory=RedisOps)
    candidates: int = 0
    result_count: int | None = None
    skipped_documents: int = 0
    fallback: bool = False
    fallback_reason: str | None = None
    error: str | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes of documents read from the object store."""
        return self.storage_ops.bytes_read

    @property
    def full_scan(self) -> bool:
        """Whether a whole table was read."""
        return self.complexity == "O(n)"

    @property
    def cost_usd(self) -> float:
        """What the requests to the object store cost in US dollars, at the prices in force now."""
        return prices().cost(self.storage_ops)

    def as_dict(self) -> dict[str, Any]:
        """Every attribute, of JSON types only: counters as dicts, ``started_at`` in ISO 8601."""
        return {
            **asdict(self),
            "filter_fields": list(self.filter_fields),
            "started_at": self.started_at.isoformat(),
            "bytes_read": self.bytes_read,
            "full_scan": self.full_scan,
            "cost_usd": self.cost_usd,
        }

    def render(self, *, indent: int = 3) -> str:
        """A block of lines for a terminal, ``indent`` spaces from the left, without a final newline."""
        heading = f"• {self.method}: {self.complexity}{' [FALLBACK]' if self.fallback else ''}"
        lines = [heading, *(f"  - {name}: {value}" for name, value in self._facts())]
        return "\n".join(" " * indent + line for line in lines)

    def _facts(self) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = [("Index", self.index_used), ("Storage ops", self.storage_ops.total)]
        if self.storage_ops.system:
            facts.append(("System ops", self.storage_ops.system))
        facts.append(("Results", "unknown" if self.result_count is None else self.result_count))
        if self.skipped_documents:
            facts.append(("Skipped documents", self.skipped_documents))
        if self.fallback:
            facts.append(("Fallback", self.fallback_reason))
        if self.error:
            facts.append(("Error", self.error))
        return [*facts, ("Duration", f"{self.duration:.1f} ms")]
