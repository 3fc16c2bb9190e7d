"""The example site's addresses, and views that do what its own do not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.urls import path

from testproject.articles.models import Article, Author
from testproject.urls import urlpatterns as site

from . import LINGERING

_KEPT = 5  # articles of the category that come_and_go uses


def come_and_go(request: HttpRequest) -> HttpResponse:
    """Create an article, and delete the oldest of its kind when there are too many."""
    author = Author.objects.earliest("pk")
    Article.objects.create(author=author, category="passing", title=uuid.uuid4().hex)
    for article in Article.objects.filter(category="passing").order_by("-created_at")[_KEPT:]:
        article.delete()
    return HttpResponse("done")


def transact(request: HttpRequest) -> HttpResponse:
    """Lock two rows, change them, and set a savepoint back in between."""
    with transaction.atomic():
        first, second = Article.objects.select_for_update().filter(category="science")[:2]
        Article.objects.filter(pk=first.pk).update(body=uuid.uuid4().hex)
        point = transaction.savepoint()
        Article.objects.filter(pk=second.pk).update(view_count=F("view_count") + 1)
        transaction.savepoint_rollback(point)
        Article.objects.filter(pk=second.pk).update(body=uuid.uuid4().hex)
    return HttpResponse("done")


def clash(request: HttpRequest) -> HttpResponse:
    """Want a name that is taken, which the database refuses."""
    try:
        Author.objects.create(name=Author.objects.earliest("pk").name)
    except IntegrityError:
        return HttpResponse("refused", status=409)
    return HttpResponse("taken twice")


def search(request: HttpRequest) -> HttpResponse:
    """Ask what no index answers, in SQL of which no two are alike."""
    word = uuid.uuid4().hex
    found = Article.objects.filter(title__contains=word).count()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM articles WHERE title = '{word}'")
        found += cursor.fetchone()[0]
    return HttpResponse(str(found))


def fail(request: HttpRequest) -> HttpResponse:
    """An error in the middle of a transaction, which no view catches."""
    with transaction.atomic():
        Article.objects.filter(category="science").update(view_count=F("view_count") + 1)
        raise LookupError(uuid.uuid4().hex)


def linger(request: HttpRequest) -> HttpResponse:
    """Wait for a file between one write and the other."""
    author = Author.objects.earliest("pk")
    Article.objects.create(author=author, category=LINGERING, title="begun")
    while not Path(request.GET["until"]).exists():
        time.sleep(0.05)
    Article.objects.create(author=author, category=LINGERING, title="done")
    return HttpResponse("done")


_VIEWS: tuple[Callable[[HttpRequest], HttpResponse], ...] = (come_and_go, transact, clash, search, fail, linger)
urlpatterns = [*site, *(path(f"{view.__name__}/", view) for view in _VIEWS)]
