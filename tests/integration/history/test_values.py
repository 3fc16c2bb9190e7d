"""What a history shows of the values in a statement: nothing, or those of its conditions when it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection
from django.db.models import F, Q

from django_smarterbase.history import ProfileHistory, history_of
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

SECRET = "xyzzy-4711"


def everything(site: Site, history: ProfileHistory) -> str:
    """All that the history holds and gives away, as text."""
    page = json.dumps([profile.as_dict() for profile in history.read().profiles])
    with site.redis() as client:
        (stream,) = client.scan_iter("sb:*:profiles")
        return page + str(client.xrange(stream))


def test_no_value_is_in_the_history(recording: Site) -> None:
    author = Author.objects.create(name=SECRET)
    list(Author.objects.filter(name=SECRET))
    list(Author.objects.exclude(name__contains=SECRET).filter(pk__in=[author.pk]))
    list(Article.objects.filter(author__in=Author.objects.filter(name__startswith=SECRET)))
    with pytest.raises(IntegrityError):
        Author.objects.create(name=SECRET)
    Author.objects.filter(name=SECRET).update(name=f"{SECRET}!")
    list(Author.objects.raw("SELECT * FROM authors WHERE name = %s", [SECRET]))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM authors WHERE name = '{SECRET}'")
    history = history_of("default")

    assert len(history.read().profiles) == 8
    assert SECRET not in everything(recording, history)
    assert author.pk.hex not in everything(recording, history).replace("-", "")
    assert {profile.filter_values for profile in history.read().profiles} == {None}


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (lambda: list(Author.objects.filter(name=SECRET)), (f"name='{SECRET}'",)),
        (lambda: list(Author.objects.exclude(name__contains=SECRET)), (f"name__contains='{SECRET}'",)),
        (lambda: Author.objects.filter(name=SECRET).update(name="new"), (f"name='{SECRET}'",)),
        (lambda: Author.objects.filter(name__isnull=True).delete(), ("name__isnull=True",)),
        (lambda: Author.objects.create(name=SECRET), ()),
        (lambda: list(Author.objects.raw("SELECT * FROM authors WHERE name = %s", [SECRET])), ()),
        (lambda: list(Article.objects.filter(view_count__gt=F("view_count") + 1)), ()),
        (lambda: Article.objects.filter(created_at__year=2025).count(), ("created_at__year=2025",)),
        (
            lambda: list(Article.objects.filter(Q(view_count=3) | Q(author__name="Ada"))),
            ("view_count=3", "name='Ada'"),
        ),
        (
            lambda: list(Article.objects.filter(view_count=1, author__in=Author.objects.filter(name="Ada"))),
            ("view_count=1", "name='Ada'"),
        ),
    ],
)
def test_values_of_conditions_are_in_the_history_when_the_option_says_so(
    recording: Site, statement: Callable[[], object], values: tuple[str, ...]
) -> None:
    recording.restart(show_values=True)
    statement()

    page = history_of("default").read()

    assert page.profiles[-1].filter_values == values


def test_values_are_cut_off_when_they_are_long_or_many(recording: Site) -> None:
    recording.restart(show_values=True)
    long = Q(name="x" * 1000)
    many = (Q(name=str(number)) for number in range(60))
    list(Author.objects.filter(Q(long, *many, _connector=Q.OR)))

    (profile,) = history_of("default").read().profiles

    assert profile.filter_values is not None
    assert profile.filter_values[0] == "name='" + "x" * 193 + "…"
    assert len(profile.filter_values[0]) == 200
    assert profile.filter_values[1:] == tuple(f"name='{number}'" for number in range(49))
