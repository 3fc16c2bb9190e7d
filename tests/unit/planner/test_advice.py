"""The advice that a recorded profile allows, and the remedies for an index that is not trusted."""

from __future__ import annotations

from typing import Any

import pytest

from django_smarterbase.outlook import FallbackReason
from django_smarterbase.planner.advice import REMEDIES, advice_for_profile, remedy
from django_smarterbase.profiling.profile import FULL_SCAN, KEY, redis_index
from django_smarterbase.tables import Column, IndexDefinition, TableSchema

SCHEMA = TableSchema(
    "books",
    "library.Book",
    tuple(Column(name) for name in ("id", "author_id", "title", "shelf", "loans")),
    ("id",),
    indexes=(IndexDefinition("books-by-author", ("author_id",)), IndexDefinition("both", ("shelf", "title"))),
    field_names={"id": "id", "author_id": "author", "title": "title", "shelf": "shelf", "loans": "loans"},
)
THEN = "Then run makemigrations, migrate and sb_reindex library.Book."
USABLE = (
    "Filter or exclude Book.author by exact, in, isnull or a range, or filter by startswith, in every branch of an OR: "
    "other lookups and expressions do not use an index."
)


def advice(*fields: str, **changes: Any) -> list[str]:
    """The advice for a scan of books that names these fields in its conditions."""
    recorded: dict[str, Any] = {
        "model": "library.Book",
        "filter_fields": fields,
        "complexity": "O(n)",
        "index_used": FULL_SCAN,
        "fallback_reason": None,
        "schema": SCHEMA,
    }
    return advice_for_profile(**{**recorded, **changes})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["title"], [f"Add db_index=True to Book.title. {THEN}"]),
        (
            ["loans", "title"],
            [
                "Add models.Index(fields=['loans', 'title']) to the indexes of Book.Meta, or db_index=True to one of "
                f"them. {THEN}"
            ],
        ),
        ([], ["Filter library.Book by the primary key or an indexed field (author): nothing narrows it."]),
        (["author"], [USABLE]),
        (["id"], [USABLE.replace("author", "id")]),
        (["loans", "author"], [f"Add db_index=True to Book.loans. {THEN}", USABLE]),
        (["name"], ["Give the related models an index on name, or filter library.Book by a field of its own."]),
    ],
)
def test_advice_for_a_scan_follows_from_the_fields_of_its_conditions(fields: list[str], expected: list[str]) -> None:
    assert advice(*fields) == expected


def test_without_a_schema_every_field_might_lack_an_index() -> None:
    assert advice("author", schema=None) == [f"Add db_index=True to Book.author. {THEN}"]
    assert advice(schema=None) == ["Filter library.Book by the primary key or an indexed field: nothing narrows it."]


def test_raw_sql_is_advised_against() -> None:
    (text,) = advice(model=None, schema=None)
    assert text.startswith("Ask by the ORM")


@pytest.mark.parametrize("index", [KEY, redis_index("books-by-author")])
def test_there_is_no_advice_where_no_table_was_scanned(index: str) -> None:
    assert advice("author", complexity="O(1)", index_used=index) == []


@pytest.mark.parametrize("reason", list(FallbackReason))
def test_every_fallback_reason_has_a_remedy(reason: FallbackReason) -> None:
    assert set(REMEDIES) == set(FallbackReason)
    assert advice("author", fallback_reason=str(reason)) == [remedy(reason, "library.Book")]
    assert "{" not in remedy(reason, "library.Book")


def test_a_reason_that_only_later_versions_know_is_passed_over() -> None:
    assert advice("author", fallback_reason="the moon is full") == []


def test_a_remedy_names_the_command_and_the_model() -> None:
    assert remedy(FallbackReason.FLUSHED, "library.Book") == (
        "Run manage.py sb_reindex library.Book: Redis has lost its index."
    )
