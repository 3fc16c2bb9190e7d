"""Django's management commands about tables, caches and content types."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection

from tests.acceptance.ecosystem.project.shop.models import Category, Product, Supplier


def printed(*command: str, **options: object) -> str:
    """What a command prints."""
    output = StringIO()
    call_command(*command, stdout=output, no_color=True, **options)
    return output.getvalue()


@pytest.fixture
def _cache_table() -> None:
    """The table of the database cache, gone again afterwards, as no model knows it."""
    call_command("createcachetable", verbosity=0)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS shop_cache")


def test_flush_empties_tables_and_sequences_begin_anew(shop, midway) -> None:
    assert Product.objects.filter(sku="AB-1").exists()
    midway()
    assert Product.objects.filter(sku="AB-1").exists()
    call_command("flush", interactive=False, verbosity=0)
    assert [model.objects.count() for model in (Product, Category, Supplier)] == [0, 0, 0]
    assert ContentType.objects.get(app_label="shop", model="product").name == "product"  # made anew
    assert Site.objects.get().domain == "example.com"
    assert Supplier.objects.create(name="First").pk == 1


def test_flush_asks_first(shop, monkeypatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert printed("flush") == "Flush cancelled.\n"
    assert Product.objects.count() == 4


def test_sqlflush_shows_a_delete_for_each_table() -> None:
    lines = printed("sqlflush").splitlines()
    assert lines[0] == "BEGIN;"
    assert 'DELETE FROM "shop_product";' in lines
    assert lines[-1] == "COMMIT;"


@pytest.mark.usefixtures("_cache_table")
def test_database_cache_keeps_counts_and_forgets(midway) -> None:
    cache = caches["database"]
    cache.set("answer", 42, timeout=60)
    cache.set_many({"a": [1], "b": {"x": None}})
    assert cache.get("answer") == 42
    connection.close()  # another process, or the next request
    assert cache.get("answer") == 42
    assert Supplier.objects.filter(name="Acme").count() == 0
    midway()
    assert cache.get_many(["answer", "a", "b", "c"]) == {"answer": 42, "a": [1], "b": {"x": None}}
    assert cache.incr("answer") == 43
    assert cache.add("answer", 0) is False
    assert cache.add("new", 1) is True
    cache.set("old", 1, timeout=-1)
    assert cache.get("old") is None
    cache.delete("a")
    assert "a" not in cache
    assert cache.touch("b", 10) is True
    assert Supplier.objects.filter(name="Acme").count() == 0
    cache.clear()
    connection.close()
    assert cache.get("answer") is None


@pytest.mark.usefixtures("_cache_table")
def test_createcachetable_is_content_with_a_table_that_is_there() -> None:
    caches["database"].set("kept", 1)
    connection.close()
    assert printed("createcachetable") == "Cache table 'shop_cache' already exists.\n"
    assert caches["database"].get("kept") == 1


def test_inspectdb_describes_the_tables_that_migrations_made() -> None:
    text = printed("inspectdb", "shop_product", "shop_line")
    for line in (
        "class ShopProduct(models.Model):",
        "    sku = models.CharField(unique=True, max_length=8)",
        "    category = models.ForeignKey('ShopCategory', models.DO_NOTHING)",
        "    stock = models.IntegerField()",
        "        db_table = 'shop_product'",
        "        unique_together = (('category', 'name'),)",
        "class ShopLine(models.Model):",
        "    order = models.ForeignKey('ShopOrder', models.DO_NOTHING)",
    ):
        assert line in text.splitlines(), text
    everything = printed("inspectdb")
    assert "Unable to inspect" not in everything
    assert "class DjangoMigrations(models.Model):" in everything.splitlines()
    assert everything.count("(models.Model):") == len(connection.introspection.table_names())


def test_inspectdb_says_so_of_a_table_that_it_cannot_describe() -> None:
    text = printed("inspectdb", "elsewhere")
    assert "# Unable to inspect table 'elsewhere'\n" in text


def test_remove_stale_contenttypes_removes_those_without_a_model(midway) -> None:
    ContentType.objects.create(app_label="shop", model="gone")
    assert ContentType.objects.filter(app_label="shop", model="gone").exists()
    before = ContentType.objects.count()
    midway()
    call_command("remove_stale_contenttypes", interactive=False, verbosity=0)
    assert ContentType.objects.count() == before - 1
    assert not ContentType.objects.filter(app_label="shop", model="gone").exists()
    assert ContentType.objects.filter(app_label="shop", model="product").exists()


def test_showmigrations_lists_what_is_applied() -> None:
    assert printed("showmigrations", "shop") == "shop\n [X] 0001_initial\n [X] 0002_clerks\n"
    plan = printed("showmigrations", format="plan")
    assert "[X]  shop.0001_initial\n" in plan
    assert "[ ]" not in plan
    assert printed("migrate", plan=True) == "Planned operations:\n  No planned migration operations.\n"


def test_sqlmigrate_shows_the_tables_of_a_migration() -> None:
    text = printed("sqlmigrate", "shop", "0001")
    assert 'CREATE TABLE "shop_product" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT' in text
    assert 'CREATE INDEX "shop_product_category_id_' in text
    assert (text.splitlines()[0], text.splitlines()[-1]) == ("BEGIN;", "COMMIT;")
    assert 'DROP TABLE "shop_product";' in printed("sqlmigrate", "shop", "0001", backwards=True)


def test_migrations_fit_the_models_and_cannot_be_shortened() -> None:
    assert printed("makemigrations", "shop", check_changes=True) == "No changes detected in app 'shop'\n"
    assert printed("optimizemigration", "shop", "0001", check=True) == "No optimizations possible.\n"


def test_sqlsequencereset_has_nothing_to_reset() -> None:
    assert printed("sqlsequencereset", "shop") == ""


def test_diffsettings_shows_the_settings_of_the_project() -> None:
    lines = printed("diffsettings").splitlines()
    assert "SITE_ID = 1  ###" in lines
    assert any(line.startswith("DATABASES = {'default': ") for line in lines)


def test_check_finds_nothing_wrong() -> None:
    assert (
        printed("check", databases=["default"], fail_level="WARNING")
        == "System check identified no issues (0 silenced).\n"
    )
