"""What is found of a table's packs, on every store that can have them, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.ops import counting
from django_smarterbase.packs import auto, packing
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.packs.format import PackIndex
from django_smarterbase.packs.inspection import Comparison, PackFindings, PackProblem
from django_smarterbase.storage.base import Listed

from .conftest import KEYS, PACKS, TABLE, fill, key

Process = Callable[..., DocumentStore]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of ten documents of ``fill``, and scans that may read two without anybody packing."""
    monkeypatch.setattr(packing, "SIZE", 1000)
    monkeypatch.setattr(auto, "_FEWEST", 2)


@pytest.fixture
def packed(process: Process) -> DocumentStore:
    """A table of 25 documents in three packs."""
    store = process()
    fill(store, 25)
    store.pack(TABLE)
    return store


def packs_of(store: DocumentStore) -> list[str]:
    """The keys of the current packs, in the order of their documents."""
    stored = store.get(PACKS.list_of_packs())
    assert stored is not None
    return [PACKS.pack(pack.name) for pack in PackIndex.load(stored.body).packs]


def found(store: DocumentStore, *, compare: bool = True) -> PackFindings:
    """What there is to be found."""
    findings = store.inspect_packs(TABLE, compare=compare)
    assert findings is not None
    return findings


def test_table_without_packs_has_none_at_the_cost_of_a_listing(process: Process) -> None:
    store = process()
    fill(store, 3)
    with counting() as ops:
        assert store.inspect_packs(TABLE) is None
    assert (ops.storage.system, ops.storage.lists, ops.storage.reads) == (1, 0, 0)


def test_table_that_was_packed_empty_has_no_packs(packed: DocumentStore) -> None:
    for number in range(25):
        packed.delete(key(number))
    for _time in range(2):
        packed.pack(TABLE)
    assert packed.inspect_packs(TABLE) is None


def test_packs_are_told_with_their_figures(packed: DocumentStore) -> None:
    findings = found(packed)
    (index,) = packed.look_at_packs([TABLE]).values()
    assert (findings.packs, findings.documents) == (3, 25)
    assert (findings.size, findings.raw_bytes, findings.made_at) == (index.size, index.raw_bytes, index.made_at)
    assert timedelta() <= datetime.now(UTC) - index.made_at < timedelta(minutes=5)
    assert findings.compared == Comparison(unchanged=25, changed=0, gone=0, outside=0, due=False)
    assert (findings.problems, findings.unlisted, findings.orphaned) == ((), (), False)


def test_documents_are_compared_with_what_is_stored_now(packed: DocumentStore) -> None:
    packed.put(key(3), b"{changed}")
    packed.put(key(100), b"{new}")
    packed.delete(key(12))
    packed.delete(key(24))
    compared = found(packed).compared
    assert compared == Comparison(unchanged=22, changed=1, gone=2, outside=1, due=False)
    assert compared.read == 2


def test_objects_that_are_no_documents_are_not_counted(packed: DocumentStore) -> None:
    packed.put(f"{PACKS.documents}notes.txt", b"mine")
    assert found(packed).compared == Comparison(unchanged=25, changed=0, gone=0, outside=0, due=False)


def test_pack_whose_documents_are_all_gone_is_counted(packed: DocumentStore) -> None:
    for number in range(10, 20):
        packed.delete(key(number))
    assert found(packed).compared == Comparison(unchanged=15, changed=0, gone=10, outside=0, due=False)


def test_packing_is_due_where_a_scan_would_have_the_table_packed(
    packed: DocumentStore, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = list[bool]()
    monkeypatch.setattr(
        auto.AutoPacking, "consider", lambda _self, _keys, _known, tally: due.append(auto.is_due(tally))
    )
    scanning = process(pack=True)
    for number in range(4):
        packed.put(key(number), b"{%d changed}" % number)
        for _each in scanning.scan(PACKS.documents):
            pass
        compared = found(packed).compared
        assert compared is not None
        assert compared.due is due[-1]
    assert due == [False, False, True, True]


def test_sample_looks_at_no_document_and_at_no_pack(packed: DocumentStore) -> None:
    with counting() as ops:
        findings = found(packed, compare=False)
    assert (findings.packs, findings.documents, findings.compared, findings.problems) == (3, 25, None, ())
    assert (ops.storage.lists, ops.storage.packs) == (0, 0)


@pytest.mark.parametrize("compare", [True, False])
def test_pack_that_is_missing_is_named(packed: DocumentStore, compare: bool) -> None:
    missing = packs_of(packed)[1]
    packed.delete(missing)
    findings = found(packed, compare=compare)
    assert findings.problems == (PackProblem(missing, "it is not there"),)
    if compare:
        assert findings.compared == Comparison(unchanged=15, changed=0, gone=0, outside=10, due=True)


def test_damaged_pack_is_named(packed: DocumentStore) -> None:
    damaged = packs_of(packed)[0]
    stored = packed.get(damaged)
    assert stored is not None
    packed.put(damaged, stored.body[:-1])
    findings = found(packed)
    assert findings.problems == (PackProblem(damaged, "its content is not what was written"),)
    assert findings.compared == Comparison(unchanged=15, changed=0, gone=0, outside=10, due=True)


def test_damaged_pack_without_documents_is_named_once(packed: DocumentStore) -> None:
    damaged = packs_of(packed)[1]
    packed.put(damaged, b"mine")
    for number in range(10, 20):
        packed.delete(key(number))
    findings = found(packed)
    assert findings.problems == (PackProblem(damaged, "its content is not what was written"),)
    assert findings.compared == Comparison(unchanged=15, changed=0, gone=0, outside=0, due=False)


def test_packs_of_the_packing_before_are_unlisted_and_not_orphaned(packed: DocumentStore) -> None:
    before = packs_of(packed)
    packed.pack(TABLE)
    findings = found(packed)
    assert findings.unlisted == tuple(sorted(before))
    assert (findings.orphaned, findings.problems) == (False, ())


def test_packs_without_an_index_are_orphaned(packed: DocumentStore) -> None:
    packs = packs_of(packed)
    packed.delete(PACKS.list_of_packs())
    findings = found(packed)
    assert findings == PackFindings(unlisted=tuple(sorted(packs)))
    assert findings.orphaned


def test_index_of_packs_that_cannot_be_read_is_named(packed: DocumentStore) -> None:
    packs = packs_of(packed)
    packed.put(PACKS.list_of_packs(), b"[]")
    findings = found(packed)
    (problem,) = findings.problems
    assert problem.key == PACKS.list_of_packs()
    assert problem.detail.startswith("it is no index of packs (")
    assert findings.unlisted == tuple(sorted(packs))
    assert findings.orphaned


def test_next_packing_mends_whatever_was_found(packed: DocumentStore) -> None:
    packed.delete(packs_of(packed)[0])
    packed.put(PACKS.pack("left-behind"), b"mine")
    packed.pack(TABLE)
    packed.pack(TABLE)
    findings = found(packed)
    assert findings.compared == Comparison(unchanged=25, changed=0, gone=0, outside=0, due=False)
    assert findings.problems == ()
    assert PACKS.pack("left-behind") not in findings.unlisted


def test_store_that_fails_is_a_problem_and_no_error(packed: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = packed._store.list

    def fail_for_documents(prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        if prefix == KEYS.table_prefix(TABLE):
            raise StorageUnavailable("it is gone")
        return plain(prefix, start_after)

    monkeypatch.setattr(packed._store, "list", fail_for_documents)
    assert found(packed).problems == (PackProblem(PACKS.prefix, "it is gone"),)


def test_storage_whose_listings_tell_no_etags_has_no_packs(packed: DocumentStore, monkeypatch) -> None:
    monkeypatch.setattr(packed, "lists_etags", False)
    assert packed.inspect_packs(TABLE) is None


def test_progress_is_told_while_documents_are_compared(packed: DocumentStore, monkeypatch) -> None:
    monkeypatch.setattr("django_smarterbase.packs.inspection._TICK", 10)
    said = list[int]()
    packed.inspect_packs(TABLE, progress=said.append)
    assert said == [10, 20]
