"""The record of one statement: how its rows were found, what that took, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

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
    """One statement as it was carried out. No value that a query filters by or writes appears in it, unless the
    option ``show_values`` is on: then the values that its conditions compare with stand in ``filter_values``.

    ``method`` names the operation: what ``.named()`` said, otherwise the calling function. A transaction's COMMIT is a
    statement of its own (operation "commit"), whose results are the documents that it wrote. ``model`` is the model's
    label, None for raw SQL. ``complexity`` is "O(n)" when a whole table was read. ``index_used`` is ``KEY``,
    ``redis:<index name>`` or ``FULL_SCAN``. ``filter_fields`` are names of model fields, in the order of the
    conditions. ``candidates`` counts the documents that the access paths named, ``result_count`` the rows returned,
    changed or, by a ``count()``, counted (None when the caller left before the last one). ``fallback`` is True when an
    index should have answered but was not trusted, for ``fallback_reason``. ``skipped_documents`` counts unreadable
    documents that a scan passed over. ``duration`` is in ms, ``started_at`` is aware and in UTC. ``error`` is the class
    name of the exception that ended the statement: a message might quote values.

    ``plan`` are the lines of the executed plan, as ``explain()`` prints them; a COMMIT has none. ``fingerprint`` is
    equal for statements of one process with the same SQL and parameters, and tells nobody what these are (see
    ``profiling.fingerprint``); "" for a COMMIT. ``filter_values`` are conditions as a query set's arguments say them
    (``"status='published'"``), None unless ``show_values`` is on. ``tenant`` is the tenant of ``database`` for which
    the statement ran, None outside of any.
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
    plan: tuple[str, ...] = ()
    fingerprint: str = ""
    filter_values: tuple[str, ...] | None = None
    tenant: str | None = None

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
            **{name: getattr(self, name) for name in _NAMES},
            **{name: list(getattr(self, name)) for name in ("filter_fields", "plan")},
            "storage_ops": _counters(self.storage_ops),
            "redis_ops": _counters(self.redis_ops),
            "filter_values": None if self.filter_values is None else list(self.filter_values),
            "started_at": self.started_at.isoformat(),
            "bytes_read": self.bytes_read,
            "full_scan": self.full_scan,
            "cost_usd": self.cost_usd,
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """The profile that ``as_dict`` made ``facts`` of, whichever version of this package did.

        Names that this version does not know are ignored, and what is missing is taken to be as by default. Raises
        KeyError, TypeError or ValueError for what is no profile.
        """
        known = {name: facts[name] for name in _NAMES if name in facts}
        for name in ("filter_fields", "plan", "filter_values"):
            if known.get(name) is not None:
                known[name] = tuple(known[name])
        known["started_at"] = datetime.fromisoformat(facts["started_at"])
        known["storage_ops"] = _from_counters(StorageOps, facts.get("storage_ops", {}))
        known["redis_ops"] = _from_counters(RedisOps, facts.get("redis_ops", {}))
        return cls(**known)

    def render(self, *, indent: int = 3) -> str:
        """A block of lines for a terminal, ``indent`` spaces from the left, without a final newline."""
        heading = f"• {self.method}: {self.complexity}{' [FALLBACK]' if self.fallback else ''}"
        lines = [heading, *(f"  - {name}: {value}" for name, value in self._facts())]
        return "\n".join(" " * indent + line for line in lines)

    def _facts(self) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = [] if self.tenant is None else [("Tenant", self.tenant)]
        facts += [("Index", self.index_used), ("Storage ops", self.storage_ops.total)]
        if self.storage_ops.system:
            facts.append(("System ops", self.storage_ops.system))
        facts += [(name, value) for name, value in self._spared() if value]
        facts.append(("Results", "unknown" if self.result_count is None else self.result_count))
        if self.skipped_documents:
            facts.append(("Skipped documents", self.skipped_documents))
        if self.fallback:
            facts.append(("Fallback", self.fallback_reason))
        if self.error:
            facts.append(("Error", self.error))
        return [*facts, ("Duration", f"{self.duration:.1f} ms")]

    def _spared(self) -> list[tuple[str, object]]:
        """What packs and the document cache did; what is false is not worth a line."""
        ops = self.storage_ops
        looked_for = ops.cache_hits + ops.cache_misses
        return [
            ("Documents from packs", ops.packed),
            ("Unusable packs", ops.pack_failures),
            ("Documents from the cache", looked_for and f"{ops.cache_hits} of {looked_for}, {ops.bytes_saved} bytes"),
            ("Failures of the cache", ops.cache_failures),
        ]


_NAMES = tuple(each.name for each in fields(QueryProfile))
_Counters = TypeVar("_Counters", StorageOps, RedisOps)


def _counters(ops: StorageOps | RedisOps) -> dict[str, int]:
    return {each.name: getattr(ops, each.name) for each in fields(ops)}


def _from_counters(kind: type[_Counters], counters: Mapping[str, int]) -> _Counters:
    return kind(**{each.name: counters[each.name] for each in fields(kind) if each.name in counters})
