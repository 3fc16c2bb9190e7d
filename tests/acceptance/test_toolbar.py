"""The debug toolbar's panel where another process shows what one has recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import debug_toolbar
import pytest

from testproject.services import RedisServer
from tests.serving import serve


@pytest.mark.skipif(debug_toolbar.VERSION < "6", reason="This toolbar keeps its data in one process.")
def test_panel_is_shown_by_another_process_without_the_statements_of_the_store(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    variables = {
        "REDIS_URL": own_redis.url,
        "SMARTERBASE_TOOLBAR": "1",
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings_database_store",
    }
    with serve(tmp_path, **variables) as first, serve(tmp_path, **variables) as second:
        request = re.search(r'data-request-id="(\w+)"', first.get("/"))
        assert request is not None
        address = f"request_id={request[1]}"
        panel = json.loads(second.get(f"/__debug__/render_panel/?{address}&panel_id=SmarterBasePanel"))["content"]
        history = json.loads(second.get(f"/__debug__/history_sidebar/?{address}&exclude_history=True"))
    assert re.findall(r'class="smarterbase-method">(.*?)<', panel) == ["LatestPublishedArticles"]
    assert re.search(r"<small>1 query, 0 storage ops, [\d.]+ ms</small>", history["SmarterBasePanel"]["button"])
