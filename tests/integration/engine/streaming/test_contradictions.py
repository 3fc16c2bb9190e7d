"""Documents that were read at different times, and what Django does not know of: the answer is right all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Func, IntegerField, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now, Random

from django_smarterbase.backend.courses import Course, RowByRow, Sifted
from django_smarterbase.backend.documents import Documents
from django_smarterbase.backend.pieces import Document, Pieces
from django_smarterbase.backend.requests import Request
from django_smarterbase.backend.session import Session
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .conftest import ARTICLES

NAMES = [f"author {number:02}" for number in range(40)]


@pytest.fixture
def authors(site: Site, small_pieces: int) -> list[Author]:
    """Authors with unique names."""
    return Author.objects.bulk_create(Author(name=name) for name in NAMES)


def swap(authors: list[Author]) -> None:
    """Another process gives two authors each other's names."""

    def write() -> None:
        try:
            one, other = (author.name for author in authors)
            Author.objects.filter(pk=authors[0].pk).update(name="for a moment")
            Author.objects.filter(pk=authors[1].pk).update(name=one)
            Author.objects.filter(pk=authors[0].pk).update(name=other)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


@pytest.fixture
def swapped(authors: list[Author], monkeypatch: pytest.MonkeyPatch) -> list[Author]:
    """The names of two of the first documents of a listing are swapped when the first of them has been read."""
    stored, met = Documents.stored, list[Document]()

    def overtaken(self: Documents, schema: Any, admits: Any = None) -> Any:
        for stem, key, document in stored(self, schema, admits):
            if schema.table == "authors" and threading.current_thread() is threading.main_thread():
                met.append(Document(stem, key, document))
                if len(met) == 1:
                    swap([next(a for a in authors if a.pk.hex == stem), next(a for a in authors if a.pk.hex != stem)])
            yield stem, key, document

    monkeypatch.setattr(Documents, "stored", overtaken)
    return authors


@pytest.mark.parametrize(
    "ask",
    [
        lambda: [author.name for author in Author.objects.scan().order_by().iterator(chunk_size=10)],
        lambda: list(Author.objects.scan().order_by().values_list("name", flat=True)),
        lambda: list(Author.objects.scan().order_by("name").values_list("name", flat=True)),
    ],
    ids=["iterator", "list", "sorted list"],
)
def test_names_that_are_swapped_while_they_are_read_are_all_there(
    swapped: list[Author], ask: Callable[[], list[str]]
) -> None:
    assert set(ask()) >= set(NAMES) - {swapped[0].name, swapped[1].name}


def test_piece_that_contradicts_itself_is_read_again(authors: list[Author], monkeypatch: pytest.MonkeyPatch) -> None:
    read = Pieces._read
    seen: list[int] = []

    def overtaken(self: Pieces, stems: Any) -> Any:
        found = list(read(self, stems))
        seen.append(len(found))
        if len(seen) == 1:
            swap([author for author in authors if author.pk.hex in (found[0].stem, found[1].stem)])
            found[1] = next(read(self, iter([found[1].stem])))
        yield from found

    monkeypatch.setattr(Pieces, "_read", overtaken)
    rows = Author.objects.scan().order_by("pk").values_list("name", flat=True).iterator(chunk_size=10)
    assert sorted(rows) == NAMES
    assert seen == [len(NAMES), 10]


def test_piece_that_contradicts_itself_each_time_is_a_conflict(
    authors: list[Author], monkeypatch: pytest.MonkeyPatch
) -> None:
    def contradict(*_arguments: Any, **_options: Any) -> Any:
        raise ConflictError("again")

    monkeypatch.setattr("django_smarterbase.backend.retrying._LONGEST_PAUSE", 0.0)
    monkeypatch.setattr("django_smarterbase.backend.streams.Admission.admit", contradict)
    rows = Author.objects.scan().order_by().values_list("name").iterator(chunk_size=10)
    with profile_queries() as queries, pytest.raises(ConflictError):
        next(rows)
    assert [profile.error for profile in queries.profiles] == ["ConflictError"]


class Most(Func):
    """MAX, of which Django does not know that it makes one row of all."""

    function = "MAX"
    output_field = IntegerField()


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "ask",
    [
        lambda rows: list(rows),
        lambda rows: list(rows[:1]),
        lambda rows: list(rows.iterator()),
        lambda rows: list(rows.order_by("most").iterator()),
        lambda rows: list(rows.order_by("-most")[:1]),
    ],
)
def test_function_that_aggregates_in_secret_is_run_over_all_rows(site: Site, ask: Callable[[Any], Any]) -> None:
    rows = Article.objects.order_by().annotate(most=Most(F("view_count"))).values_list("most", flat=True)
    assert ask(rows) == [ARTICLES - 1]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "ask",
    [
        lambda rows: list(rows),
        lambda rows: list(rows.iterator()),
        lambda rows: list(rows.order_by("-view_count").iterator()),
    ],
)
def test_window_in_sql_text_looks_at_all_rows(site: Site, ask: Callable[[Any], Any]) -> None:
    window = RawSQL("FIRST_VALUE(view_count) OVER (ORDER BY view_count DESC)", ())
    rows = Article.objects.scan().order_by().annotate(most=window).values_list("most", flat=True)
    assert ask(rows) == [ARTICLES - 1] * ARTICLES


def courses_of(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[Course | None]:
    """The courses that the statements of ``ask`` could take."""
    found, run = list[Course | None](), Session.run

    def noted(self: Session, request: Request, execution: Any) -> None:
        found.append(request.course)
        run(self, request, execution)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", noted)
        ask()
    return found


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda: list(Article.objects.order_by().filter(title="title 1")), RowByRow),
        (lambda: list(Article.objects.filter(title="title 1")), Sifted),
        (lambda: list(Article.objects.order_by(Random())), type(None)),
        (lambda: list(Article.objects.order_by().filter(created_at__lt=Now())), type(None)),
        (lambda: list(Article.objects.order_by().filter(author__name="x", title="x")), type(None)),
        (lambda: list(Article.objects.order_by().filter(Q(pk__in=Article.objects.filter(title="x")))), type(None)),
        (lambda: list(Article.objects.order_by().annotate(n=RawSQL("SELECT COUNT(*) FROM articles", ()))), type(None)),
    ],
    ids=["rows", "in order", "by chance", "by the clock", "join", "subquery", "raw SQL"],
)
def test_statement_goes_in_pieces_only_where_that_is_known_to_be_right(
    site: Site, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object], kind: type[object]
) -> None:
    assert [type(course) for course in courses_of(monkeypatch, ask)] == [kind]
