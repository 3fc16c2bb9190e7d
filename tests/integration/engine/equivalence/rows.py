"""The rows that both databases begin with: few enough to be joined in every way, with gaps where joins can go wrong."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal

from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from .library.models import TABLES, Article, Author, Country, LongArticle, Note, Tag

CATEGORIES = ("news", "essay", "NEWS", "")
STATUSES = ("draft", "live")
PRICES = (None, Decimal("1.00"), Decimal("1.50"), Decimal("12.25"))
DATES = (None, date(2024, 2, 29), date(2025, 1, 1))
COUNTRIES = ("at", "a/t", "é")
NAMES = ("Ada", "ada", "Bob", "")


class Word(str, enum.Enum):  # noqa: UP042 - one that calls itself "Word.NEWS"
    """An enumeration whose members call themselves otherwise than SQLite does."""

    NEWS = "news"


def fill(db: str) -> None:
    """Put the rows into an empty database."""
    with transaction.atomic(using=db):
        ContentType.objects.using(db).create(id=1, app_label="library", model="author")
        ContentType.objects.using(db).create(id=2, app_label="library", model="article")
        Country.objects.using(db).bulk_create(
            Country(code=code, size=size) for code, size in zip(COUNTRIES, (1, 2, None), strict=True)
        )
        Author.objects.using(db).bulk_create(_author(number) for number in range(1, 8))
        Tag.objects.using(db).bulk_create(
            Tag(id=number, name=f"t{number}", weight=weight) for number, weight in enumerate((1.0, 1.5, None, 1.0), 1)
        )
        Article.objects.using(db).bulk_create(_article(number) for number in range(1, 15))
        for number in (15, 16, 17):
            LongArticle.objects.using(db).create(**_values(number), words=number % 2)
        for article in Article.objects.using(db).filter(id__lt=10):
            article.tags.add(*(tag for tag in range(1, 5) if (article.id * tag) % 3 == 1))
        Note.objects.using(db).bulk_create(
            Note(id=number, content_type_id=1 + number % 2, object_id=text, text=f"n{number % 3}")
            for number, text in enumerate(("1", "01", "2", "3", "1.0", "x", "5"), 1)
        )


def clear(db: str) -> None:
    """Remove all rows. Contents of a database that are the same in both are then filled in again."""
    with transaction.atomic(using=db):
        for model in (Article.tags.through, *reversed(TABLES)):
            model._default_manager.using(db)._raw_delete(db)


def _author(number: int) -> Author:
    return Author(
        id=number,
        name=NAMES[number % 4],
        country_id=(*COUNTRIES, None)[number % 4],
        mentor_id=(None, 1, 1, 2, 3, 5, 7)[number - 1],
        born=(None, 1900, 1950)[number % 3],
    )


def _article(number: int) -> Article:
    return Article(**_values(number))


def _values(number: int) -> dict[str, object]:
    return {
        "id": number,
        "author_id": number % 6 + 1,
        "editor_id": (None, 1, 2, 6, None)[number % 5],
        "category": CATEGORIES[number % 4],
        "status": STATUSES[number % 2],
        "rating": (None, 0, 1, 2, 3)[number % 5],
        "score": (None, 1, 2, 3)[number % 4],
        "price": PRICES[number % 4],
        "printed": DATES[number % 3],
        "live": number % 3 == 0,
    }
