"""What a change list of the admin costs: its rows, and no table read in full."""

from __future__ import annotations

from django.test import Client

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

ARTICLES = 250
PAGE = "/admin/articles/article/"


def test_first_page_reads_its_rows_and_lists_no_table(site: Site, root: Client) -> None:
    authors = Author.objects.bulk_create(Author(name=f"author {number}") for number in range(5))
    Article.objects.bulk_create(
        Article(author=authors[number % 5], category=f"c{number % 2}", title=f"title {number}")
        for number in range(ARTICLES)
    )
    newest = list(Article.objects.scan())

    root.get(PAGE)  # the server takes the text of a script once
    with profile_queries() as seen:
        page = root.get(PAGE)
    listed = page.context["cl"]
    assert list(listed.result_list) == newest[:100]
    assert (listed.result_count, listed.full_result_count) == (ARTICLES, ARTICLES)
    assert {profile.complexity for profile in seen.profiles if profile.model == "articles.Article"} == {"O(1)"}
    # Those of the filter by author, of the session and of the user included.
    assert sum(profile.storage_ops.lists for profile in seen.profiles) == 0
    assert sum(profile.storage_ops.reads for profile in seen.profiles) <= 110
