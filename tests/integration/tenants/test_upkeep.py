"""What is done to whole tenants, and what works for them in the background."""

from __future__ import annotations

import io
import json
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test import TestCase

from django_smarterbase import background, contenttypes
from django_smarterbase.backend import resources
from django_smarterbase.exceptions import IndexUnavailable, TenantInTransaction
from django_smarterbase.history import history_of, registry
from django_smarterbase.indexes import auto
from django_smarterbase.management.census import Census
from django_smarterbase.panel import work
from django_smarterbase.panel.jobs import Job, JobBoard, Kind, TableProgress
from django_smarterbase.profiling import QueryProfile, profile_queries
from django_smarterbase.recent import Recent
from django_smarterbase.signals import index_rebuilt
from django_smarterbase.tenants import current_tenant, delete_tenant, tenant, tenants
from testproject.articles.models import Author
from tests.integration.commands.site import Site
from tests.integration.engine.faults.abandoned import abandon

PATIENCE = 60.0  # seconds


def make(*names: str) -> None:
    """An author in each of these tenants."""
    for name in names:
        with tenant(name):
            Author.objects.create(name=f"of {name}")


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def redis_keys(site: Site, name: str) -> list[str]:
    """The Redis keys of a tenant, but for its history, which is sent when there is time."""
    with site.redis() as client:
        keys = client.scan_iter(match=f"sb:{{{site.name}@{name}[:}}]*")
        return sorted(key for key in keys if not key.endswith(":profiles"))


def run(*arguments: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_tenants_are_those_that_have_objects(site: Site) -> None:
    Author.objects.create(name="shared")
    with tenant("nobody"):
        assert not Author.objects.exists()
    make("b", "a", "ä")
    assert tenants() == ["a", "b", "ä"]
    with tenant("a"):
        assert tenants(using="default") == ["a", "b", "ä"]


def test_deleted_tenant_leaves_nothing_and_others_keep_everything(site: Site) -> None:
    make("acme", "acme2")
    Author.objects.create(name="shared")
    objects, keys = site.objects(), redis_keys(site, "acme2")
    assert redis_keys(site, "acme")

    delete_tenant("acme")

    assert tenants() == ["acme2"]
    assert site.objects() == {key: body for key, body in objects.items() if f"{site.name}/_tenants/acme/" not in key}
    assert redis_keys(site, "acme") == []
    assert redis_keys(site, "acme2") == keys
    assert [author.name for author in Author.objects.all()] == ["shared"]


def test_name_of_a_deleted_tenant_can_be_used_again_at_once(site: Site) -> None:
    make("acme")
    with tenant("acme"):
        ContentType.objects.create(app_label="other", model="thing")
        assert ContentType.objects.get_for_model(Author).pk == 2
    delete_tenant("acme")
    with tenant("acme"):
        assert ContentType.objects.get_for_model(Author).pk == 1
    with profile_queries() as queries, tenant("acme"):
        assert list(Author.objects.filter(name="of acme")) == []
        Author.objects.create(name="of acme")
        assert Author.objects.get(name="of acme").name == "of acme"
    assert not queries.fallbacks()[1:]
    assert queries.profiles[-1].index_used == "redis:authors-by-name"


def test_tenant_is_not_deleted_within_a_transaction(site: Site) -> None:
    make("acme")
    with tenant("acme"), transaction.atomic(), pytest.raises(TransactionManagementError):
        delete_tenant("acme")
    assert tenants() == ["acme"]


def test_tenant_is_deleted_in_two_steps_while_redis_is_down(site: Site) -> None:
    make("acme")
    site.server.stop()
    with pytest.raises(IndexUnavailable, match="do it again when Redis answers"):
        delete_tenant("acme")
    assert tenants() == []
    site.server.start()
    site.restart()
    delete_tenant("acme")
    assert redis_keys(site, "acme") == []


def test_requests_are_the_same_within_a_tenant(site: Site) -> None:
    def work() -> list[Any]:
        with profile_queries() as queries:
            author = Author.objects.create(name="ann")
            list(Author.objects.filter(name="ann"))
            Author.objects.count()
            with transaction.atomic():
                author.articles.create(title="t", category="c")
                author.articles.create(title="u", category="c")
            list(author.articles.select_related("author"))
            author.delete()
        return [(each.operation, each.storage_ops, each.redis_ops) for each in queries.profiles]

    def without_sizes(spent: list[Any]) -> list[Any]:
        return [(operation, storage.total, storage.system, redis) for operation, storage, redis in spent]

    site.restart(trust_seconds=50, write_deadline=60)  # so that no lease runs out meanwhile
    work()  # the server takes the text of a script once, and a process looks at each table once
    with tenant("acme"):
        work()
        within = work()
    assert without_sizes(within) == without_sizes(work())


def test_profile_names_the_tenant(site: Site) -> None:
    with profile_queries() as queries:
        Author.objects.count()
        with tenant("acme"), transaction.atomic():
            Author.objects.create(name="ann")
    assert [(each.operation, each.tenant) for each in queries.profiles] == [
        ("select", None),
        ("insert", "acme"),
        ("commit", "acme"),
    ]
    assert "- Tenant: acme" in queries.profiles[-1].render()
    assert "Tenant" not in queries.profiles[0].render()
    assert QueryProfile.from_dict(queries.profiles[-1].as_dict()).tenant == "acme"


def test_memory_of_tenants_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_of_tenants", Recent(5))
    monkeypatch.setattr(ContentType.objects._cache, "_of_tenants", Recent(5))
    for number in range(20):
        with tenant(f"t{number}"):
            Author.objects.create(name=f"of t{number}")
            ContentType.objects.get_for_model(Author)
    assert len(resources._of_tenants) == len(ContentType.objects._cache._of_tenants) == 5
    for number in range(20):
        with tenant(f"t{number}"):
            assert [author.name for author in Author.objects.all()] == [f"of t{number}"]


def test_bounds_are_set() -> None:
    assert resources._of_tenants.size == resources.TENANTS_OPEN
    assert registry._Process().of_tenants.size == registry.TENANTS_KEPT
    assert ContentType.objects._cache._of_tenants.size == contenttypes.TENANTS_KEPT


def test_all_tenants_share_the_store_with_its_threads_and_connections(site: Site) -> None:
    stores = {id(connection.resources.store._store)}
    for name in ("acme", "globex"):
        with tenant(name):
            stores.add(id(connection.resources.store._store))
    assert len(stores) == 1


def test_content_types_of_tenants_are_their_own(site: Site) -> None:
    found = {}
    with tenant("acme"):
        ContentType.objects.create(app_label="other", model="thing")
    for name in ("acme", None, "globex"):
        with tenant(name):
            found[name] = ContentType.objects.get_for_model(Author)
            assert ContentType.objects.get_for_id(found[name].pk) == ContentType.objects.get(pk=found[name].pk)
            assert Permission.objects.filter(content_type=found[name]).count() == 0
    assert (found["acme"].pk, found["globex"].pk, found[None].pk) == (2, 1, 1)
    with tenant("acme"):
        assert ContentType.objects.get_for_id(2).model == "author"
        assert ContentType.objects.get_for_id(1).model == "thing"
        ContentType.objects.clear_cache()
    with profile_queries() as queries:
        ContentType.objects.get_for_model(Author)
    assert len(queries.profiles) == 1


def test_index_of_a_tenant_is_rebuilt_in_the_background(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "LOOK", 0.05)
    site.restart(auto_reindex=True)
    make("acme", "globex")
    with site.redis() as client:
        client.delete(*redis_keys(site, "acme"))
    before = redis_keys(site, "globex")

    def is_answered() -> bool:
        with profile_queries() as queries, tenant("acme"):
            assert [author.name for author in Author.objects.filter(name="of acme")] == ["of acme"]
        return queries.profiles[0].index_used == "redis:authors-by-name"

    told: list[str | None] = []

    def tell(**_arguments: Any) -> None:
        told.append(current_tenant())

    index_rebuilt.connect(tell)
    wait_until(is_answered)
    wait_until(lambda: bool(told))  # the signal follows the index
    wait_until(lambda: not background._threads)  # lest what follows the signal meet another test
    index_rebuilt.disconnect(tell)
    assert told == ["acme"]
    assert redis_keys(site, "globex") == before


def test_census_counts_the_documents_of_the_tenant(site: Site) -> None:
    make("acme")
    with tenant("acme"), Census() as census:
        wait_until(lambda: census.documents("default", "authors") is not None)
        assert census.documents("default", "authors") == 1


def test_log_names_the_tenant_whose_index_is_lost(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    make("acme")
    with site.redis() as client:
        client.delete(*redis_keys(site, "acme"))
    with tenant("acme"):
        list(Author.objects.filter(name="x"))
    (record,) = (each for each in caplog.records if each.event == "index_untrusted")
    assert (record.database, record.tenant, record.table) == ("default", "acme", "authors")


def test_transaction_of_a_dead_process_is_decided_by_the_next_one_in_its_tenant(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        author = Author.objects.create(name="ann")
        author.articles.create(title="t", category="c")

    with tenant("acme"):
        abandon(monkeypatch, work)
        site.restart()
        intents = connection.resources.keys.intent_prefix()
        assert intents == f"{site.name}/_tenants/acme/_sb/intents/"
        assert len(list(connection.resources.store.list(intents))) == 1
    Author.objects.count()  # whoever works for nobody has nothing to decide

    def is_decided() -> bool:
        with tenant("acme"):
            return [author.articles.count() for author in Author.objects.all()] == [1]

    wait_until(is_decided)
    assert list(connection.resources.store.list(intents)) == []
    assert not Author.objects.exists()


@pytest.mark.parametrize("kind", list(Kind))
def test_job_of_the_admin_works_for_the_tenant_in_which_it_was_begun(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setattr(work, "EVERY", 0.05)
    make("acme")
    ended: list[tuple[Job, str | None]] = []
    job = Job(kind, "ann", (TableProgress("authors", "articles.Author"),))
    with tenant("acme"):
        board = JobBoard(connection.resources)
        assert board.begin(job)
        work.start("default", job, board, lambda job: ended.append((job, current_tenant())))
    wait_until(lambda: bool(ended))
    assert [(each.tables[0].documents, each.problems, name) for each, name in ended] == [(1, (), "acme")]
    assert JobBoard(connection.resources).current() is None


def test_all_tests_of_a_test_case_can_work_for_one_tenant(site: Site) -> None:
    class Tests(TestCase):
        databases = frozenset(("default",))

        @classmethod
        def setUpClass(cls) -> None:
            cls.enterClassContext(tenant("acme"))
            super().setUpClass()

        @classmethod
        def setUpTestData(cls) -> None:
            Author.objects.create(name="ann")

        def test_one(self) -> None:
            Author.objects.create(name="bob")
            with tenant("acme"):
                assert set(Author.objects.values_list("name", flat=True)) == {"of acme", "ann", "bob"}

        def test_two(self) -> None:
            assert set(Author.objects.values_list("name", flat=True)) == {"of acme", "ann"}
            with pytest.raises(TenantInTransaction):
                tenant(None).__enter__()

    make("acme")
    result = unittest.TestResult()
    unittest.TestSuite([Tests("test_one"), Tests("test_two")]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    assert not Author.objects.exists()


class TestCommands:
    def test_reindex_rebuilds_the_indexes_of_the_tenant_only(self, site: Site) -> None:
        make("acme", "globex")
        before = redis_keys(site, "globex")
        with site.redis() as client:
            client.delete(*redis_keys(site, "acme"))
        shown = json.loads(run("sb_reindex", "articles.Author", "--tenant", "acme", "--json"))
        assert [(each["table"], each["documents"]) for each in shown["tables"]] == [("authors", 1)]
        with profile_queries() as queries, tenant("acme"):
            assert Author.objects.filter(name="of acme").exists()
        assert not queries.fallbacks()
        assert redis_keys(site, "globex") == before

    def test_check_looks_at_the_tenant_only(self, site: Site) -> None:
        make("acme", "globex")
        with site.redis() as client:
            client.delete(*redis_keys(site, "acme"))
        (table,) = json.loads(run("sb_check", "articles.Author", "--tenant", "globex", "--json"))["tables"]
        assert (table["found"]["documents"], table["sound"]) == (1, True)
        with pytest.raises(CommandError):
            run("sb_check", "articles.Author", "--tenant", "acme")

    @pytest.mark.parametrize("command", ["sb_check", "sb_reindex", "sb_upcast", "sb_profile"])
    def test_command_refuses_a_tenant_that_does_not_exist(self, site: Site, command: str) -> None:
        make("acme")
        with pytest.raises(CommandError, match=r"No tenant is called 'acm'.* Did you mean 'acme'\?"):
            run(command, "--tenant", "acm")
        with pytest.raises(CommandError, match="must not be empty"):
            run(command, "--tenant", "")

    def test_sb_tenant_lists_tenants(self, site: Site) -> None:
        make("globex", "acme")
        assert run("sb_tenant", "--list") == "acme\nglobex\n"
        assert run("sb_tenant", "--using", "default", "--list") == "acme\nglobex\n"

    def test_sb_tenant_migrates_a_new_tenant(self, site: Site) -> None:
        run("sb_tenant", "acme", "migrate", "--verbosity", "0")
        assert tenants() == ["acme"]
        with tenant("acme"):
            assert connection.catalog.has_schema_object("authors")
            assert Permission.objects.filter(codename="add_author").exists()
        assert not connection.catalog.has_schema_object("authors")

    def test_sb_tenant_runs_a_command_for_all_and_says_which_failed(self, site: Site) -> None:
        make("acme", "globex")
        shown = run("sb_tenant", "--all", "dumpdata", "articles.author")
        assert "Tenant acme:" in shown
        assert [shown.count(f'"name": "of {name}"') for name in ("acme", "globex")] == [1, 1]
        with pytest.raises(CommandError, match=r"2 of 2 tenants failed: acme, globex\."):
            run("sb_tenant", "--all", "dumpdata", "nothing")

    def test_sb_tenant_passes_the_failure_of_one_on(self, site: Site) -> None:
        with pytest.raises(CommandError, match="No installed app with label 'nothing'"):
            run("sb_tenant", "acme", "dumpdata", "nothing")

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ([], "Name a tenant"),
            (["acme"], "Name a tenant"),
            (["--all"], "Name a tenant"),
            (["", "migrate"], "must not be empty"),
            (["--using", "nowhere", "--list"], "'nowhere' is no database with the engine"),
        ],
    )
    def test_sb_tenant_says_what_is_missing(self, site: Site, arguments: list[str], problem: str) -> None:
        with pytest.raises(CommandError, match=problem):
            run("sb_tenant", *arguments)


class TestHistory:
    @pytest.fixture
    def recording(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry._Process]:
        """A process whose statements are kept."""
        process = registry._Process()
        monkeypatch.setattr(registry, "_process", process)
        site.restart(profile_history=10_000)
        registry.install()
        yield process
        registry.uninstall()
        process.sender.end(5)

    def test_profiles_come_to_the_history_of_their_tenant(self, recording: registry._Process) -> None:
        make("acme")
        Author.objects.count()
        with tenant("acme"):
            assert [each.tenant for each in history_of("default").read().profiles] == ["acme"]
            assert "of acme" not in run("sb_profile")
        assert [(each.tenant, each.operation) for each in history_of("default").read().profiles] == [(None, "select")]
        assert json.loads(run("sb_profile", "--tenant", "acme", "--json"))["databases"][0]["summary"]["total"] == 1

    def test_thread_sends_the_profiles_of_each_tenant(self, site: Site, recording: registry._Process) -> None:
        make("acme", "globex")
        with site.redis() as client:
            wait_until(lambda: all(client.exists(f"sb:{{{site.name}@{name}}}:profiles") for name in ("acme", "globex")))
            assert client.xlen(f"sb:{{{site.name}@acme}}:profiles") == 1

    def test_histories_of_tenants_are_bounded(
        self, recording: registry._Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recording.of_tenants, "size", 3)
        make(*(f"t{number}" for number in range(10)))
        assert len(recording.of_tenants) == 3
        assert len(recording.opened()) == 3

    def test_deleted_tenant_has_no_history(self, site: Site, recording: registry._Process) -> None:
        make("acme")
        with tenant("acme"):
            history_of("default").flush()
        assert redis_keys(site, "acme")
        delete_tenant("acme")
        assert redis_keys(site, "acme") == []
        assert "acme" not in [history.tenant for history in recording.opened()]
