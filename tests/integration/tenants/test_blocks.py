"""A block of ``tenant()``: what is within it, and who works for which tenant."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.db.utils import NotSupportedError, OperationalError

from django_smarterbase.exceptions import InvalidTenant, TenantInTransaction
from django_smarterbase.tenants import current_tenant, tenant, tenants
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

PK = uuid.UUID("00000000-0000-7000-8000-000000000001")


def names() -> list[str]:
    """The names of the authors of the tenant of now, or of none."""
    return list(Author.objects.values_list("name", flat=True))


@pytest.fixture
def filled(site: Site) -> Site:
    """A site with an author of its own and one in each of two tenants."""
    Author.objects.create(name="shared")
    for name in ("acme", "globex"):
        with tenant(name):
            Author.objects.create(name=f"of {name}")
    return site


def test_rows_of_a_tenant_are_seen_within_its_block_only(filled: Site) -> None:
    assert names() == ["shared"]
    with tenant("acme"):
        assert names() == ["of acme"]
        assert Author.objects.filter(name="of globex").count() == 0
    with tenant("globex"):
        assert names() == ["of globex"]
    with tenant("initech"):
        assert names() == []
    assert names() == ["shared"]


def test_every_object_and_key_of_a_tenant_lies_under_its_prefix(site: Site) -> None:
    with tenant("acme"):
        author = Author.objects.create(name="ann")
        with transaction.atomic():
            Author.objects.select_for_update().get(pk=author.pk)
            Article.objects.create(author=author, title="one", category="c")
            Article.objects.create(author=author, title="two", category="c")
    assert set(site.objects()) == {key for key in site.objects() if key.startswith(f"{site.name}/_tenants/acme/")}
    assert f"{site.name}/_tenants/acme/authors/{author.pk.hex}.json" in site.objects()
    assert f"{site.name}/_tenants/acme/_sb/manifest.json" in site.objects()
    with site.redis() as client:
        keys = set(client.scan_iter(match="sb:*"))
    assert keys
    assert {key.partition(":")[2].partition("}")[0] for key in keys} == {
        f"{{{site.name}@acme:authors",
        f"{{{site.name}@acme:articles",
    }


def test_unique_value_and_primary_key_can_be_had_by_each_tenant(site: Site) -> None:
    made = []
    for name in (None, "acme", "globex"):
        with tenant(name):
            made.append(Author.objects.create(pk=PK, name="ann"))
            made[-1].articles.create(title="t", category="c")
    for name in (None, "acme", "globex"):
        with tenant(name):
            assert Article.objects.get().author == made[0]


def test_nested_blocks_go_back_to_the_outer_tenant(filled: Site) -> None:
    with tenant("acme"):
        with tenant("globex"):
            assert names() == ["of globex"]
            with tenant(None):
                assert names() == ["shared"]
                assert current_tenant() is None
        assert names() == ["of acme"]
        assert current_tenant() == "acme"
    assert current_tenant() is None


def test_block_that_is_left_by_an_exception_ends_all_the_same(filled: Site) -> None:
    with pytest.raises(ZeroDivisionError), tenant("acme"):
        raise ZeroDivisionError
    assert names() == ["shared"]


def test_one_block_may_be_entered_again_and_by_several_threads(filled: Site) -> None:
    acme = tenant("acme")
    with acme, tenant("globex"), acme:
        assert names() == ["of acme"]
    with acme:
        assert names() == ["of acme"]

    def look(_number: int) -> list[str]:
        try:
            with acme:
                return names()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(8))) == [["of acme"]] * 8
    assert names() == ["shared"]


def test_decorated_function_works_for_the_tenant(filled: Site) -> None:
    @tenant("acme")
    def look(*, reverse: bool) -> list[str]:
        return sorted(names(), reverse=reverse)

    assert look(reverse=True) == ["of acme"]
    assert look.__name__ == "look"
    assert names() == ["shared"]


def test_decorated_coroutine_function_works_for_the_tenant(filled: Site) -> None:
    @tenant("acme")
    async def look() -> list[str]:
        await asyncio.sleep(0)
        return [author.name async for author in Author.objects.all()]

    assert asyncio.run(look()) == ["of acme"]
    assert names() == ["shared"]


def test_generator_function_is_not_decorated() -> None:
    def look() -> Iterator[str]:
        yield from names()

    with pytest.raises(TypeError, match="generator function"):
        tenant("acme")(look)


def test_thread_begins_without_a_tenant(filled: Site) -> None:
    found: list[Any] = []

    def look() -> None:
        found.append((current_tenant(), names()))
        connections.close_all()

    with tenant("acme"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == [(None, ["shared"])]


def test_threads_do_not_see_each_others_tenants(filled: Site) -> None:
    together = threading.Barrier(2)

    def look(name: str) -> list[list[str]]:
        found = []
        try:
            for _ in range(20):
                with tenant(name):
                    together.wait(30)
                    found.append(names())
        finally:
            connections.close_all()
        return found

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(look, ["acme", "globex"]))
    assert results == [[["of acme"]] * 20, [["of globex"]] * 20]


def test_tasks_inherit_the_tenant_and_do_not_see_each_others(filled: Site) -> None:
    async def look(name: str | None, turns: asyncio.Barrier) -> list[Any]:
        found = []
        for _ in range(5):
            with tenant(name):
                await turns.wait()
                found.append((current_tenant(), await sync_to_async(names)()))
        return found

    async def inherit() -> Any:
        return current_tenant(), await sync_to_async(names)()

    async def main() -> None:
        turns = asyncio.Barrier(3)
        with tenant("acme"):
            inheriting = asyncio.create_task(inherit())
        results = await asyncio.gather(*(look(name, turns) for name in ("acme", "globex", None)))
        assert results == [
            [("acme", ["of acme"])] * 5,
            [("globex", ["of globex"])] * 5,
            [(None, ["shared"])] * 5,
        ]
        assert await inheriting == ("acme", ["of acme"])
        assert current_tenant() is None

    asyncio.run(main())


def test_generator_that_yields_within_a_block_gives_its_caller_the_tenant_until_it_goes_on(filled: Site) -> None:
    def look() -> Iterator[list[str]]:
        with tenant("acme"):
            yield names()

    generator = look()
    assert next(generator) == ["of acme"]
    assert names() == ["of acme"]
    assert list(generator) == []
    assert names() == ["shared"]


def test_generator_that_leaves_its_block_within_anothers_is_told_so_and_changes_nothing_there(filled: Site) -> None:
    def look() -> Iterator[None]:
        with tenant("acme"):
            yield

    generator = look()
    next(generator)
    with tenant("globex"):
        with pytest.raises(RuntimeError, match="Leave blocks in the reverse order"):
            next(generator)
        assert names() == ["of globex"]
    assert names() == ["shared"]


def test_query_set_reads_the_tenant_in_which_it_is_evaluated(filled: Site) -> None:
    with tenant("acme"):
        authors = Author.objects.all()
        evaluated = Author.objects.all()
        assert len(evaluated) == 1
    with tenant("globex"):
        assert [author.name for author in authors] == ["of globex"]
        assert [author.name for author in evaluated] == ["of acme"]


def test_instance_is_saved_in_the_tenant_of_the_moment(filled: Site) -> None:
    with tenant("acme"):
        author = Author.objects.get()
    with tenant("globex"):
        author.save()
        assert names() == ["of acme", "of globex"]


def test_tenant_is_not_switched_within_a_transaction(filled: Site) -> None:
    with transaction.atomic():
        Author.objects.create(name="bob")
        with pytest.raises(TenantInTransaction, match=r"belongs to no tenant, and was to go on for the tenant 'acme'"):
            tenant("acme").__enter__()
        assert names() == ["bob", "shared"]
    with tenant("acme"), transaction.atomic():
        with pytest.raises(TenantInTransaction, match=r"belongs to the tenant 'acme', and was to go on for no tenant"):
            tenant(None).__enter__()
        with tenant("acme"):
            Author.objects.create(name="carol")
    with tenant("acme"):
        assert names() == ["carol", "of acme"]
    assert names() == ["bob", "shared"]


def test_transaction_that_outlives_its_block_goes_on_for_no_other_tenant(filled: Site) -> None:
    with tenant("acme"):
        transaction.set_autocommit(False)
        Author.objects.create(name="bob")
    try:
        with pytest.raises(TenantInTransaction):
            names()
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert names() == ["shared"]
    with tenant("acme"):
        assert names() == ["bob", "of acme"]


def test_transaction_that_outlives_its_block_is_rolled_back_for_its_tenant(filled: Site) -> None:
    with tenant("acme"):
        transaction.set_autocommit(False)
        Author.objects.create(name="bob")
    transaction.rollback()
    transaction.set_autocommit(True)
    with tenant("acme"):
        assert names() == ["of acme"]
    assert names() == ["shared"]


def test_transaction_belongs_to_the_tenant_in_which_it_began(filled: Site) -> None:
    assert names() == ["shared"]
    with tenant("acme"):
        transaction.set_autocommit(False)
        try:
            Author.objects.create(name="bob")
            transaction.commit()
        finally:
            transaction.set_autocommit(True)
        assert names() == ["bob", "of acme"]


def test_workspace_holds_no_rows_when_the_tenant_changes(filled: Site) -> None:
    for name in ("acme", None, "globex", None):
        with tenant(name):
            assert len(names()) == 1
            workspace = connection.session.workspace
            rows = {
                table: workspace.sqlite.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0]
                for table in workspace.names("table")
            }
            assert set(rows.values()) == {0}
            assert workspace.pending() == []


def test_raw_table_is_that_of_the_tenant_which_made_it(filled: Site) -> None:
    with tenant("acme"), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE loose (n integer)")
        cursor.execute("INSERT INTO loose VALUES (1)")
    with connection.cursor() as cursor:
        with pytest.raises(OperationalError, match="no such table: loose"):
            cursor.execute("SELECT n FROM loose")
        cursor.execute("CREATE TABLE loose (name text)")
        cursor.execute("INSERT INTO loose VALUES ('shared')")
        cursor.execute("SELECT * FROM loose")
        assert cursor.fetchall() == [("shared",)]
    with tenant("acme"), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM loose")
        assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("kind", ["VIEW", "TEMP VIEW"])
def test_view_ends_with_the_block_of_its_tenant(filled: Site, kind: str) -> None:
    with tenant("acme"), connection.cursor() as cursor:
        cursor.execute(f"CREATE {kind} mine AS SELECT name, 'a secret' FROM authors")
        cursor.execute("SELECT * FROM mine")
        assert cursor.fetchall() == [("of acme", "a secret")]
    for other in ("globex", None, "acme"):
        with tenant(other), connection.cursor() as cursor, pytest.raises(OperationalError, match="no such table: mine"):
            cursor.execute("SELECT * FROM mine")


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_temporary_table_is_refused_so_that_no_other_tenant_can_see_it(filled: Site, *, atomic: bool) -> None:
    block = transaction.atomic() if atomic else nullcontext()
    with (
        tenant("acme"),
        connection.cursor() as cursor,
        pytest.raises(NotSupportedError, match="temporary table"),
        block,
    ):
        cursor.execute("CREATE TEMP TABLE mine (name text)")
    with tenant("globex"), connection.cursor() as cursor:
        with pytest.raises(OperationalError, match="no such table: mine"):
            cursor.execute("SELECT * FROM mine")
        sqlite = connection.session.workspace.sqlite
        assert sqlite.execute("SELECT name FROM sqlite_temp_master").fetchall() == []


def test_cursor_that_was_opened_before_runs_for_the_tenant_of_the_moment(filled: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM authors")
        with tenant("acme"):
            assert names() == ["of acme"]
            assert cursor.fetchall() == [("shared",)]
            cursor.execute("SELECT name FROM authors")
        assert cursor.fetchall() == [("of acme",)]


@pytest.mark.parametrize("name", ["", "x" * 201, "ü" * 34, "\ud800"])
def test_name_that_no_tenant_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidTenant):
        tenant(name)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "/",
        "a/b",
        "../../etc",
        "_sb",
        "_SB",
        "_tenants",
        "*",
        "{a}",
        "a@b",
        "a:b",
        "\0",
        "ü",
        "日本",
        "x" * 200,
    ],
)
def test_hostile_name_is_a_tenant_like_any_other(site: Site, name: str) -> None:
    with tenant(name):
        Author.objects.create(name="ann")
        assert Author.objects.filter(name="ann").count() == 1
    assert names() == []
    assert tenants() == [name]
    assert {path.parts[0] for path in (each.relative_to(site.folder) for each in site.folder.iterdir())} <= {
        site.name,
        "_sb",
    }
    (folder,) = (site.folder / site.name / "_tenants").iterdir()
    assert len(folder.name) <= 200


def test_alias_without_tenants_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="'elsewhere' is no database with the engine"):
        tenant("acme", using="elsewhere").__enter__()


def test_error_is_a_transaction_management_error_too() -> None:
    assert issubclass(TenantInTransaction, TransactionManagementError)
