"""Several processes on one database: no number is given out twice, no increment and no document is lost."""

from __future__ import annotations

import time

from django.contrib.auth.models import Group
from django.core.management import call_command

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article
from tests.integration.commands.site import Site

from .ledger import Ledger
from .processes import DEADLINE, INSERTS, VIEWS, add_views, insert_groups, join, start
from .questions import ONE


def place(site: Site) -> tuple[str, str, int]:
    return str(site.folder), site.name, site.server.port


def test_two_processes_never_get_the_same_number(site: Site) -> None:
    join(start(insert_groups, *place(site), "a"), start(insert_groups, *place(site), "b"))
    groups = dict(Group.objects.values_list("pk", "name"))
    assert sorted(groups) == list(range(1, 2 * INSERTS + 1))
    assert set(groups.values()) == {f"{prefix}{number}" for prefix in "ab" for number in range(INSERTS)}
    assert site.state(Group).trusted
    assert Group.objects.count() == 2 * INSERTS


def test_two_processes_lose_no_increment(site: Site, filled: Ledger) -> None:
    before = {row.pk: row.views for row in filled.where(lambda row: row.author == ONE)}
    join(start(add_views, *place(site), ONE), start(add_views, *place(site), ONE))
    after = dict(Article.objects.filter(author__name=ONE).values_list("pk", "view_count"))
    assert after == {pk: views + 2 * VIEWS for pk, views in before.items()}


def test_reindex_beside_a_writing_process_loses_no_document(site: Site) -> None:
    Group.objects.create(name="first")
    with site.redis() as client:
        client.flushall()
    process = start(insert_groups, *place(site), "w")
    until = time.monotonic() + DEADLINE
    while Group.objects.count() < 5:
        assert time.monotonic() < until
    call_command("sb_reindex", "auth.Group", verbosity=0)
    join(process)
    site.restart()
    with profile_queries() as queries:
        for number in range(INSERTS):
            assert Group.objects.get(name=f"w{number}")
    assert {profile.complexity for profile in queries.profiles} == {"O(1)"}
