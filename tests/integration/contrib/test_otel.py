"""Spans of real statements, inside those of the caller."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from django_smarterbase.contrib.otel import instrument, uninstrument
from django_smarterbase.exceptions import FullScanRefused
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

SECRET = "a title that nobody may see"
TOLERANCE = 2_000_000  # ns between two clocks


class Spans:
    """A tracer, and the spans that came out."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("tests")

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.all() if span.name == name)
        return span


@pytest.fixture
def spans(site: Site) -> Iterator[Spans]:
    """A site with an author and his article; statements are spans from now on."""
    author = Author.objects.create(name="Ada")
    Article.objects.create(author=author, category="c", title=SECRET)
    spans = Spans()
    instrument(spans.provider)
    yield spans
    uninstrument()


def test_statement_is_a_span_within_the_time_of_its_parent(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("request") as request:
        time.sleep(0.01)
        assert len(Article.objects.named("ListCategory").filter(category="c")) == 1
        time.sleep(0.01)
    span, parent = spans.named("SELECT articles"), spans.named("request")
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert None not in (span.start_time, span.end_time, parent.start_time, parent.end_time)
    assert parent.start_time + 10_000_000 - TOLERANCE <= span.start_time < span.end_time
    assert span.end_time <= parent.end_time - 10_000_000 + TOLERANCE
    attributes = span.attributes or {}
    assert attributes["smarterbase.method"] == "ListCategory"
    assert (attributes["smarterbase.complexity"], attributes["smarterbase.fallback"]) == ("O(1)", False)
    assert attributes["db.namespace"] == connection.settings_dict["NAME"]


def test_transaction_is_a_span_for_each_statement_and_one_for_its_commit(spans: Spans) -> None:
    with transaction.atomic():
        Author.objects.create(name="Grace")
        Author.objects.filter(name="Grace").update(name="Hopper")
    names = [span.name for span in spans.all()]
    assert names == ["INSERT authors", "UPDATE authors", f"COMMIT {connection.settings_dict['NAME']}"]


def test_raw_sql_is_a_span_without_its_text(spans: Spans) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM articles WHERE title = %s", [SECRET])
        assert cursor.fetchall() == [(SECRET,)]
    (span,) = spans.all()
    assert span.name == connection.settings_dict["NAME"]


def test_refused_statement_is_a_span_with_an_error(spans: Spans) -> None:
    with pytest.raises(FullScanRefused):
        list(Article.objects.require_index().filter(title=SECRET))
    (span,) = spans.all()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "FullScanRefused"


def test_no_span_shows_what_was_searched_for_or_written(spans: Spans) -> None:
    assert Article.objects.get(title=SECRET).title == SECRET
    Article.objects.filter(title=SECRET).update(body=SECRET)
    assert len(spans.all()) == 2
    assert SECRET not in "".join(span.to_json() for span in spans.all())


def test_statement_of_another_thread_is_not_a_child_of_this_ones_span(spans: Spans) -> None:
    def work() -> None:
        try:
            Author.objects.get(name="Ada")
        finally:
            connection.close()

    with spans.tracer.start_as_current_span("request"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert spans.named("SELECT authors").parent is None
