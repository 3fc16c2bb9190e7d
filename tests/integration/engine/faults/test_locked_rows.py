"""Which rows ``select_for_update()`` locks: those that it gives, and no others, whatever the query looks like."""

from __future__ import annotations

import datetime
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import NotSupportedError, connection, models, transaction
from django.db.models import Count, FilteredRelation, Q, QuerySet, Window
from django.db.models.functions import RowNumber, Upper
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_smarterbase.exceptions import ConflictError
from testproject.articles.models import Article, Author
from tests.conftest import Told
from tests.integration.commands.site import Site

from .abandoned import abandon, edit, recover
from .conftest import PATIENCE
from .ledger import Ledger
from .test_row_locks import InThread, locked, update, update_two, views

KEYS: list[tuple[models.Field[Any, Any], Any]] = [
    (models.DateField(primary_key=True), datetime.date(2025, 1, 2)),
    (models.DateTimeField(primary_key=True), datetime.datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)),
    (models.TimeField(primary_key=True), datetime.time(1, 2, 3)),
    (models.DecimalField(primary_key=True, max_digits=6, decimal_places=2), Decimal("1.50")),
    (models.FloatField(primary_key=True), 1.5),
    (models.BinaryField(primary_key=True), b"\0\1"),
    (models.UUIDField(primary_key=True), uuid.uuid4()),
    (models.CharField(primary_key=True, max_length=300), "a/b \N{LATIN SMALL LETTER E WITH ACUTE}" * 30),
    (models.AutoField(primary_key=True), 7),
]
_numbers = itertools.count(1)


def locked_stems(model: type[models.Model]) -> set[str]:
    return connection.session.locks.rows.get(model._meta.db_table, set())


@contextmanager
def held(*querysets: Callable[[], QuerySet[Any]]) -> Iterator[None]:
    """Another transaction has locked these rows, and is at work."""
    started, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            for queryset in querysets:
                assert list(queryset().select_for_update())
            started.set()
            while not done.wait(0.1):
                Author.objects.exists()

    holder = InThread(hold)
    try:
        assert started.wait(PATIENCE), holder.outcome()
        yield
    finally:
        done.set()
        holder.outcome()


def make(*tables: type[models.Model]) -> None:
    with connection.schema_editor() as editor:
        for model in tables:
            editor.create_model(model)


QUERIES: dict[str, Callable[[QuerySet[Article]], Any]] = {
    "ties": lambda query: query.order_by("category")[:5],
    "no order": lambda query: query.order_by()[:5],
    "random order": lambda query: query.order_by("?")[:5],
    "offset": lambda query: query.order_by("title")[3:7],
    "annotated": lambda query: query.annotate(loud=Upper("title")).order_by("loud")[:4],
    "window": lambda query: query.annotate(place=Window(RowNumber(), order_by="title")).order_by("title")[:3],
    "some fields": lambda query: query.only("title").order_by("status")[:4],
    "distinct": lambda query: query.filter(author__articles__category="orbits").distinct().order_by("status")[:5],
    "iterator": lambda query: query.order_by("title").iterator(chunk_size=3),
    "reverse": lambda query: query.order_by("title").reverse()[:3],
    "by keys": lambda query: query.in_bulk(list(Article.objects.values_list("pk", flat=True)[:3])).values(),
    "first": lambda query: [query.order_by("category").first()],
}


@pytest.mark.parametrize("name", QUERIES)
def test_rows_that_are_given_are_locked_and_no_others(patient: Ledger, name: str) -> None:
    with transaction.atomic():
        given = [article.pk.hex for article in QUERIES[name](Article.objects.select_for_update())]
        assert given
        assert locked_stems(Article) == set(given)


def test_values_are_those_of_locked_rows(patient: Ledger) -> None:
    plain, locking = Article.objects.order_by("title"), Article.objects.select_for_update().order_by("title")
    with transaction.atomic():
        assert list(locking.values("title", "author__name")[:3]) == list(plain.values("title", "author__name")[:3])
        assert list(locking.values_list("title", flat=True)[:3]) == ["title 0", "title 1", "title 10"]
        assert list(locking.annotate(loud=Upper("title")).values_list("loud")[:1]) == [("TITLE 0",)]
        assert locking.filter(title="title 0").exists()
        assert len(locked_stems(Article)) == 3


def test_rows_are_read_though_the_index_knows_their_keys(patient: Ledger) -> None:
    """What was locked and not written must be as it was read, when the transaction commits."""
    with transaction.atomic():
        keys = Article.objects.select_for_update().filter(category="orbits").order_by("pk").values_list("pk", flat=True)
        stems = {pk.hex for pk in keys}
        known = connection.session.snapshot().table("articles").known
        assert {stem for stem, read in known.items() if read} >= stems == locked_stems(Article)


def test_row_is_locked_when_an_inner_join_leaves_others_out(patient: Ledger) -> None:
    """Foreign keys are not enforced: the first rows in order point to an author that is gone."""
    Author.objects.filter(name="author 0")._raw_delete("default")
    with transaction.atomic():
        queue = Article.objects.select_for_update().select_related("author").order_by("author_id", "title")[:3]
        articles = list(queue)
        assert locked_stems(Article) == {article.pk.hex for article in articles}
        assert locked_stems(Author) == {article.author.pk.hex for article in articles}


def test_rows_of_a_filtered_relation_are_locked_too(patient: Ledger) -> None:
    first = FilteredRelation("author", condition=Q(author__name="author 1"))
    with transaction.atomic():
        articles = list(Article.objects.annotate(first=first).select_related("first").select_for_update())
        assert len(articles) == 8
        assert locked_stems(Author) == {patient.authors["author 1"].pk.hex}


@isolate_apps("testproject.articles")
def test_rows_of_parents_and_children_are_locked_too(site: Site) -> None:
    site.restart(write_deadline=PATIENCE)

    class Base(models.Model):
        class Meta:
            abstract = True
            app_label = "articles"

    class Grand(Base):
        a = models.IntegerField(default=0)

    class Parent(Grand):
        b = models.IntegerField(default=0)

        class Meta(Base.Meta):
            abstract = False

    class Child(Parent):
        c = models.IntegerField(default=0)

        class Meta(Base.Meta):
            abstract = False

    class Proxy(Child):
        class Meta(Base.Meta):
            abstract = False
            proxy = True

    class Note(Base):
        child = models.OneToOneField(Child, models.CASCADE, null=True)

    tables = (Grand, Parent, Child, Note)
    make(*tables)
    child = Child.objects.create()
    Child.objects.create()
    Note.objects.create(child=child)
    Note.objects.create()
    one, both, none = {"1"}, {"1", "2"}, set[str]()
    for queryset, rows in (
        (Child.objects.filter(pk=1), (one, one, one, none)),
        (Child.objects.filter(pk=1).only("c"), (one, one, one, none)),
        (Child.objects.filter(pk=1).values("a"), (one, one, one, none)),
        (Proxy.objects.filter(pk=1), (one, one, one, none)),
        (Note.objects.select_related("child"), (one, one, one, both)),
        (Child.objects.select_related("note"), (both, both, both, one)),
        (Grand.objects.select_related("parent__child"), (both, both, both, none)),
    ):
        with transaction.atomic():
            assert list(queryset.select_for_update())
            assert tuple(map(locked_stems, tables)) == rows, queryset.query
    with transaction.atomic():
        assert list(Child.objects.filter(pk=1).select_for_update(of=("parent_ptr__grand_ptr",)))
        assert tuple(map(locked_stems, tables)) == (one, none, none, none)
    with held(lambda: Child.objects.filter(pk=1)), transaction.atomic():
        notes = Note.objects.select_related("child").select_for_update(skip_locked=True)
        assert [(note.pk, note.child) for note in notes] == [(2, None)]


@isolate_apps("testproject.articles")
def test_rows_with_composite_keys_are_locked_and_skipped(site: Site) -> None:
    site.restart(write_deadline=PATIENCE)

    class Seat(models.Model):
        pk = models.CompositePrimaryKey("row", "letter")
        row = models.IntegerField()
        letter = models.CharField(max_length=1)
        price = models.IntegerField(default=0)

        class Meta:
            app_label = "articles"

    make(Seat)
    Seat.objects.bulk_create(Seat(row=row, letter=letter) for row in range(3) for letter in "abc")
    with transaction.atomic():
        seats = Seat.objects.select_for_update().filter(row=1).order_by("letter")
        assert list(seats.values_list("pk", "price")[:2]) == [((1, "a"), 0), ((1, "b"), 0)]
        assert locked_stems(Seat) == {"1!a", "1!b"}
    with held(lambda: Seat.objects.filter(letter="b")), transaction.atomic():
        free = Seat.objects.select_for_update(skip_locked=True).order_by("row", "letter")
        assert [seat.pk for seat in free[:4]] == [(0, "a"), (0, "c"), (1, "a"), (1, "c")]


@pytest.mark.parametrize(("key", "value"), KEYS, ids=lambda each: type(each).__name__)
def test_rows_with_keys_of_any_type_are_locked_and_skipped(site: Site, key: models.Field[Any, Any], value: Any) -> None:
    site.restart(write_deadline=PATIENCE)
    table = f"things{next(_numbers)}"
    attributes = {"__module__": Article.__module__, "key": key, "size": models.IntegerField(default=0)}
    with isolate_apps("testproject.articles"):
        meta = type("Meta", (), {"app_label": "articles", "db_table": table})
        thing: Any = type(table, (models.Model,), {**attributes, "Meta": meta})
        make(thing)
        thing.objects.create(pk=value)
        stored = {object_key.rpartition("/")[2] for object_key in site.objects() if f"/{table}/" in object_key}
        with transaction.atomic():
            assert thing.objects.select_for_update().get().pk == value
            assert {f"{stem}.json" for stem in locked_stems(thing)} == stored - {"_sb"}
        with held(thing.objects.all), transaction.atomic():
            assert list(thing.objects.select_for_update(skip_locked=True)) == []


def test_queue_gives_the_next_row_however_many_are_locked(patient: Ledger) -> None:
    """Each worker meets the rows of all that came before it, one at a time."""
    titles = sorted(f"title {number}" for number in range(40))
    with held(lambda: Article.objects.filter(title__in=titles[:25])):
        with transaction.atomic():
            assert Article.objects.select_for_update(skip_locked=True).order_by("title").first().title == titles[25]
            assert len(locked_stems(Article)) == 1
        with transaction.atomic():
            chosen = Article.objects.select_for_update(skip_locked=True).order_by("?").first()
            assert chosen.title in titles[25:]
            assert locked_stems(Article) == {chosen.pk.hex}


def test_rows_are_skipped_though_there_are_thousands(patient: Ledger) -> None:
    """SQLite nests no expression deeper than a thousand levels."""
    author = patient.authors["author 1"]
    Article.objects.bulk_create(Article(author=author, category="many", title=f"{n}") for n in range(2100))
    with held(lambda: Article.objects.filter(category="many")), transaction.atomic():
        assert Article.objects.select_for_update(skip_locked=True).count() == 2140
        assert len(Article.objects.select_for_update(skip_locked=True)) == 40


def test_row_that_could_not_be_locked_is_not_read_anew(patient: Ledger) -> None:
    """The transaction goes on from what it read first, so that it cannot write over what it does not know."""

    def save_what_was_read_before() -> None:
        with transaction.atomic():
            article = Article.objects.get(title="title 1")
            InThread(update).outcome()
            with held(lambda: Article.objects.filter(title="title 1")):
                queue = Article.objects.select_for_update(skip_locked=True).filter(title="title 1")
                assert list(queue) == []
            article.view_count += 1
            article.save()

    before = views()
    with pytest.raises(ConflictError):
        save_what_was_read_before()
    assert views() == before + 10


def test_rows_are_read_as_their_transaction_is_decided(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not written, so nothing else would find out at COMMIT that they were taken back."""
    before = views()

    def work() -> None:
        update_two()
        Author.objects.filter(name="author 1").update(name="renamed")

    abandon(monkeypatch, work)
    assert views() == before + 10
    edit(site, "authors", name="author 1")
    with locked() as article:
        assert article.view_count == before
        Article.objects.filter(title="title 3").update(view_count=article.view_count)
    assert recover() == 0
    assert (views(), views("title 3")) == (before, before)


REFUSED: dict[str, Callable[[QuerySet[Article]], Any]] = {
    "subquery": lambda query: list(Article.objects.filter(pk__in=query.values("pk")[:1])),
    "subquery of an update": lambda query: Article.objects.filter(pk__in=query.values("pk")[:1]).update(body="x"),
    "subquery of a delete": lambda query: Article.objects.filter(pk__in=query.values("pk")[:1]).delete(),
    "union": lambda query: list(query.order_by().union(Article.objects.order_by())),
    "part of a union": lambda query: list(Article.objects.order_by().union(query.order_by())),
    "groups": lambda query: list(query.values("category").annotate(count=Count("pk"))),
    "distinct values": lambda query: list(query.values("category").distinct()),
    "filter by a window": lambda query: list(query.annotate(n=Window(RowNumber(), order_by="title")).filter(n__lt=3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_query_that_would_lock_nothing_or_other_rows_is_refused(patient: Ledger, name: str) -> None:
    with transaction.atomic(), pytest.raises(NotSupportedError, match=r"select_for_update\(\)"):
        REFUSED[name](Article.objects.select_for_update(skip_locked=True))
    assert Article.objects.exclude(body="text").count() == 0
    assert Article.objects.count() == 40


def test_update_and_delete_of_locking_queries_are_not_refused(patient: Ledger) -> None:
    with transaction.atomic():
        assert Article.objects.select_for_update().filter(author__name="author 1").update(body="x") == 8
        assert Article.objects.select_for_update().filter(author__name="author 1").delete()[0] == 8


def test_lock_is_one_statement_to_those_who_count(patient: Ledger) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        Article.objects.select_for_update().get(title="title 1")
    assert len(queries) == 1


def test_lock_waits_for_a_hanging_redis_once(site: Site, patient: Ledger, told: Told) -> None:
    with site.redis() as client:
        client.client_pause(20_000)
    with site.impatient(), transaction.atomic():
        articles = Article.objects.select_for_update().select_related("author").filter(category="orbits")
        assert len(articles) == 13
        assert [type(each["error"]).__name__ for each in told.arguments("redis_request_failed")] == ["TimeoutError"]
        site.server.kill()
