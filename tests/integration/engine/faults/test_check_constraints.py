"""CHECK constraints judge what SQL writes, and never what the documents hold already."""

from __future__ import annotations

import orjson
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

REFUSED = "CHECK constraint failed: view_count"


def write(number: int) -> list[Article]:
    """So many articles, the first of which has a negative number of views, written past the engine."""
    author = Author.objects.create(name="Ada")
    made = [Article(author=author, title=f"{n:03}", category="c", view_count=n) for n in range(number)]
    Article.objects.bulk_create(made)
    key = connection.resources.keys.document(Article._meta.db_table, made[0].pk.hex)
    stored = connection.resources.store.get(key)
    assert stored is not None
    connection.resources.store.put(key, orjson.dumps({**orjson.loads(stored.body), "view_count": -5}))
    return made


def views() -> list[int]:
    """The views of all articles, by their documents."""
    return [article.view_count for article in Article.objects.order_by("title")]


@pytest.mark.parametrize("number", [2, 101])
def test_document_that_a_check_would_refuse_is_a_row_before_a_write_and_after_it(site: Site, number: int) -> None:
    first, second, *_ = write(number)
    expected = [-5, *range(1, number)]
    assert views() == expected
    assert Article.objects.filter(pk=second.pk).update(view_count=F("view_count") + 6) == 1
    expected[1] = 7
    assert views() == expected
    assert Article.objects.filter(pk=second.pk).update(title="001") == 1
    assert Article.objects.get(pk=first.pk).view_count == -5
    with transaction.atomic():
        Article.objects.filter(pk=second.pk).update(view_count=8)
        assert views() == [-5, 8, *expected[2:]]


def test_check_refuses_what_is_written_whatever_has_been_read(site: Site) -> None:
    first, second = write(2)
    for _time in range(2):
        assert views() == [-5, 1]
        with pytest.raises(IntegrityError, match=REFUSED):
            Article.objects.filter(pk=second.pk).update(view_count=-1)
        assert Article.objects.get(pk=first.pk).view_count == -5
        with pytest.raises(IntegrityError, match=REFUSED):
            Article.objects.filter(pk=first.pk).update(view_count=F("view_count") - 1)
    assert views() == [-5, 1]


def test_writes_that_follow_each_other_do_not_let_sqlite_compile_its_statements_anew(site: Site) -> None:
    _first, second, third = write(3)
    rows = Article.objects.filter(pk__in=[second.pk, third.pk])
    rows.update(view_count=1)
    seen: list[str] = []
    sqlite = connection.connection
    sqlite.set_trace_callback(seen.append)
    try:
        assert rows.update(view_count=2) == 2
        assert Article.objects.get(pk=third.pk).view_count == 2
        third.delete()
    finally:
        sqlite.set_trace_callback(None)
    assert any(sql.startswith('UPDATE "articles"') for sql in seen)
    assert [sql for sql in seen if sql.startswith("PRAGMA")] == []
