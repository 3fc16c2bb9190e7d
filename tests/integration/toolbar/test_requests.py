"""What the panel records of requests: of its own all, of others nothing, in threads and in async views."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient, Client

from django_smarterbase.profiling import QueryProfile, recorder
from testproject.articles.models import Author
from tests.integration.toolbar import views
from tests.integration.toolbar.conftest import subtitle

Recorded = Callable[[str], list[QueryProfile]]


@pytest.mark.usefixtures("ada")
def test_panel_records_every_statement_of_a_view_in_their_order(client: Client, recorded: Recorded) -> None:
    assert b"Ada, Ada" in client.get("/authors/").content
    assert [(each.method, each.model, each.index_used, each.result_count) for each in recorded("/authors/")] == [
        ("ListAuthors", "articles.Author", "redis:authors-by-name", 1),
        ("ListAuthors", "articles.Author", "redis:authors-by-name", 1),
        ("Grace", "articles.Author", "redis:authors-by-name", 0),
    ]


@pytest.mark.usefixtures("ada")
def test_statement_is_called_after_its_view_though_other_panels_stand_between(
    client: Client, recorded: Recorded
) -> None:
    client.get("/unnamed/")
    assert [each.method for each in recorded("/unnamed/")] == ["unnamed"]


@pytest.mark.django_db(transaction=True)
def test_panel_records_the_commit_of_a_transaction(client: Client, recorded: Recorded) -> None:
    client.get("/saving/")
    assert [(each.method, each.operation) for each in recorded("/saving/")] == [
        ("AddAuthor", "insert"),
        ("AddAuthor", "insert"),
        ("saving", "commit"),
    ]


@pytest.mark.usefixtures("ada")
def test_stats_are_json_and_nothing_else(client: Client, toolbars: dict[str, Any]) -> None:
    client.get("/authors/")
    stats = toolbars["/authors/"].get_panel_by_id("SmarterBasePanel").get_stats()
    assert list(stats) == ["queries"]
    assert json.loads(json.dumps(stats)) == stats


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("ada")
def test_side_bar_and_server_timing_give_the_totals(client: Client, recorded: Recorded) -> None:
    response = client.get("/authors/")
    duration = sum(each.duration for each in recorded("/authors/"))
    assert subtitle(response) == f"3 queries, 0 storage ops, {duration:.1f} ms"
    timing = re.search(r'SmarterBasePanel_time;dur=([\d.]+);desc="(.*?)"', response.headers["Server-Timing"])
    assert timing is not None
    assert float(timing[1]) == round(duration, 3)
    assert timing[2] == "SmarterBase: 3 queries, 0 storage ops"


@pytest.mark.usefixtures("toolbars", "db")
def test_view_is_listened_to_only_while_the_panel_is_on(client: Client) -> None:
    assert b"listening: True" in client.get("/quiet/").content
    client.cookies["djdtSmarterBasePanel"] = "off"
    assert b"listening: False" in client.get("/quiet/").content


@pytest.mark.usefixtures("ada", "toolbars")
def test_nobody_listens_any_more_when_a_request_has_ended(client: Client) -> None:
    client.get("/authors/")
    assert recorder.listening() is False
    with pytest.raises(ValueError, match="broken"):
        client.get("/broken/")
    assert recorder.listening() is False


def test_instrumentation_may_be_switched_twice(toolbars: dict[str, Any], client: Client, ada: Author) -> None:
    client.get("/quiet/")
    panel = toolbars["/quiet/"].get_panel_by_id("SmarterBasePanel")
    panel.enable_instrumentation()
    panel.enable_instrumentation()
    views.ask("once")
    panel.disable_instrumentation()
    panel.disable_instrumentation()
    views.ask("never")
    panel.generate_stats(None, None)
    assert [each["method"] for each in panel.get_stats()["queries"]] == ["once"]


@pytest.mark.django_db(transaction=True)
def test_requests_of_several_threads_see_their_own_statements_only(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "meeting", threading.Barrier(3))

    def visit(name: str) -> None:
        try:
            Client().get(f"/meet/{name}/")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(visit, "abc"))
    for name in "abc":
        assert [each.method for each in recorded(f"/meet/{name}/")] == [f"{name}-1", f"{name}-2"]


@pytest.mark.usefixtures("ada")
def test_requests_of_async_views_see_their_own_statements_only(recorded: Recorded) -> None:
    async def visit_all() -> None:
        await asyncio.gather(*(AsyncClient().get(f"/meet-async/{name}/") for name in "abc"))

    async_to_sync(visit_all)()
    for name in "abc":
        methods = [each.method for each in recorded(f"/meet-async/{name}/")]
        assert methods[:2] == [f"{name}-await", f"{name}-thread"]
        assert sorted(methods[2:]) == [f"{name}-task-0", f"{name}-task-1"]


@pytest.mark.usefixtures("ada")
def test_sync_view_under_asgi_is_recorded(recorded: Recorded) -> None:
    async_to_sync(AsyncClient().get)("/authors/")
    assert [each.method for each in recorded("/authors/")] == ["ListAuthors", "ListAuthors", "Grace"]


@pytest.mark.usefixtures("ada")
def test_task_that_outlives_its_request_is_not_recorded(toolbars: dict[str, Any], recorded: Recorded) -> None:
    async def visit() -> None:
        await AsyncClient().get("/leave/")
        await views.left_over.pop()

    async_to_sync(visit)()
    assert [each.method for each in toolbars["/leave/"].get_panel_by_id("SmarterBasePanel")._profiles] == ["early"]
    assert [each.method for each in recorded("/leave/")] == ["early"]
