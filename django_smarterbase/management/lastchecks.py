"""What the last check of each table has found: one object a database, so that the admin can show it without checking.

``{"tables": {table: {"at", "epoch", "sample", "documents", "sound", "drift", "indexes": {name: per cent}}}}``. It tells
of the past only; nothing relies on it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ..backend.resources import Resources
from ..exceptions import PreconditionFailed, StorageUnavailable
from ..indexes.service import TableFindings

logger = logging.getLogger("django_smarterbase.index")

_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class LastCheck:
    """One table's. ``epoch`` is that of the index that was compared, None when none was trusted.

    ``sample`` is how many documents were to be looked at (None: all), ``documents`` how many were. ``drift`` and
    ``indexes`` (``{name: drift}``) are per cent of wrong entries.
    """

    at: datetime
    epoch: str | None
    sample: int | None
    documents: int
    sound: bool
    drift: float
    indexes: Mapping[str, float]

    @classmethod
    def of(cls, findings: TableFindings, sample: int | None, *, sound: bool) -> LastCheck:
        """What was found just now."""
        state = findings.state
        return cls(
            at=datetime.now(UTC),
            epoch=state.marker.epoch if state.trusted and state.marker is not None else None,
            sample=sample,
            documents=findings.documents,
            sound=sound,
            drift=findings.drift,
            indexes={index.name: index.drift for index in findings.indexes},
        )


class LastChecks:
    """The object of one database."""

    def __init__(self, resources: Resources) -> None:
        self._store = resources.store
        self._key = resources.keys.checks()
        self._origin = resources.origin

    def read(self) -> dict[str, LastCheck]:
        """``{table: its last check}``: one GET. What cannot be read counts as nothing. Raises StorageUnavailable."""
        stored = self._store.get(self._key)
        return {} if stored is None else self._parse(stored.body)

    def note(self, checks: Mapping[str, LastCheck]) -> None:
        """Remember these: one GET and one PUT. A store that refuses is logged: the check itself was made."""
        try:
            if self._put(checks):
                return
            problem = f"others changed it {_ATTEMPTS} times meanwhile"
        except (StorageUnavailable, OSError) as error:
            problem = str(error)
        logger.warning(
            "What the check has found is not kept in %r for the admin: %s",
            self._key,
            problem,
            extra={"event": "check_not_kept", **self._origin, "key": self._key, "detail": problem},
        )

    def _put(self, checks: Mapping[str, LastCheck]) -> bool:
        for _ in range(_ATTEMPTS):
            stored = self._store.get(self._key)
            known = {} if stored is None else self._parse(stored.body)
            etag = None if stored is None else stored.etag
            try:
                self._store.put(self._key, _serialize({**known, **checks}), if_match=etag, if_absent=etag is None)
            except PreconditionFailed:
                continue
            return True
        return False

    def _parse(self, body: bytes) -> dict[str, LastCheck]:
        try:
            return {table: _check(raw) for table, raw in orjson.loads(body)["tables"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning(
                "%r is not a list of checks (%.200r) and will be replaced by the next check.",
                self._key,
                error,
                extra={"event": "checks_unreadable", **self._origin, "key": self._key},
            )
            return {}


def _check(raw: dict[str, Any]) -> LastCheck:
    at, epoch, sample = datetime.fromisoformat(raw["at"]), raw["epoch"], raw["sample"]
    if at.tzinfo is None:
        raise ValueError(f"{raw['at']!r} has no time zone")
    return LastCheck(
        at=at,
        epoch=None if epoch is None else str(epoch),
        sample=None if sample is None else int(sample),
        documents=int(raw["documents"]),
        sound=bool(raw["sound"]),
        drift=float(raw["drift"]),
        indexes={str(name): float(drift) for name, drift in raw["indexes"].items()},
    )


def _serialize(checks: Mapping[str, LastCheck]) -> bytes:
    tables = {table: asdict(check) for table, check in checks.items()}
    return orjson.dumps({"tables": tables}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
