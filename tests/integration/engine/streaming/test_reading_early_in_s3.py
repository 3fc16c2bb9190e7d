"""In S3 too, who wants a few rows does not wait for a whole table to be read, or listed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from django_smarterbase.backend.pieces import FIRST
from testproject.articles.models import Article
from tests.integration.commands.site import Site

from .test_reading_early import UNORDERED, ops

CONCURRENCY = 16  # the default of the option; twice as many documents are read ahead


@pytest.mark.parametrize(
    "ask",
    [
        lambda: len(UNORDERED.filter(view_count__gte=0)[:10]),
        lambda: UNORDERED.filter(view_count__gte=0).exists(),
        lambda: next(UNORDERED.iterator(chunk_size=1)),
    ],
    ids=["slice", "exists", "iterator that is left"],
)
def test_first_rows_take_a_piece_of_the_table_and_a_page_of_its_listing(
    bucket_site: Site, ask: Callable[[], object]
) -> None:
    _answer, spent = ops(ask)
    assert FIRST <= spent.reads <= FIRST + 2 * CONCURRENCY
    assert spent.lists == 1


def test_iterator_by_key_reads_everything_once(bucket_site: Site) -> None:
    found, spent = ops(lambda: list(Article.objects.order_by("-pk").values_list("view_count", flat=True).iterator()))
    assert (found, spent.reads, spent.lists) == (list(range(1999, -1, -1)), 2000, 2)
