"""Spans: names, attributes and times by the conventions, and who is their parent."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import django_smarterbase
from django_smarterbase.contrib.otel import instrument, uninstrument
from django_smarterbase.contrib.otel.spans import attributes_of
from django_smarterbase.indexes.answers import FallbackReason
from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling import recorder

ROOT = Path(__file__).resolve().parents[3]
MICROSECOND = 1_000  # ns


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The NAME of the database, which differs when other tests have made a test database."""
    monkeypatch.setitem(connections.settings["default"], "NAME", "library")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def instrumented(provider: TracerProvider) -> Iterator[TracerProvider]:
    """Statements are spans during the test."""
    instrument(provider)
    yield provider
    uninstrument()


def test_indexed_query_is_a_client_span_by_the_conventions(
    instrumented: TracerProvider, exporter: InMemorySpanExporter, make_profile: Any
) -> None:
    recorder.record(
        make_profile(
            filter_fields=("author", "status"),
            storage_ops=StorageOps(reads=3, system=1, bytes_read=900),
            redis_ops=RedisOps(commands=1, round_trips=1),
            candidates=3,
            result_count=2,
        )
    )
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == ("SELECT articles", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "db.system.name": "smarterbase",
        "db.namespace": "library",
        "db.collection.name": "articles",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT articles",
        "smarterbase.database": "default",
        "smarterbase.model": "articles.Article",
        "smarterbase.method": "ListAuthorArticles",
        "smarterbase.operation": "select",
        "smarterbase.complexity": "O(1)",
        "smarterbase.index_used": "redis:articles-by-author",
        "smarterbase.filter_fields": "author,status",
        "smarterbase.candidates": 3,
        "smarterbase.result_count": 2,
        "smarterbase.skipped_documents": 0,
        "smarterbase.fallback": False,
        "smarterbase.storage_reads": 3,
        "smarterbase.storage_writes": 0,
        "smarterbase.storage_deletes": 0,
        "smarterbase.storage_lists": 0,
        "smarterbase.storage_system": 1,
        "smarterbase.bytes_read": 900,
        "smarterbase.bytes_written": 0,
        "smarterbase.storage_packs": 0,
        "smarterbase.documents_packed": 0,
        "smarterbase.pack_failures": 0,
        "smarterbase.cache_hits": 0,
        "smarterbase.cache_misses": 0,
        "smarterbase.cache_failures": 0,
        "smarterbase.bytes_saved": 0,
        "smarterbase.redis_commands": 1,
        "smarterbase.redis_round_trips": 1,
    }
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("django_smarterbase", django_smarterbase.__version__)
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.33.0"


def test_span_has_the_times_of_the_statement_to_the_microsecond(
    instrumented: TracerProvider, exporter: InMemorySpanExporter, make_profile: Any
) -> None:
    started = datetime.datetime(2026, 11, 25, 9, 12, 3, 114_159, datetime.UTC)
    recorder.record(make_profile(started_at=started, duration=1.234567))
    (span,) = exporter.get_finished_spans()
    assert span.start_time is not None
    assert span.end_time is not None
    seconds, rest = divmod(span.start_time, 1_000_000_000)
    assert datetime.datetime.fromtimestamp(seconds, datetime.UTC) == started.replace(microsecond=0)
    assert rest == 114_159 * MICROSECOND
    assert span.end_time - span.start_time == 1_234_567


def test_span_is_a_child_of_the_span_in_which_the_statement_ran(
    instrumented: TracerProvider, exporter: InMemorySpanExporter, make_profile: Any
) -> None:
    with instrumented.get_tracer("tests").start_as_current_span("request") as request:
        recorder.record(make_profile())
    recorder.record(make_profile())
    inside, parent, outside = exporter.get_finished_spans()
    assert parent.name == "request"
    assert inside.parent is not None
    assert inside.parent.span_id == request.get_span_context().span_id
    assert outside.parent is None


@pytest.mark.parametrize(
    ("facts", "name", "missing"),
    [
        ({"operation": "commit", "model": None}, "COMMIT library", {"db.collection.name", "db.query.summary"}),
        (
            {"operation": "raw", "model": None},
            "library",
            {"db.collection.name", "db.query.summary", "db.operation.name"},
        ),
        (
            {"operation": "raw", "model": None, "database": "nowhere"},
            "smarterbase",
            {"db.collection.name", "db.query.summary", "db.operation.name", "db.namespace"},
        ),
        ({"model": "articles.Renamed"}, "SELECT library", {"db.collection.name", "db.query.summary"}),
    ],
)
def test_span_is_named_after_what_is_known(
    instrumented: TracerProvider,
    exporter: InMemorySpanExporter,
    make_profile: Any,
    facts: dict[str, Any],
    name: str,
    missing: set[str],
) -> None:
    recorder.record(make_profile(**facts))
    (span,) = exporter.get_finished_spans()
    assert span.name == name
    assert not missing & set(span.attributes or {})


def test_statement_that_failed_is_a_span_with_an_error(
    instrumented: TracerProvider, exporter: InMemorySpanExporter, make_profile: Any
) -> None:
    recorder.record(make_profile(error="ConflictError", fallback=True, fallback_reason=FallbackReason.UNREACHABLE))
    (span,) = exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == "ConflictError"
    assert (attributes["smarterbase.fallback"], attributes["smarterbase.fallback_reason"]) == (
        True,
        "Redis unreachable",
    )
    assert type(attributes["smarterbase.fallback_reason"]) is str


def test_instrumenting_twice_makes_one_span_by_the_last_provider(
    exporter: InMemorySpanExporter, provider: TracerProvider, make_profile: Any
) -> None:
    other, others = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    other.add_span_processor(SimpleSpanProcessor(others))
    instrument(other)
    instrument(provider)
    try:
        recorder.record(make_profile())
    finally:
        uninstrument()
    assert (len(others.get_finished_spans()), len(exporter.get_finished_spans())) == (0, 1)


def test_nothing_is_made_after_uninstrument(
    exporter: InMemorySpanExporter, provider: TracerProvider, make_profile: Any
) -> None:
    instrument(provider)
    uninstrument()
    uninstrument()
    assert not recorder.listening()
    recorder.record(make_profile())
    assert exporter.get_finished_spans() == ()


def test_tracing_page_lists_just_the_attributes_that_there_are(make_profile: Any) -> None:
    profile = make_profile(filter_fields=("author",), result_count=1, fallback_reason="Redis unreachable", error="E")
    page = (ROOT / "docs" / "reference" / "tracing.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([a-z_.]+\.[a-z_.]+)`", row.split(" | ")[0])}
    assert documented == set(attributes_of(profile))


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from django_smarterbase.contrib.otel import instrument, uninstrument
uninstrument()
instrument()
"""


def test_instrument_says_what_to_install_when_the_api_is_missing() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=60)
    last = ran.stderr.strip().splitlines()[-1]
    assert (ran.returncode, last.partition(": ")[0]) == (1, "django.core.exceptions.ImproperlyConfigured")
    assert "pip install 'django-smarterbase[otel]'" in last
