"""Packs and the document cache below the ORM: what statements cost, and that they answer as ever."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from django_smarterbase import background
from django_smarterbase.backend import coursing
from django_smarterbase.backend.pieces import Piece
from django_smarterbase.backend.spool import Spool
from django_smarterbase.backend.upkeep import delete_documents
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.packs import auto, packing
from django_smarterbase.profiling import profile_queries
from django_smarterbase.storage.base import Write
from django_smarterbase.tenants import delete_tenant, tenant
from testproject.articles.models import Article, Author
from testproject.services import RedisServer
from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site, site_in

from .sites import S3Site

__all__ = ["server", "site"]

PATIENCE = 60.0  # seconds
MANY = 2000
AUTHORS = Author._meta.db_table


@pytest.fixture
def s3_site(bucket: str, endpoint: str, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """An open, empty site in a bucket."""
    S3Site.endpoint = endpoint
    with django_db_blocker.unblock(), site_in(Path(bucket), server, S3Site) as site:
        yield site


@pytest.fixture(params=["files", "s3"])
def any_site(request: pytest.FixtureRequest) -> Site:
    """A site on files, then one in a bucket."""
    return request.getfixturevalue("site" if request.param == "files" else "s3_site")


def write(count: int, start: int = 0, name: str = "author {}") -> None:
    """So many authors, past the engine: their documents."""
    store, keys = connection.resources.store, connection.resources.keys
    codec = connection.resources.codec(connection.schema_of_model(Author))
    writes = [
        Write(keys.document(AUTHORS, f"{number:032x}"), _body(codec, number, name.format(number)))
        for number in range(start, start + count)
    ]
    assert not [each.error for each in store.write_many(writes) if each.error]


def _body(codec: Any, number: int, name: str) -> bytes:
    columns = {"id": f"{number:032x}", "name": name}
    return codec.encode(tuple(columns.get(column.name) for column in codec.schema.columns), {})


def cost(statement: Callable[[], Any]) -> StorageOps:
    """The requests of one statement."""
    with profile_queries() as queries:
        statement()
    (profile,) = queries.profiles
    return profile.storage_ops


def scan() -> int:
    """A query that no index narrows, in an outage or not."""
    return len(Author.objects.scan().filter(name__endswith="0"))


def unindexed(site: Site, **options: Any) -> None:
    """A new process, of a site without Redis."""
    site.restart(cache=None, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pack(model: type[Model]) -> packing.PackReport:
    """Pack a table at once."""
    return connection.resources.store.pack(model._meta.db_table)


TITLES = [f"title {number:03}" for number in range(300)]


def fill_articles(site: Site, monkeypatch: pytest.MonkeyPatch) -> packing.PackReport:
    """Articles with these titles, in several packs; a tenth of them are held when they are sorted."""
    monkeypatch.setattr(packing, "SIZE", 30_000)
    monkeypatch.setattr(coursing, "HELD", 30)
    unindexed(site)
    author = Author.objects.create(name="Ada")
    Article.objects.bulk_create(Article(author=author, title=title) for title in TITLES)
    return pack(Article)


@pytest.mark.parametrize("order", ["-title", "-pk"])
def test_iterator_in_an_order_costs_the_listing_and_the_packs_of_an_unchanged_table(
    any_site: Site, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    packs = fill_articles(any_site, monkeypatch).packs
    assert packs > 2
    Article.objects.filter(title__in=TITLES[:3]).update(category="changed")
    with profile_queries() as queries:
        found = [(each.title, each.category) for each in Article.objects.order_by(order).iterator(chunk_size=20)]
    assert [title for title, _ in found] == TITLES[::-1]
    assert [title for title, category in found if category == "changed"] == TITLES[2::-1]
    (profile,) = queries.profiles
    ops = profile.storage_ops
    assert (ops.reads, ops.packs, ops.packed) == (packs + 3, packs, len(TITLES) - 3)
    assert ops.lists == connection.resources.store.listings(len(TITLES))


def test_iterator_in_an_order_reads_what_no_disk_has_room_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    packs, kept, keep = fill_articles(site, monkeypatch).packs, list[int](), Spool._keep

    def keep_some(self: Spool, piece: Piece) -> None:
        if kept:
            self._sqlite.execute("PRAGMA max_page_count = 1")  # it is full
        keep(self, piece)
        kept.append(len(piece))

    monkeypatch.setattr(Spool, "_keep", keep_some)
    with profile_queries() as queries:
        found = [each.title for each in Article.objects.order_by("-title").iterator(chunk_size=20)]
    assert found == TITLES[::-1]
    assert len(kept) == 2
    assert queries.profiles[0].storage_ops.reads == packs + len(TITLES)


def test_iterator_that_is_left_lets_its_file_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_articles(site, monkeypatch)
    closed, close = list[Spool](), Spool.close

    def note(self: Spool) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(Spool, "close", note)
    rows = Article.objects.order_by("-title").iterator(chunk_size=10)
    assert next(rows).title == TITLES[-1]
    assert not closed
    del rows
    assert len(closed) == 1


def test_unchanged_table_costs_its_listing_and_its_packs(any_site: Site, monkeypatch) -> None:
    monkeypatch.setattr(packing, "SIZE", 100_000)
    unindexed(any_site)
    write(MANY)
    lists = connection.resources.store.listings(MANY)
    assert cost(scan).total == lists + MANY
    packs = pack(Author).packs
    assert packs == 3
    ops = cost(scan)
    assert (ops.lists, ops.reads, ops.packs, ops.packed) == (lists, packs, packs, MANY)
    write(3, name="changed {}0")
    write(1, start=MANY)
    connection.resources.store.delete(connection.resources.keys.document(AUTHORS, f"{1001:032x}"))
    with profile_queries() as queries:
        names = set(Author.objects.scan().filter(name__endswith="0").values_list("name", flat=True))
    ops = queries.profiles[0].storage_ops
    assert (ops.lists, ops.reads, ops.packs, ops.packed) == (lists, packs + 4, packs, MANY - 4)
    tens = {f"author {number}" for number in range(10, MANY + 1, 10)}
    assert names == tens | {f"changed {number}0" for number in range(3)}


def test_rebuild_check_and_upcast_take_documents_from_packs(site: Site) -> None:
    write(30)
    pack(Author)
    schema = site.schema(Author)
    with counting() as ops:
        connection.resources.indexes.rebuild(schema, full=True)
    assert (ops.storage.packed, ops.storage.reads) == (30, 1)
    with counting() as ops:
        assert connection.resources.indexes.audit(schema).documents == 30
    assert (ops.storage.packed, ops.storage.reads) == (30, 1)


def test_requests_of_a_scan_are_known_without_asking(site: Site) -> None:
    write(30)
    store = connection.resources.store
    with counting() as ops:
        assert store.scan_requests(AUTHORS, 30) == 1 + 30
    pack(Author)
    with counting() as ops:
        assert store.scan_requests(AUTHORS, 30) == 1 + 1
        assert store.scan_requests(AUTHORS, 35) == 1 + 1 + 5
        assert store.scan_requests(AUTHORS, 1) == 1 + 1
        assert store.scan_requests(AUTHORS, 0) == 1
    assert ops.storage == StorageOps()


def test_explain_counts_the_packs_that_the_process_knows_of(site: Site) -> None:
    write(30)
    connection.resources.indexes.rebuild(site.schema(Author))

    def forecast() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(Author.objects.scan().filter(name__endswith="0").explain(format="json"))
        return told["storage_ops"]

    assert forecast() == {"total": 31, "reads": 30, "lists": 1, "precision": "exact"}
    pack(Author)
    assert forecast() == {"total": 2, "reads": 1, "lists": 1, "precision": "about"}
    assert cost(lambda: list(Author.objects.scan().filter(name__endswith="0"))).total == 2


def test_transaction_sees_its_own_changes_over_packs(site: Site) -> None:
    unindexed(site)
    write(20)
    pack(Author)
    first = Author.objects.order_by("pk")[0]
    with transaction.atomic():
        Author.objects.filter(pk=first.pk).update(name="mine")
        Author.objects.create(name="new")
        names = set(Author.objects.values_list("name", flat=True))
        assert {"mine", "new"} < names
        assert len(names) == 21
        transaction.set_rollback(True)
    assert Author.objects.count() == 20
    assert not Author.objects.filter(name="mine").exists()


def test_packs_of_a_flushed_table_are_gone(site: Site) -> None:
    write(5)
    pack(Author)
    delete_documents(connection.resources, connection.schema_of_model(Author))
    assert not list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix))


def test_packs_of_a_dropped_and_of_a_renamed_table_are_gone(site: Site) -> None:
    packs = connection.resources.keys.packs(AUTHORS)
    with connection.schema_editor() as editor:
        editor.create_model(Author)
    write(5)
    pack(Author)
    with connection.schema_editor() as editor:
        editor.alter_db_table(Author, AUTHORS, "writers")
    assert not list(connection.resources.store.list(packs.prefix))
    with connection.schema_editor() as editor:
        editor.alter_db_table(Author, "writers", AUTHORS)
    assert pack(Author).documents == 5
    with connection.schema_editor() as editor:
        editor.delete_model(Author)
    assert not list(connection.resources.store.list(packs.prefix))


def test_tenants_have_packs_of_their_own(site: Site) -> None:
    unindexed(site)
    for name, count in (("acme", 3), ("other", 4)):
        with tenant(name):
            write(count)
            assert pack(Author).documents == count
    for name, count in (("acme", 3), ("other", 4)):
        with tenant(name):
            ops = cost(lambda count=count: list(Author.objects.all()))
            assert (ops.packed, ops.reads) == (count, 1)
    delete_tenant("acme")
    with tenant("acme"):
        assert not list(connection.resources.store.list(connection.resources.keys.prefix()))
        assert list(Author.objects.all()) == []
    with tenant("other"):
        assert len(Author.objects.all()) == 4


def test_packs_do_not_hide_a_damaged_document(site: Site) -> None:
    unindexed(site)
    write(5)
    pack(Author)
    key = connection.resources.keys.document(AUTHORS, f"{3:032x}")
    connection.resources.store.put(key, b"no document")
    with pytest.raises(CorruptDocument):
        list(Author.objects.all())


def test_scan_that_read_much_has_its_table_packed_in_the_background(any_site: Site, monkeypatch) -> None:
    monkeypatch.setattr(auto, "_FEWEST", 10)
    unindexed(any_site, pack=True)
    write(12)
    store = connection.resources.store
    assert cost(scan).reads == 12
    wait_until(lambda: store.packs(AUTHORS) is not None)
    wait_until(lambda: not background._threads)  # lest the rest of its work meet another test
    ops = cost(scan)
    assert (ops.reads, ops.packed) == (1, 12)


def test_scans_that_read_little_or_without_the_option_pack_nothing(site: Site, monkeypatch) -> None:
    monkeypatch.setattr(auto, "_FEWEST", 10)
    started: list[str] = []
    monkeypatch.setattr(auto.background, "start", lambda name, _work: started.append(name))
    unindexed(site, pack=True)
    write(10)
    scan()
    assert started == []
    write(1, start=10)
    next(iter(connection.resources.store.scan(connection.resources.keys.table_prefix(AUTHORS))))
    assert started == []
    unindexed(site)
    scan()
    assert started == []
    unindexed(site, pack=True)
    for _time in range(3):
        scan()
    assert started == [f"smarterbase-pack-{site.name}/{AUTHORS}/"]


@pytest.fixture
def reading(site: Site) -> Iterator[Site]:
    """A site with a document cache."""
    known = {**site.settings()["CACHES"], "bodies": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with override_settings(CACHES=known):
        caches["bodies"].clear()
        unindexed(site, document_cache="bodies")
        yield site


def test_statements_spare_the_bodies_that_the_cache_has(reading: Site) -> None:
    author = Author.objects.create(name="Ada")
    first = cost(lambda: Author.objects.get(pk=author.pk))
    again = cost(lambda: Author.objects.get(pk=author.pk))
    assert (first.reads, first.cache_misses, first.cache_hits) == (1, 1, 0)
    assert (again.reads, again.cache_hits, again.bytes_read, again.bytes_saved) == (1, 1, 0, first.bytes_read)
    listed = cost(lambda: list(Author.objects.all()))
    assert (listed.reads, listed.lists, listed.cache_hits) == (0, 1, 1)
    Author.objects.filter(pk=author.pk).update(name="Grace")
    assert Author.objects.get(pk=author.pk).name == "Grace"
    assert [each.name for each in Author.objects.all()] == ["Grace"]
    Author.objects.all().delete()
    assert not Author.objects.filter(pk=author.pk).exists()


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "delete", "pack", "restart", "tick"]), st.integers(0, 9), st.booleans()
    ),
    max_size=25,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(CHANGES)
def test_rows_are_those_that_were_written_after_any_changes(reading: Site, changes) -> None:
    unindexed(reading, document_cache="bodies")
    Article.objects.all().delete()
    author = Author.objects.get_or_create(name="Ada")[0]
    expected: dict[str, str] = {}
    for turn, (change, number, flag) in enumerate(changes):
        title = str(number)
        match change:
            case "create" if title not in expected:
                expected[title] = f"{turn}"
                Article.objects.create(author=author, title=title, category=f"{turn}")
            case "update" if title in expected:
                expected[title] = f"{turn}"
                Article.objects.filter(title=title).update(category=f"{turn}")
            case "delete" if title in expected:
                del expected[title]
                Article.objects.get(title=title).delete()
            case "pack":
                pack(Article)
            case "restart":
                unindexed(reading, document_cache="bodies" if flag else None)
            case "tick":
                caches["bodies"].clear()
        assert dict(Article.objects.values_list("title", "category")) == expected
        assert Article.objects.filter(category__gte="1").count() == sum(each >= "1" for each in expected.values())


def test_command_packs_and_says_what_it_did(site: Site, capsys) -> None:
    write(30)
    call_command("sb_reindex", "articles.Author", "--pack")
    out = capsys.readouterr().out
    assert "30 documents in 1 pack in " in out
    assert "30 read)." in out
    assert cost(scan).packed == 30
