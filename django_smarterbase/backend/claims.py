"""Claims: a unique value is held by an object that only one document can create.

``_sb/unique/<table>/<rule>/<digest>.json`` holds ``{"table", "stem"}`` and is created on the condition that it does not
exist, *before* the document that holds the value is written; the document lists its claims in ``_claims``. So two
documents never hold one value, whatever becomes of Redis. A writer that dies in between leaves an orphan: a claim whose
document does not list it. It is taken over when it has not changed for ``write_deadline``, in which its writer must
have written the document or given up, and when no transaction is under way any more that may be taken back, after which
the document would hold the value again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson
from uuid_utils import uuid7

from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.uniqueness import held_claims, is_plain, plain_claims
from django_smarterbase.exceptions import CorruptDocument, PreconditionFailed, StorageUnavailable
from django_smarterbase.signals import claim_refused, send
from django_smarterbase.steps import reach
from django_smarterbase.storage.base import Stored, Write
from django_smarterbase.storage.keys import is_stem
from django_smarterbase.tables import TableSchema

logger = logging.getLogger("django_smarterbase.storage")

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.2
_MEND: Final = (
    'Write {"stem": <stem>} into it, of the document that lists the claim in its _claims, or remove the object when no '
    "document does."
)


class ClaimTaken(Exception):
    """Another document holds the value. Never leaves the backend."""

    def __init__(self, claim: str, holder: str) -> None:
        super().__init__(f"The claim {claim!r} is held by the document {holder!r}.")
        self.claim = claim
        self.holder = holder

    @property
    def rule(self) -> str:
        """The name of the rule that the claim belongs to."""
        return claim_rule(self.claim)


class DocumentClaim(NamedTuple):
    """A claim that a document (its stem) of a table is to take, or to give up."""

    table: str
    stem: str
    claim: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """A claim that was taken for ``document`` (its key).

    ``etag`` is the claim's now, ``before`` the body that it is given back with (None: it is removed).
    """

    document: str
    key: str
    etag: str
    before: bytes | None


def _nothing_released(_table: str, _stem: str, _claim: str) -> bool:
    return False


def _nothing_to_wait_for() -> None:
    pass


@dataclass
class ClaimBook:
    """The claims of one unit of work. ``schema_of`` finds a table's schema by its name.

    ``released`` tells whether a document of the unit gives up a claim: ``(table, stem, claim)``.
    ``await_transactions`` returns when those that are under way now are decided.
    """

    resources: Resources
    schema_of: Callable[[str], TableSchema | None]
    released: Callable[[str, str, str], bool] = _nothing_released
    await_transactions: Callable[[], None] = _nothing_to_wait_for
    taken: dict[str, _Taken] = field(default_factory=dict)  # by the claims' keys, in the order of their taking

    def take_free(self, wanted: Iterable[DocumentClaim]) -> set[DocumentClaim]:
        """Take those claims that nobody holds, in parallel: one request each. Gives the others, for ``take``.

        Raises StorageUnavailable; those taken stay until ``give_back``.
        """
        by_key: dict[str, DocumentClaim] = {}
        contested, failures = set[DocumentClaim](), list[Exception]()
        for each in wanted:
            if by_key.setdefault(claim_key(self.resources, each.table, each.claim), each) is not each:
                contested.add(each)
        claims = [Write(key, _body(each.table, each.stem), if_absent=True) for key, each in by_key.items()]
        for claim, etag, error in self.resources.store.write_many(claims):
            each = by_key[claim.key]
            if error is None and etag is not None:
                self._note(self.resources.keys.document(each.table, each.stem), claim.key, etag, None)
                reach("claim-taken")
            elif isinstance(error, PreconditionFailed):
                contested.add(each)
            elif error is not None:
                failures.append(error)
        if failures:
            raise failures[0]
        return contested

    def take(self, table: str, stem: str, claims: Iterable[str], *, contested: bool = False) -> None:
        """Take the claims for one document, or renew them. Raises ClaimTaken; those taken stay until ``give_back``.

        ``contested`` ones have just been seen to be held.
        """
        for claim in claims:
            self._take(table, stem, claim, contested=contested)
            reach("claim-taken")

    def _take(self, table: str, stem: str, claim: str, *, contested: bool) -> None:
        store, key, body = self.resources.store, claim_key(self.resources, table, claim), _body(table, stem)
        document = self.resources.keys.document(table, stem)
        watch = _Watch(self.resources.options.write_deadline)
        while True:
            try:
                if not contested:
                    self._note(document, key, store.put(key, body, if_absent=True), None)
                    return
            except PreconditionFailed:
                pass
            contested, stored = False, store.get(key)
            if stored is None:
                continue
            holder = holder_of(key, stored)
            free = holder == stem or self.released(table, holder, claim)
            if not free and watch.is_orphan(stored.etag):
                self.await_transactions()
                free = not self._holds(table, holder, claim)
            if free:
                try:
                    self._note(document, key, store.put(key, body, if_match=stored.etag), stored.body)
                    return
                except PreconditionFailed:
                    continue
            if self._holds(table, holder, claim):
                send(claim_refused, ClaimBook, database=self.resources.database, table=table, rule=claim_rule(claim))
                raise ClaimTaken(claim, holder)
            watch.pause()

    def _note(self, document: str, key: str, etag: str, before: bytes | None) -> None:
        earlier = self.taken.get(key)
        self.taken[key] = _Taken(document, key, etag, before if earlier is None else earlier.before)

    def give_back(self, standing: Collection[str] = ()) -> None:
        """Undo what was taken, last first; what another has taken over since is its own. Raises StorageUnavailable.

        The documents ``standing`` (keys) could not be taken back and hold their claims on.
        """
        while self.taken:
            _key, taken = self.taken.popitem()
            if taken.document in standing:
                continue
            try:
                if taken.before is None:
                    self.resources.store.delete(taken.key, if_match=taken.etag)
                else:
                    self.resources.store.put(taken.key, taken.before, if_match=taken.etag)
            except PreconditionFailed:
                continue

    def abandon(self, standing: Collection[str] = ()) -> None:
        """``give_back``, but what the store does not let go stays behind: orphans, which others may take over."""
        try:
            self.give_back(standing)
        except StorageUnavailable as error:
            extra = {"event": "claims_left", **self.resources.origin, "detail": str(error)}
            logger.warning("Claims of writes that were taken back stay behind as orphans: %s", error, extra=extra)

    def free(self, given_up: Iterable[DocumentClaim]) -> None:
        """Remove claims that documents have given up, unless others have them by now; two requests each, in parallel.

        Raises StorageUnavailable when some may be left.
        """
        store = self.resources.store
        by_key = {claim_key(self.resources, each.table, each.claim): each for each in given_up}
        found = ((key, stored) for key, stored in store.get_many(by_key) if stored is not None)
        removals = [
            Write(key, None, if_match=stored.etag) for key, stored in found if self._is_of(by_key[key], key, stored)
        ]
        failures = list[Exception]()
        for _removal, _etag, error in store.write_many(removals):
            if error is None:
                reach("claim-freed")
            elif not isinstance(error, PreconditionFailed):
                failures.append(error)
        if failures:
            raise failures[0]

    def _is_of(self, given_up: DocumentClaim, key: str, stored: Stored) -> bool:
        """Whether a claim is held by the document that gives it up."""
        try:
            return holder_of(key, stored) == given_up.stem
        except CorruptDocument as error:
            logger.warning(
                "%s It stays behind, and nobody can take its value.",
                error,
                extra={
                    "event": "claim_unreadable",
                    **self.resources.origin,
                    "table": given_up.table,
                    "key": key,
                },
            )
            return False

    def hand_back(self, table: str, stem: str, claims: Iterable[str], heirs: Mapping[str, str]) -> None:
        """Undo that a document took claims, as far as it does not hold them: each goes to the document that ``heirs``
        names for it (``{claim: stem}``), if that holds it again, and is removed otherwise. Three reads a claim at most.
        """
        for claim in claims:
            key = claim_key(self.resources, table, claim)
            stored = self.resources.store.get(key)
            if stored is None or holder_of(key, stored) != stem or self._holds(table, stem, claim):
                continue
            heir = heirs.get(claim)
            try:
                if heir is not None and self._holds(table, heir, claim):
                    self.resources.store.put(key, _body(table, heir), if_match=stored.etag)
                else:
                    self.resources.store.delete(key, if_match=stored.etag)
            except PreconditionFailed:
                continue

    def _holds(self, table: str, stem: str, claim: str) -> bool:
        return document_holds(self.resources, self.schema_of(table), table, stem, claim)


class _Watch:
    """Waits for a claim whose document does not hold it: its writer is under way, or is gone."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._etag: str | None = None
        self._since = 0.0
        self._pause = _FIRST_PAUSE

    def is_orphan(self, etag: str) -> bool:
        """Whether the claim has stood unchanged for longer than any writer may take."""
        if etag != self._etag:
            self._etag, self._since = etag, time.monotonic()
        return time.monotonic() - self._since > self._deadline

    def pause(self) -> None:
        """Wait a little longer each time."""
        time.sleep(self._pause)
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)


def claim_rule(claim: str) -> str:
    """The name of the rule that a claim belongs to."""
    return claim.rpartition("/")[0]


def claim_key(resources: Resources, table: str, claim: str) -> str:
    """The object key of a claim."""
    rule, _, digest = claim.rpartition("/")
    return resources.keys.unique(table, rule, digest)


def holder_of(key: str, stored: Stored) -> str:
    """The stem of the document that a claim names. Raises CorruptDocument."""
    try:
        holder = orjson.loads(stored.body)["stem"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(key, "it is not a claim to a unique value", _MEND) from error
    if type(holder) is not str or not is_stem(holder):
        raise CorruptDocument(key, f"it is a claim of no document: its stem is {holder!r:.100}", _MEND)
    return holder


def document_holds(resources: Resources, schema: TableSchema | None, table: str, stem: str, claim: str) -> bool:
    """Whether a stored document holds a claim: it has the values, or, where these do not tell, lists it. One read.

    What it lists may be of before, if code has written it since that does not know the rule.
    """
    key = resources.keys.document(table, stem)
    stored = resources.store.get(key)
    if stored is None:
        return False
    if schema is None:
        return True
    try:
        document = resources.decode(schema, key, stored.body)
    except CorruptDocument:
        return True  # Nobody can tell what an unreadable document holds, so nobody may take its values.
    rule = next((rule for rule in schema.unique if rule.name == claim_rule(claim)), None)
    if rule is not None and is_plain(rule):
        return claim in plain_claims(schema, dict(zip(schema.by_name, document.values, strict=True)))
    held = held_claims(document.extras)
    return claim in held or not any(claim_rule(other) == claim_rule(claim) for other in held)


def _body(table: str, stem: str) -> bytes:
    return orjson.dumps({"table": table, "stem": stem, "_rev": str(uuid7())})
