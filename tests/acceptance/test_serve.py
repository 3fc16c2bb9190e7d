"""``make run``'s command: the whole site, over HTTP, on files and a Redis of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.serving import serve


def test_site_publishes_what_the_admin_wrote_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        assert "Nothing is published yet" in first.get("/")
        password = first.password
        assert password is not None, first.printed
        first.submit("/admin/login/?next=/admin/", username="admin", password=password)
        listing = first.submit("/admin/articles/author/add/", name="Mary Somerville")
        author = re.search(r"/admin/articles/author/([0-9a-f-]{36})/change/", listing)
        assert author is not None
        listing = first.submit(
            "/admin/articles/article/add/",
            author=author[1],
            category="science",
            title="On the connexion of things",
            body="All of them.",
            status="published",
        )
        assert "On the connexion of things" in listing
        link = re.search(r"/articles/[0-9a-f-]{36}/", first.get("/"))
        assert link is not None
        assert "0 views" in first.get(link[0])
        assert "1 view<" in first.get(link[0])

    with serve(tmp_path) as second:
        assert "On the connexion of things" in second.get("/")
        assert "2 views" in second.get(link[0])
        assert second.password is None


def test_site_ends_its_redis_when_it_is_ended(tmp_path: Path) -> None:
    with serve(tmp_path) as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        if not children.exists():
            pytest.skip("no /proc on this system")
        pids = children.read_text().split()
        assert pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
