"""Claims: a unique value is held by an object that only one document can create.

``_sb/unique/<table>/<rule>/<digest>.json`` holds ``{"table", "stem"}`` and is created on the condition that it does not
exist, *before* the document that holds the value is written; the document lists its claims in ``_claims``. So two
documents never hold one value, whatever becomes of Redis. A writer that dies in between leaves an orphan: a claim whose
document does not list it. It is taken over when it has not changed for ``write_deadline``, in which its writer must
have written the document or given up, and when no transaction is under way any more that may be taken back, after which
the document would hold the value again.

A unit may move a value from one of its documents to another. Until both are written the value is the former holder's,
and if the unit's process dies first, it stays so. So such a claim names that one too, as ``former``, and is an orphan
when neither holds the value.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
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

_TOGETHER: Final = 200  # claims that are freed before a sign of life
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


class _Seen(NamedTuple):
    """A claim of another as it was seen: its ETag, and since when it has been that (``time.monotonic``)."""

    etag: str
    since: float


def _nothing_released(_table: str, _stem: str, _claim: str) -> bool:
    return False


def _nothing() -> None:
    pass


@dataclass
class ClaimBook:
    """The claims of one unit of work. ``schema_of`` finds a table's schema by its name.

    ``released`` tells whether a document of the unit gives up a claim: ``(table, stem, claim)``.
    ``await_transactions`` returns when those that are under way now are decided. ``sign_of_life`` is called now and
    then while claims are waited for, given back or freed, to keep what others would take for abandoned; what it raises
    is raised.
    """

    resources: Resources
    schema_of: Callable[[str], TableSchema | None]
    released: Callable[[str, str, str], bool] = _nothing_released
    await_transactions: Callable[[], None] = _nothing
    sign_of_life: Callable[[], None] = _nothing
    taken: dict[str, _Taken] = field(default_factory=dict)  # by the claims' keys, in the order of their taking
    seen: dict[str, _Seen] = field(default_factory=dict)  # claims of others, by their keys

    def take_free(self, wanted: Iterable[DocumentClaim]) -> set[DocumentClaim]:
        """Take those claims that nobody holds, in parallel: one request each. Gives the others, for ``take``.

        Raises StorageUnavailable; those taken stay until ``give_back``.
        """
        by_key, contested = dict[str, DocumentClaim](), set[DocumentClaim]()
        for each in wanted:
            if by_key.setdefault(claim_key(self.resources, each.table, each.claim), each) is not each:
                contested.add(each)
        return contested | self._take_together(by_key, {})

    def take_own(self, contested: Iterable[DocumentClaim]) -> set[DocumentClaim]:
        """Take those claims that a document of the unit holds, in parallel: two requests each. Gives the others, for
        ``take``, by which they count as seen now.

        Whoever goes on with a unit whose process has died finds most of its claims taken. Raises StorageUnavailable and
        CorruptDocument; those taken stay until ``give_back``.
        """
        by_key, before, others = dict[str, DocumentClaim](), dict[str, Stored](), set[DocumentClaim]()
        for each in contested:
            if by_key.setdefault(claim_key(self.resources, each.table, each.claim), each) is not each:
                others.add(each)
        for key, stored in self.resources.store.get_many(by_key):
            each = by_key[key]
            if stored is not None and self._is_own(each, holders_of(key, stored)):
                before[key] = stored
            else:
                others.add(each)
                self._saw(key, stored)
        return others | self._take_together({key: by_key[key] for key in before}, before)

    def _take_together(self, by_key: Mapping[str, DocumentClaim], before: Mapping[str, Stored]) -> set[DocumentClaim]:
        """Take claims in parallel in the place of those ``before``, or where there are none. Gives those that another
        writer had first. Raises StorageUnavailable when some may be taken or not."""
        writes, refused, failures = list[Write](), set[DocumentClaim](), list[Exception]()
        for key, each in by_key.items():
            if key in before:
                taken_from = holders_of(key, before[key])
                writes.append(Write(key, _body(each, taken_from), if_match=before[key].etag))
            else:
                writes.append(Write(key, _body(each), if_absent=True))
        for claim, etag, error in self.resources.store.write_many(writes):
            each = by_key[claim.key]
            if error is None and etag is not None:
                body = before[claim.key].body if claim.key in before else None
                self._note(self.resources.keys.document(each.table, each.stem), claim.key, etag, body)
                reach("claim-taken")
            elif isinstance(error, PreconditionFailed):
                refused.add(each)
            elif error is not None:
                failures.append(error)
        if failures:
            raise failures[0]
        return refused

    def _is_own(self, wanted: DocumentClaim, holders: tuple[str, ...]) -> bool:
        """Whether a claim is held by the document that wants it, or by one of the unit that gives it up."""
        holder, *former = holders
        if holder != wanted.stem:
            return self.released(wanted.table, holder, wanted.claim)
        foreign = [each for each in former if not self.released(wanted.table, each, wanted.claim)]
        return self._standing(wanted, foreign) is None

    def _saw(self, key: str, stored: Stored | None) -> None:
        """Remember since when a claim of another is what it is, so that many orphans are waited for once."""
        if stored is not None and (key not in self.seen or self.seen[key].etag != stored.etag):
            self.seen[key] = _Seen(stored.etag, time.monotonic())

    def take(
        self, wanted: DocumentClaim, *, contested: bool = False, later: Collection[DocumentClaim] = ()
    ) -> list[DocumentClaim]:
        """Take a claim, or renew it. Raises ClaimTaken; it stays until ``give_back``.

        A ``contested`` one has just been seen to be held. If it has to be waited for, those of ``later`` that were
        taken are given back first; returns these, which are to be taken again.
        """
        given = self._take(wanted, contested=contested, later=later)
        reach("claim-taken")
        return given

    def _take(self, wanted: DocumentClaim, *, contested: bool, later: Collection[DocumentClaim]) -> list[DocumentClaim]:
        given = list[DocumentClaim]()
        store, key = self.resources.store, claim_key(self.resources, wanted.table, wanted.claim)
        document, pause = self.resources.keys.document(wanted.table, wanted.stem), _FIRST_PAUSE
        while True:
            try:
                if not contested:
                    self._note(document, key, store.put(key, _body(wanted), if_absent=True), None)
                    return given
            except PreconditionFailed:
                pass
            contested, stored = False, store.get(key)
            if stored is None:
                continue
            self._saw(key, stored)
            holders = holders_of(key, stored)
            if self._is_own(wanted, holders) or self._is_orphan(wanted, key, holders):
                try:
                    self._note(document, key, store.put(key, _body(wanted, holders), if_match=stored.etag), stored.body)
                    return given
                except PreconditionFailed:
                    continue
            self._refuse_held(wanted, holders)
            given += self._put_back(later)
            self.sign_of_life()
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _is_orphan(self, wanted: DocumentClaim, key: str, holders: Iterable[str]) -> bool:
        """Whether a claim that was seen has stood unchanged for longer than a writer may take, and nobody holds it."""
        if time.monotonic() - self.seen[key].since <= self.resources.options.write_deadline:
            return False
        self.await_transactions()
        return self._standing(wanted, holders) is None

    def _refuse_held(self, wanted: DocumentClaim, holders: Iterable[str]) -> None:
        holder = self._standing(wanted, holders)
        if holder is not None:
            rule = claim_rule(wanted.claim)
            send(claim_refused, ClaimBook, database=self.resources.database, table=wanted.table, rule=rule)
            raise ClaimTaken(wanted.claim, holder)

    def _standing(self, wanted: DocumentClaim, holders: Iterable[str]) -> str | None:
        """The first document that holds a claim, other than the one that wants it."""
        others = (holder for holder in holders if holder != wanted.stem)
        return next((holder for holder in others if self._holds(wanted.table, holder, wanted.claim)), None)

    def _note(self, document: str, key: str, etag: str, before: bytes | None) -> None:
        earlier = self.taken.get(key)
        self.taken[key] = _Taken(document, key, etag, before if earlier is None else earlier.before)

    def has_taken(self, wanted: DocumentClaim) -> bool:
        """Whether a claim was taken for the document that wants it."""
        taken = self.taken.get(claim_key(self.resources, wanted.table, wanted.claim))
        return taken is not None and taken.document == self.resources.keys.document(wanted.table, wanted.stem)

    def _put_back(self, claims: Iterable[DocumentClaim]) -> list[DocumentClaim]:
        held = [each for each in claims if self.has_taken(each)]
        given = [self.taken.pop(claim_key(self.resources, each.table, each.claim)) for each in held]
        self._write_in_pieces(Write(each.key, each.before, if_match=each.etag) for each in given)
        return held

    def give_back(self, standing: Collection[str] = ()) -> None:
        """Undo what was taken, in parallel; what another has taken over since is its own.

        The documents ``standing`` (keys) could not be taken back and hold their claims on. Raises StorageUnavailable
        when some may be left.
        """
        given, self.taken = self.taken.values(), {}
        writes = (Write(each.key, each.before, if_match=each.etag) for each in given if each.document not in standing)
        self._write_in_pieces(writes)

    def _write_in_pieces(self, writes: Iterable[Write], done: Callable[[], object] = _nothing) -> None:
        """Give claims back or remove them; ``done`` is called for each. Of another writer they stay. Raises
        StorageUnavailable when all were tried and some may be left."""
        failures, remaining = list[Exception](), iter(writes)
        while piece := list(islice(remaining, _TOGETHER)):
            for _write, _etag, error in self.resources.store.write_many(piece):
                if error is None:
                    done()
                elif not isinstance(error, PreconditionFailed):
                    failures.append(error)
            self.sign_of_life()
        if failures:
            raise failures[0]

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
        by_key = {claim_key(self.resources, each.table, each.claim): each for each in given_up}
        found = ((key, stored) for key, stored in self.resources.store.get_many(by_key) if stored is not None)
        removals = (
            Write(key, None, if_match=stored.etag) for key, stored in found if self._is_of(by_key[key], key, stored)
        )
        self._write_in_pieces(removals, lambda: reach("claim-freed"))

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
            self.sign_of_life()
            heir = heirs.get(claim)
            try:
                if heir is not None and self._holds(table, heir, claim):
                    self.resources.store.put(key, _body(DocumentClaim(table, heir, claim)), if_match=stored.etag)
                else:
                    self.resources.store.delete(key, if_match=stored.etag)
            except PreconditionFailed:
                continue

    def _holds(self, table: str, stem: str, claim: str) -> bool:
        return document_holds(self.resources, self.schema_of(table), table, stem, claim)


def claim_rule(claim: str) -> str:
    """The name of the rule that a claim belongs to."""
    return claim.rpartition("/")[0]


def claim_key(resources: Resources, table: str, claim: str) -> str:
    """The object key of a claim."""
    rule, _, digest = claim.rpartition("/")
    return resources.keys.unique(table, rule, digest)


def holder_of(key: str, stored: Stored) -> str:
    """The stem of the document that a claim names. Raises CorruptDocument."""
    return holders_of(key, stored)[0]


def holders_of(key: str, stored: Stored) -> tuple[str, ...]:
    """The stems of the documents that may hold a claim: the one that it names and, if there is one, the former holder.
    Raises CorruptDocument."""
    try:
        raw = orjson.loads(stored.body)
        holders = (raw["stem"], raw["former"]) if "former" in raw else (raw["stem"],)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(key, "it is not a claim to a unique value", _MEND) from error
    for holder in holders:
        if type(holder) is not str or not is_stem(holder):
            raise CorruptDocument(key, f"it is a claim of no document: its stem is {holder!r:.100}", _MEND)
    return holders


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


def _body(wanted: DocumentClaim, holders: Iterable[str] = ()) -> bytes:
    """A claim that is taken in place of one that named ``holders``, the first of which may hold it still."""
    former = [holder for holder in holders if holder != wanted.stem][:1]
    taken_from = {"former": former[0]} if former else {}
    return orjson.dumps({"table": wanted.table, "stem": wanted.stem, **taken_from, "_rev": str(uuid7())})
