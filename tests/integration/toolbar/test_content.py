"""What the panel shows: from the stored profiles alone, for eyes and for screen readers, without scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from django_smarterbase.ops import StorageOps
from django_smarterbase.profiling import QueryProfile
from tests.integration.toolbar.conftest import opened
from tests.unit.toolbar.test_report import fallback, profile

pytestmark = pytest.mark.usefixtures("project")
Rendered = Callable[..., "Page"]


class Page(HTMLParser):
    """The tables of some HTML as lists of rows of texts, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []
        self.summaries: list[str] = []
        self._open: list[list[str]] = []
        self._rows: list[list[list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self._rows.append([])
            self.tables.append(self._rows[-1])
        elif tag == "tr":
            self._rows[-1].append([])
        elif tag in {"td", "th", "caption", "summary"}:
            self._open.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows.pop()
        elif tag in {"td", "th", "caption", "summary"}:
            text = " ".join(" ".join(self._open.pop()).split())
            {"caption": self.captions, "summary": self.summaries}.get(tag, self._row).append(text)

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].append(data)

    @property
    def _row(self) -> list[str]:
        return self._rows[-1][-1] if self._rows and self._rows[-1] else []


def panel_of(profiles: list[QueryProfile]) -> Any:
    """The panel as another process has it: no request, and the stats as they come out of a store."""
    from django_smarterbase.contrib.debug_toolbar import SmarterBasePanel

    stats = json.loads(json.dumps({"queries": [each.as_dict() for each in profiles]}))
    toolbar = SimpleNamespace(request=None, config={}, stats={"SmarterBasePanel": stats}, server_timing_stats={})
    return SmarterBasePanel(toolbar, None)


def rendered(*profiles: QueryProfile) -> Page:
    """What the panel shows of the profiles."""
    return Page(panel_of(list(profiles)).content)


@pytest.mark.usefixtures("ada")
def test_opened_panel_shows_the_statements_of_its_request(client: Client, toolbars: dict[str, Any]) -> None:
    page = Page(opened(client, client.get("/authors/")))
    totals, queries = page.tables[:2]
    assert totals[1][:4] == ["3", "1", "0", "0"]
    assert [row[0] for row in queries[1::2]] == [
        "ListAuthors [2 TIMES] select articles.Author",
        "Grace select articles.Author",
    ]


@pytest.mark.usefixtures("ada", "toolbars")
def test_panel_stands_in_the_page_itself_when_the_toolbar_renders_it_there(client: Client, settings: Any) -> None:
    settings.DEBUG_TOOLBAR_CONFIG = {"RENDER_PANELS": True}
    assert 'class="smarterbase-method">ListAuthors<' in client.get("/authors/").content.decode()


def test_history_shows_the_statements_of_an_earlier_request(client: Client, ada: Any, toolbars: dict[str, Any]) -> None:
    earlier = client.get("/authors/")
    client.get("/quiet/")
    assert "ListAuthors" in opened(client, earlier)


def test_statement_is_shown_with_its_figures(settings: Any) -> None:
    settings.SMARTERBASE_PRICES, settings.TIME_ZONE = {"read": 0.4}, "UTC"
    page = rendered(profile(filter_fields=("author", "status")))
    assert page.captions == [
        "Totals of this request",
        "Queries, in the order in which they ended",
        "Requests of ListAuthorArticles",
    ]
    totals, queries, executions = page.tables
    assert dict(zip(*totals, strict=True)) == {
        "Queries": "1",
        "Duplicates": "0",
        "Fallbacks": "0",
        "Full scans": "0",
        "Storage ops": "2",
        "Redis round trips": "1",
        "Read": "500 bytes",
        "Written": "0 bytes",
        "Time": "1.5 ms",
        "Cost": "$0.0008000",
    }
    assert dict(zip(*queries[:2], strict=True)) == {
        "Query": "ListAuthorArticles select articles.Article",
        "Index": "redis:articles-by-author",
        "Candidates": "2",
        "Results": "2",
        "Storage ops": "2",
        "Redis": "1",
        "Read": "500 bytes",
        "Time": "1.5 ms",
        "Cost": "$0.0008000",
    }
    assert executions[1] == ["12:30:00.000250", "1.5 ms", "2", "0", "0", "0", "0", "0 bytes", "3", "0", "default"]
    assert page.summaries == ["articles: IndexLookup redis:articles-by-author, O(1)"]
    assert "Filtered by: author, status" in page.html


def test_fallback_is_marked_and_says_why() -> None:
    page = rendered(fallback())
    assert page.tables[1][1][:2] == [
        "ListAuthorArticles [FALLBACK] [FULL SCAN] select articles.Article",
        "none:full-scan Redis unreachable",
    ]
    (summary,) = page.summaries
    assert summary.startswith("FALLBACK: the index is not trusted now (Redis unreachable)")
    assert panel_of([fallback()]).nav_subtitle == "1 query, 2 storage ops, 1.5 ms, 1 fallback"


def test_scan_and_error_are_marked() -> None:
    page = rendered(profile(complexity="O(n)", index_used="none:full-scan", error="ScanBudgetExceeded"))
    assert page.tables[1][1][0] == "ListAuthorArticles [FULL SCAN] [ScanBudgetExceeded] select articles.Article"


def test_duplicates_are_one_row_that_opens_to_each_of_them() -> None:
    page = rendered(profile(), profile(fingerprint="b"), profile(duration=2.25, storage_ops=StorageOps(lists=1)))
    _totals, queries, executions, _other = page.tables
    assert queries[1][0] == "ListAuthorArticles [2 TIMES] select articles.Article"
    assert queries[1][4:8] == ["3", "2", "500 bytes", "3.8 ms"]
    assert [row[1:6] for row in executions[1:]] == [["1.5 ms", "2", "0", "0", "0"], ["2.3 ms", "0", "0", "0", "1"]]
    assert page.summaries[0] == "articles: IndexLookup redis:articles-by-author, O(1) · each of the 2 executions"


def test_plan_of_several_steps_is_shown_whole_and_a_commit_has_none() -> None:
    plan = ("articles: IndexLookup redis:x, O(1)", "authors: JoinLookup by the values of articles.author_id, key, O(1)")
    page = rendered(profile(plan=plan), profile(operation="commit", model=None, plan=(), fingerprint=""))
    assert f"<pre>{'<br>'.join(plan)}</pre>" in page.html
    assert page.html.count("<pre>") == 1
    assert page.summaries[1] == "Requests"
    assert page.tables[1][3][0] == "ListAuthorArticles commit SQL"


def test_values_are_shown_where_the_profile_has_them() -> None:
    page = rendered(profile(filter_fields=("status",), filter_values=("status='<draft>'",)))
    assert "Filtered by: status=&#x27;&lt;draft&gt;&#x27;" in page.html


def test_request_without_a_statement_says_so() -> None:
    assert "This request ran no query on a smarterbase database." in rendered().html
    assert panel_of([]).nav_subtitle == "0 queries, 0 storage ops, 0.0 ms"


def test_panel_without_stored_stats_is_empty_and_does_not_fail() -> None:
    panel = panel_of([])
    panel.toolbar.stats = {}
    assert panel.nav_subtitle == "0 queries, 0 storage ops, 0.0 ms"
    assert "This request ran no query" in panel.content


def test_page_has_no_script_and_no_style_of_its_own() -> None:
    page = rendered(profile(method="<script>alert(1)</script>"), profile(), fallback())
    assert {tag for tag, _attributes in page.tags}.isdisjoint({"script", "style", "iframe", "object"})
    names = {name for _tag, attributes in page.tags for name in attributes}
    assert not [name for name in names if name == "style" or name.startswith("on") or name == "id"]
    links = [attributes for tag, attributes in page.tags if tag == "link"]
    assert links == [{"rel": "stylesheet", "href": "/static/django_smarterbase/debug_toolbar/panel.css"}]
    assert panel_of([]).scripts == []


def test_tables_have_captions_and_their_headings_scopes() -> None:
    page = rendered(profile(), profile(), fallback())
    tags = [tag for tag, _attributes in page.tags]
    assert tags.count("table") == tags.count("caption") == len(page.captions) == 3
    assert all(page.captions)
    scopes = {attributes.get("scope") for tag, attributes in page.tags if tag == "th"}
    assert scopes == {"col", "row"}
    assert all(text for table in page.tables for text in table[0])


def test_numbers_follow_the_language() -> None:
    with translation.override("de"):
        assert panel_of([profile()]).nav_subtitle.endswith("1,5 ms")
        assert rendered(profile()).tables[1][1][7] == "1,5 ms"
