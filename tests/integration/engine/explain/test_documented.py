"""The examples of ``explain()`` in the reference are what it prints."""

from __future__ import annotations

import doctest
from pathlib import Path

from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "managers.md"


def test_the_reference_shows_what_explain_prints(own_site: Site) -> None:
    author = Author.objects.create(name="Ada")
    Article.objects.bulk_create(
        Article(author=author, title=f"No {number}", category="sea", status="draft" if number % 5 else "published")
        for number in range(60)
    )
    _, _, examples = PAGE.read_text().partition("```pycon\n")
    test = doctest.DocTestParser().get_doctest(
        examples.partition("```")[0], {"Article": Article}, PAGE.name, str(PAGE), 0
    )
    assert len(test.examples) == 2
    assert doctest.DocTestRunner().run(test).failed == 0
