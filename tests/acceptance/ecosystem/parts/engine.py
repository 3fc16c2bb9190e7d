"""What is the engine's own: requests for common steps while indexes are trusted, and the shell that it has not."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author


@dataclass(frozen=True)
class Cost:
    """Statements, requests for documents, and the statements that scanned."""

    statements: int
    reads: int
    writes: int = 0
    deletes: int = 0
    scans: tuple[str, ...] = ()


def cost(step: Callable[[], object]) -> Cost:
    """What a step costs once the process is warm: it has been done once before."""
    with profile_queries() as queries:
        step()
    ops = [profile.storage_ops for profile in queries.profiles]
    return Cost(
        len(ops),
        sum(each.reads for each in ops),
        sum(each.writes for each in ops),
        sum(each.deletes for each in ops),
        tuple(f"{profile.operation} {profile.model}" for profile in queries.full_scans()),
    )


@pytest.fixture
def _articles() -> None:
    """Thirty articles of three authors."""
    authors = Author.objects.bulk_create(Author(name=f"author {number}") for number in range(3))
    Article.objects.bulk_create(
        Article(author=author, title=f"{author} {number}", category="c", status="draft" if number else "published")
        for author in authors
        for number in range(10)
    )


def test_login_reads_the_user_and_writes_user_and_session(client: Client) -> None:
    User.objects.create_superuser("root", password="secret")
    form = {"username": "root", "password": "secret"}
    assert cost(lambda: client.post("/admin/login/?next=/admin/", form)) == Cost(8, reads=6, writes=3)


@pytest.mark.usefixtures("_articles")
def test_page_of_the_admin_reads_session_user_and_what_it_shows(admin_client: Client) -> None:
    author = Author.objects.get(name="author 1")
    admin_client.get("/admin/")
    assert cost(lambda: admin_client.get("/admin/")) == Cost(3, reads=2)
    page = f"/admin/articles/author/{author.pk}/change/"
    assert cost(lambda: admin_client.get(page)) == Cost(6, reads=13)  # the author and ten articles, one of them twice


def test_clearsessions_reads_and_deletes_what_has_expired() -> None:
    for number in range(5):
        past = timezone.now() - datetime.timedelta(days=3 - number)
        Session.objects.create(session_key=str(number), session_data="", expire_date=past)
    call_command("clearsessions")
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - datetime.timedelta(1))
    assert cost(lambda: call_command("clearsessions")) == Cost(2, reads=1, deletes=1)


@pytest.mark.usefixtures("_articles")
def test_list_of_the_admin_scans_nothing(admin_client: Client) -> None:
    author = Author.objects.get(name="author 1")
    admin_client.get("/admin/")
    found = cost(lambda: admin_client.get("/admin/articles/article/", {"author__id__exact": author.pk}))
    assert found.scans == ()


@pytest.mark.usefixtures("shop")
def test_page_of_the_interface_reads_what_it_shows() -> None:
    api = APIClient()
    assert cost(lambda: api.get("/api/products/", {"category": 1})) == Cost(5, reads=5)
    assert cost(lambda: api.get("/api/products/1/")) == Cost(2, reads=2)  # its category and supplier are in the index


@pytest.mark.parametrize("engine, spent", [("db", Cost(3, reads=2, writes=1)), ("cached_db", Cost(2, 1, 1))])
def test_visit_reads_and_writes_its_session(settings, engine: str, spent: Cost) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    visitor = Client()
    visitor.get("/visits/")
    assert cost(lambda: visitor.get("/visits/")) == spent


def test_look_at_the_cache_in_the_database_scans_it() -> None:
    call_command("createcachetable", verbosity=0)
    cache = caches["database"]
    cache.set_many({f"key{number}": number for number in range(10)})
    assert cost(lambda: cache.get("key3")) == Cost(1, reads=10, scans=("raw None",))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE shop_cache")


def test_dbshell_says_what_to_use_instead() -> None:
    with pytest.raises(CommandError, match=r"'default' has no command-line shell.*test_shop/.*manage\.py shell"):
        call_command("dbshell")
