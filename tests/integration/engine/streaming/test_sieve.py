"""Documents that WHERE does not let pass are not read as a whole; what is damaged, or cannot be told, is."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Length
from django.utils import timezone

from django_smarterbase.backend import courses, sieve
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.profiling import profile_queries
from django_smarterbase.storage.codec import DocumentCodec
from testproject.articles.models import Article
from tests.integration.commands.site import Site

from .conftest import ARTICLES

UNORDERED = Article.objects.order_by()
LAST = list(range(ARTICLES - 9, ARTICLES))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the documents that are read as a whole."""
    keys: list[str] = []
    decode = DocumentCodec.decode

    def noting(self: DocumentCodec, key: str, body: bytes) -> Any:
        keys.append(key)
        return decode(self, key, body)

    monkeypatch.setattr(DocumentCodec, "decode", noting)
    return keys


@pytest.fixture
def outlined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the documents that the sieve has looked at."""
    keys: list[str] = []
    outline = sieve.outline

    def noting(key: str, body: bytes) -> Any:
        keys.append(key)
        return outline(key, body)

    monkeypatch.setattr(sieve, "outline", noting)
    return keys


def key_of(number: int) -> str:
    return str(connection.resources.keys.document("articles", uuid.UUID(int=number).hex))


def damage(number: int, body: bytes | None = None, **attributes: Any) -> str:
    """Write a document past the engine, or attributes of it; returns its key."""
    store, key = connection.resources.store, key_of(number)
    stored = store.get(key)
    assert stored is not None
    store.put(key, orjson.dumps(orjson.loads(stored.body) | attributes) if body is None else body)
    return key


def views(rows: Any) -> list[int]:
    return sorted(rows.values_list("view_count", flat=True))


LATE = UNORDERED.filter(view_count__gte=LAST[0])


@pytest.mark.parametrize(
    ("ask", "answer", "number"),
    [
        (lambda: views(LATE), LAST, 9),
        (lambda: sorted(LATE.values_list("view_count", flat=True).iterator()), LAST, 9),
        (lambda: [row.view_count for row in LATE.order_by("-pk").iterator()], LAST[::-1], 9),
        (lambda: [row.view_count for row in LATE.order_by("view_count").iterator()], LAST, 9),
        (lambda: [row.view_count for row in LATE.order_by("-view_count")[1:3]], [298, 297], 9),
        (lambda: [row.view_count for row in LATE.defer("body").order_by("title", "view_count")], LAST, 9),
        (lambda: LATE.count(), 9, 9),
        (lambda: LATE.aggregate(Max("view_count")), {"view_count__max": 299}, 9),
        (lambda: LATE.values_list("category").distinct().count(), 3, 9),
        (lambda: LATE.update(body="long"), 9, 9),
        (lambda: LATE._raw_delete("default"), 9, 9),
        (lambda: views(UNORDERED.filter(title__contains="77")), [77, 177, 277], 3),
        (lambda: views(UNORDERED.filter(Q(title__iendswith=" 5") | Q(view_count__in=[1, 2]))), [1, 2, 5, 105, 205], 5),
        (lambda: views(UNORDERED.exclude(body="")), [], 0),
        (lambda: views(UNORDERED.filter(view_count__lt=Length("title") - 4)), [0, 1, 2], 3),
        (lambda: views(UNORDERED.filter(created_at__gt=F("updated_at"))), [], 0),
        (lambda: views(UNORDERED.filter(title__regex="^title 9$", view_count__isnull=False)), [9, 109, 209], 3),
    ],
)
def test_statement_reads_as_a_whole_only_what_its_condition_lets_pass(
    site: Site, decoded: list[str], ask: Callable[[], Any], answer: Any, number: int
) -> None:
    with profile_queries() as seen:
        assert ask() == answer
    assert len(decoded) == number
    profile = seen.profiles[0]
    assert (profile.candidates, profile.storage_ops.reads) == (ARTICLES, ARTICLES)


def test_sieve_gives_up_when_most_documents_pass(site: Site, decoded: list[str], outlined: list[str]) -> None:
    assert len(UNORDERED.filter(title__isnull=False).values_list("title")) == ARTICLES
    assert (len(decoded), len(outlined)) == (ARTICLES, 100)


def test_few_documents_are_read_as_they_are(site: Site, outlined: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "FEW", ARTICLES + 1)
    monkeypatch.setattr(courses.Where, "selecting", None)  # nor is their WHERE compiled a second time
    monkeypatch.setattr("django_smarterbase.backend.pieces.FIRST", ARTICLES + 1)
    assert views(LATE) == LAST
    assert [row.view_count for row in LATE.order_by("view_count")] == LAST
    assert LATE.aggregate(Max("view_count")) == {"view_count__max": 299}
    assert outlined == []


def test_transaction_reads_all_of_a_table_as_ever(site: Site, decoded: list[str]) -> None:
    with transaction.atomic():
        assert views(LATE) == LAST
        assert len(decoded) == ARTICLES


def test_document_that_is_none_is_named_whatever_is_asked(site: Site) -> None:
    key = damage(7, b"[")
    with pytest.raises(CorruptDocument, match=key):
        views(LATE)


def test_document_is_named_when_the_column_of_the_condition_cannot_be_read(site: Site) -> None:
    key = damage(7, view_count="many")
    with pytest.raises(CorruptDocument, match=f"{key}.*view_count"):
        views(LATE)


def test_document_with_another_damage_is_named_by_who_wants_it(site: Site) -> None:
    key = damage(7, created_at="whenever")
    assert views(LATE) == LAST
    with pytest.raises(CorruptDocument, match=f"{key}.*created_at"):
        views(UNORDERED.filter(view_count__lte=7))


def test_damaged_document_that_is_wanted_is_passed_over_and_counted(site: Site) -> None:
    damage(6, b"[")
    damage(7, created_at="whenever")
    damage(LAST[0], created_at="whenever")
    options = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**options, "on_corrupt": "skip"}
    try:
        with profile_queries() as seen:
            assert views(LATE) == LAST[1:]
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"] = options
    assert seen.profiles[0].skipped_documents == 2


def test_document_of_another_version_is_read_as_a_whole(site: Site, decoded: list[str]) -> None:
    damage(7, _v=2)
    assert views(LATE) == LAST
    assert key_of(7) in decoded


def test_function_that_fails_fails_the_statement(site: Site) -> None:
    with pytest.raises(OperationalError, match="user-defined function raised exception"):
        views(UNORDERED.filter(title__regex="("))


@pytest.mark.usefixtures("small_pieces")
def test_iterator_goes_on_through_transactions(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "FEW", 1)
    rows: Iterator[int] = UNORDERED.filter(title__contains="7").values_list("view_count", flat=True).iterator(1)
    found = [next(rows)]
    with transaction.atomic():
        Article.objects.filter(pk=uuid.UUID(int=1)).update(body="changed")
        found += [next(rows), next(rows)]
        transaction.set_rollback(True)
    with transaction.atomic():
        found.append(next(rows))
    assert sorted([*found, *rows]) == [number for number in range(ARTICLES) if "7" in f"{number % 100}"]
    assert connection.session.workspace.sqlite.execute('SELECT * FROM "_sb_sieve:articles"').fetchall() == []


@pytest.mark.usefixtures("small_pieces")
def test_iterator_keeps_the_time_zone_of_its_beginning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "FEW", 1)
    moment = datetime.datetime(2026, 1, 1, 23, 30, tzinfo=datetime.UTC)
    UNORDERED.filter(view_count__lt=20).update(created_at=moment)
    with timezone.override("Europe/Vienna"):
        rows = UNORDERED.filter(created_at__date=datetime.date(2026, 1, 2)).values_list("view_count", flat=True)
        found = rows.iterator(1)
        first = next(found)
    with timezone.override("UTC"):
        assert sorted([first, *found]) == list(range(20))
