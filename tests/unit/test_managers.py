"""Hints reach every statement of a query set; checked on stock SQLite, which takes no notice of them."""

import asyncio
import pickle

import pytest
from asgiref.sync import async_to_sync
from django.db import NotSupportedError, connections, models
from django.db.models import Count, Exists, OuterRef
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler
from django.test.utils import isolate_apps

from django_smarterbase.hints import QueryHints, hints_of, under_name
from django_smarterbase.managers import SmarterBaseManager, SmarterBaseQuerySet
from django_smarterbase.models import SmarterBaseModel
from django_smarterbase.profiling import recorder

with isolate_apps("django.contrib.messages"):

    class Author(SmarterBaseModel):
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "messages"

    class Article(SmarterBaseModel):
        author = models.ForeignKey(Author, models.CASCADE)
        status = models.CharField(max_length=20, db_index=True, default="draft")

        class Meta:
            app_label = "messages"

    class LongArticle(Article):
        words = models.IntegerField(default=0)

        class Meta:
            app_label = "messages"


MODELS = (Author, Article, LongArticle)


@pytest.fixture
def plain(monkeypatch, django_db_blocker):
    """The alias of an empty SQLite database with the tables of the models above."""
    config = {"default": {}, "plain": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    monkeypatch.setitem(connections.settings, "plain", connections.configure_settings(config)["plain"])
    with django_db_blocker.unblock():
        with connections["plain"].schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        yield "plain"
        connections["plain"].close()
        del connections["plain"]


@pytest.fixture
def author(plain):
    author = Author.objects.using(plain).create(name="Ada")
    Article.objects.using(plain).create(author=author, status="published")
    LongArticle.objects.using(plain).create(author=author)
    return author


@pytest.fixture
def seen(monkeypatch, author):
    """``[(class of the query, its hints)]`` of the statements that the test runs, in their order."""
    statements = []

    def watch(compiler):
        execute = compiler.execute_sql

        def watched(self, *args, **kwargs):
            statements.append((type(self.query).__name__, hints_of(self.query)))
            return execute(self, *args, **kwargs)

        monkeypatch.setattr(compiler, "execute_sql", watched)

    watch(SQLCompiler)
    watch(SQLInsertCompiler)
    return statements


@pytest.fixture
def hinted(plain, seen):
    return Article.objects.using(plain).named("Work").require_index()


HINTS = QueryHints(name="Work", access="index")

SELECTS = {
    "list": lambda qs: list(qs),
    "chained": lambda qs: list(qs.filter(status="draft").exclude(status="x").order_by("status")[:1]),
    "get": lambda qs: qs.get(status="draft"),
    "first": lambda qs: qs.first(),
    "count": lambda qs: qs.count(),
    "count of a distinct": lambda qs: qs.values("status").distinct().count(),
    "count of a slice": lambda qs: qs[:1].count(),
    "exists": lambda qs: qs.exists(),
    "aggregate": lambda qs: qs.aggregate(n=Count("pk")),
    "aggregate over an annotation": lambda qs: qs.annotate(n=Count("author")).aggregate(total=models.Sum("n")),
    "values": lambda qs: list(qs.values("status")),
    "values_list": lambda qs: list(qs.values_list("status", flat=True)),
    "iterator": lambda qs: list(qs.iterator()),
    "in_bulk": lambda qs: qs.in_bulk(),
    "union": lambda qs: list(qs.union(qs.filter(status="draft"))),
    "union as the second part": lambda qs: list(Article.objects.using("plain").union(qs)),
    "count of a union": lambda qs: qs.union(qs.filter(status="draft")).count(),
    "or": lambda qs: list(qs | Article.objects.using("plain").filter(status="draft")),
    "subquery": lambda qs: list(qs.filter(Exists(Author.objects.filter(pk=OuterRef("author"))))),
    "select_related": lambda qs: list(qs.select_related("author").defer("status")),
    "contains": lambda qs: qs.contains(Article.objects.using("plain").first()),
    "pickled": lambda qs: list(pickled(qs)),
}


def pickled(queryset):
    copy = queryset.all()
    copy.query = pickle.loads(pickle.dumps(queryset.query))
    return copy


@pytest.mark.parametrize("work", SELECTS.values(), ids=SELECTS)
def test_hints_reach_the_statement_whatever_the_select(hinted, seen, work):
    work(hinted)

    assert [hints for _, hints in seen if hints != QueryHints()] == [HINTS]


def test_hints_reach_update_and_delete(hinted, seen):
    hinted.filter(status="published").update(status="draft")
    hinted.filter(status="x")._raw_delete("plain")

    assert seen == [("UpdateQuery", HINTS), ("DeleteQuery", HINTS)]


NAMED_ONLY = QueryHints(name="Work", access="any")


def test_name_reaches_every_statement_of_a_cascading_delete(plain, seen):
    Author.objects.using(plain).named("Work").delete()

    assert len(seen) > 3
    assert {hints for _, hints in seen} == {NAMED_ONLY}


def test_name_reaches_the_update_of_a_parents_table(plain, seen):
    LongArticle.objects.using(plain).named("Work").update(status="published", words=2)

    assert [kind for kind, _ in seen].count("UpdateQuery") == 2
    assert {hints for _, hints in seen} == {NAMED_ONLY}


@pytest.mark.parametrize(
    "work",
    [
        lambda qs: qs.create(name="Bea"),
        lambda qs: qs.get_or_create(name="Bea"),
        lambda qs: qs.update_or_create(name="Ada", defaults={"name": "Bea"}),
        lambda qs: qs.bulk_create([Author(name="Bea"), Author(name="Cat")]),
        lambda qs: qs.bulk_update(list(qs), ["name"]),
    ],
    ids=["create", "get_or_create", "update_or_create", "bulk_create", "bulk_update"],
)
def test_name_reaches_the_statements_that_django_builds_afresh(plain, seen, work):
    work(Author.objects.using(plain).named("Work"))

    assert seen
    assert {hints for _, hints in seen} == {NAMED_ONLY}


def test_name_of_an_operation_ends_with_it(plain, seen):
    Author.objects.using(plain).named("Work").create(name="Bea")
    seen.clear()

    list(Author.objects.using(plain))

    assert seen == [("Query", QueryHints())]


def test_own_name_of_a_query_wins_over_that_of_the_operation_under_way(plain, seen):
    with under_name("Outer"):
        list(Author.objects.using(plain).named("Work"))
        list(Author.objects.using(plain))
        raw = hints_of(None)

    assert [hints.name for _, hints in seen] == ["Work", "Outer"]
    assert raw == QueryHints(name="Outer")


def test_hints_do_not_leak_into_the_query_set_they_were_chained_from(plain, author):
    base = Author.objects.using(plain)
    base.named("Work").scan()

    assert hints_of(base.query) == QueryHints()


def test_last_word_on_access_counts():
    assert hints_of(Article.objects.require_index().scan().query).access == "scan"
    assert hints_of(Article.objects.scan().require_index().query).access == "index"


def test_combination_takes_what_it_leaves_open_from_its_parts():
    union = Article.objects.named("First").union(Article.objects.named("Second").require_index())

    assert hints_of(union.query) == QueryHints(name="First", access="index")


ASYNC_WORK = {
    "acount": lambda qs: qs.acount(),
    "aget": lambda qs: qs.aget(name="Ada"),
    "afirst": lambda qs: qs.afirst(),
    "acreate": lambda qs: qs.acreate(name="Bea"),
    "aget_or_create": lambda qs: qs.aget_or_create(name="Bea"),
    "aupdate": lambda qs: qs.aupdate(name="Bea"),
    "adelete": lambda qs: qs.adelete(),
    "async for": lambda qs: rows_of(qs),
    "aiterator": lambda qs: rows_of(qs.aiterator()),
}


async def rows_of(rows):
    return [row async for row in rows]


@pytest.mark.parametrize("work", ASYNC_WORK.values(), ids=ASYNC_WORK)
def test_async_methods_bear_the_name(plain, seen, work):
    async def run():
        return await work(Author.objects.using(plain).named("Work"))

    async_to_sync(run)()

    assert seen
    assert {hints for _, hints in seen} == {NAMED_ONLY}


@pytest.fixture
def listener():
    def ignore(profile):
        pass

    recorder.add_sink(ignore)
    yield
    recorder.remove_sink(ignore)


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("method", ["acount", "afirst", "acreate"])
def test_async_methods_are_named_after_the_awaiting_coroutine_when_somebody_listens(plain, seen, method):
    async def list_authors():
        return await getattr(Author.objects.using(plain), method)()

    async_to_sync(list_authors)()

    assert {hints.name.rpartition(".")[2] for _, hints in seen} == {"list_authors"}


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("rows", [lambda qs: qs, lambda qs: qs.aiterator()], ids=["async for", "aiterator"])
def test_async_iteration_is_named_after_its_coroutine_when_somebody_listens(plain, seen, rows):
    async def list_authors():
        return [author async for author in rows(Author.objects.using(plain))]

    assert len(async_to_sync(list_authors)()) == 1
    assert {hints.name.rpartition(".")[2] for _, hints in seen} == {"list_authors"}


def test_async_methods_do_not_look_for_their_caller_when_nobody_listens(plain, seen, monkeypatch):
    monkeypatch.setattr(recorder, "caller_method", lambda: pytest.fail("the stack was walked"))

    async def list_authors():
        return await Author.objects.using(plain).acount()

    assert async_to_sync(list_authors)() == 1
    assert [hints.name for _, hints in seen] == [None]


def test_async_methods_keep_what_django_says_of_them():
    assert asyncio.iscoroutinefunction(SmarterBaseQuerySet.acount)
    assert SmarterBaseQuerySet.adelete.queryset_only is True
    assert SmarterBaseQuerySet.delete.queryset_only is True
    assert SmarterBaseQuerySet.create.alters_data is True
    assert not hasattr(SmarterBaseManager, "delete")


@pytest.fixture
def counting(plain, monkeypatch):
    """The fields that the engine is asked to count by; it answers ``{"published": 3}``."""
    asked = []

    def index_counts(model, field):
        asked.append((model, field.name, hints_of(None).name))
        return {"published": 3}

    monkeypatch.setattr(connections["plain"], "index_counts", index_counts, raising=False)
    return asked


@pytest.mark.parametrize(("name", "field"), [("status", "status"), ("author_id", "author"), ("pk", "id")])
def test_index_counts_asks_the_engine_for_the_field(counting, name, field):
    assert Article.objects.using("plain").named("Count").index_counts(name) == {"published": 3}
    assert counting == [(Article, field, "Count")]


def test_aindex_counts_does_the_same(counting):
    assert async_to_sync(Article.objects.using("plain").aindex_counts)("status") == {"published": 3}
    assert counting == [(Article, "status", None)]


def test_index_counts_says_what_to_use_on_another_engine(plain):
    with pytest.raises(NotSupportedError, match=r"'plain'.*messages\.Article is sqlite.*\.values\(\"status\"\)"):
        Article.objects.using(plain).index_counts("status")


@pytest.mark.parametrize(
    "narrow",
    [
        lambda qs: qs.filter(status="draft"),
        lambda qs: qs[:1],
        lambda qs: qs.distinct(),
        lambda qs: qs.union(qs.all()),
    ],
    ids=["filter", "slice", "distinct", "union"],
)
def test_index_counts_refuses_to_count_a_part_of_the_table(counting, narrow):
    with pytest.raises(TypeError, match=r"all rows of messages\.Article"):
        narrow(Article.objects.using("plain")).index_counts("status")
    assert counting == []


@pytest.mark.parametrize("name", ["status", "longarticle"])
def test_index_counts_refuses_a_field_of_another_table(counting, name):
    model = LongArticle if name == "status" else Article
    with pytest.raises(TypeError, match=f"'{name}' has none"):
        model.objects.using("plain").index_counts(name)


def test_as_manager_and_from_queryset_make_smarterbase_managers():
    class ArticleQuerySet(SmarterBaseQuerySet):
        def drafts(self):
            return self.filter(status="draft")

    for manager in (ArticleQuerySet.as_manager(), SmarterBaseManager.from_queryset(ArticleQuerySet)()):
        manager.model = Article
        assert isinstance(manager, SmarterBaseManager)
        assert hints_of(manager.drafts().named("Drafts").query).name == "Drafts"
        assert isinstance(manager.require_index(), ArticleQuerySet)


def test_related_managers_have_the_additions(author):
    queryset = author.article_set.named("ListAuthorArticles").require_index()

    assert hints_of(queryset.query) == QueryHints("ListAuthorArticles", "index")
    assert queryset.count() == 2
