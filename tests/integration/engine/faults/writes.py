"""Writes of every kind, each noted in the ledger when it has come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from django.db import transaction
from django.db.models import F

from testproject.articles.models import Article, Author

from .ledger import Ledger, Status, with_views
from .questions import CATEGORY, ONE, some


class Undo(Exception):
    """Rolls a transaction back."""


def create(ledger: Ledger) -> None:
    article = ledger.article(title="created", author=ONE, category=CATEGORY, status=Status.DRAFT, views=3)
    article.save()
    ledger.add_all([article])


def bulk_create(ledger: Ledger) -> None:
    ledger.add_all(
        Article.objects.bulk_create(
            ledger.article(title=f"bulk {n}", author=ONE, category="bulk", status=Status.PUBLISHED, views=n)
            for n in range(3)
        )
    )


def get_or_create(ledger: Ledger) -> None:
    author, created = Author.objects.get_or_create(name=ONE)
    assert (author.pk, created) == (ledger.authors[ONE].pk, False)
    author, created = Author.objects.get_or_create(name="newcomer")
    assert created
    ledger.add_author(author)


def update(ledger: Ledger) -> None:
    changed = Article.objects.filter(category=CATEGORY, status=Status.DRAFT).update(status=Status.ARCHIVED)
    assert changed == ledger.change(
        lambda row: row.category == CATEGORY and row.status == Status.DRAFT,
        lambda row: replace(row, status=Status.ARCHIVED),
    )


def update_by_expression(ledger: Ledger) -> None:
    changed = Article.objects.filter(author=ledger.authors[ONE]).update(view_count=F("view_count") + 5)
    assert changed == ledger.change(lambda row: row.author == ONE, lambda row: with_views(row, 5))


def save(ledger: Ledger) -> None:
    row = some(ledger)
    article = Article.objects.get(pk=row.pk)
    article.category = "moved"
    article.save()
    ledger.change(lambda each: each.pk == row.pk, lambda each: replace(each, category="moved"))


def delete(ledger: Ledger) -> None:
    deleted, _ = Article.objects.filter(category="orbits", status=Status.ARCHIVED).delete()
    assert deleted == ledger.remove(lambda row: row.category == "orbits" and row.status == Status.ARCHIVED) > 0


def commit_transaction(ledger: Ledger) -> None:
    with transaction.atomic():
        article = ledger.article(title="committed", author=ONE, category=CATEGORY, status=Status.DRAFT, views=1)
        article.save()
        seen = Article.objects.filter(category=CATEGORY).count()
        assert seen == 1 + len(ledger.where(lambda row: row.category == CATEGORY))
        try:
            with transaction.atomic():
                Article.objects.filter(pk=article.pk).update(title="never")
                Article.objects.filter(author=ledger.authors[ONE]).delete()
                raise Undo
        except Undo:
            pass
    ledger.add_all([article])


def roll_back(ledger: Ledger) -> None:
    try:
        with transaction.atomic():
            ledger.article(title="undone", author=ONE, category=CATEGORY, status=Status.DRAFT, views=1).save()
            Article.objects.filter(category=CATEGORY).update(category="undone")
            Article.objects.filter(author=ledger.authors[ONE]).delete()
            assert not Article.objects.filter(category=CATEGORY).exists()
            raise Undo
    except Undo:
        pass


WRITES: tuple[Callable[[Ledger], None], ...] = (
    create,
    bulk_create,
    get_or_create,
    update,
    update_by_expression,
    save,
    delete,
    commit_transaction,
    roll_back,
)
