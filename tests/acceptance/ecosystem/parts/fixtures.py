"""``dumpdata`` and ``loaddata``: what is written out comes back the same."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import serializers
from django.core.management import call_command
from django.core.serializers.base import DeserializationError

from tests.acceptance.ecosystem.project.shop.models import Category, Note, Product, Supplier

MODELS = ["auth.group", "auth.user", "shop"]


def dumped(**options: object) -> str:
    """What ``dumpdata`` prints of the shop and its users."""
    printed = StringIO()
    call_command("dumpdata", *MODELS, stdout=printed, **options)
    return printed.getvalue()


def content(dump: str) -> list[str]:
    """The objects of a dump, in an order that no database decides."""
    return sorted(json.dumps(each, sort_keys=True) for each in json.loads(dump))


@pytest.fixture
def _people(shop) -> None:
    """A user in a group, and a note about a product."""
    editors = Group.objects.create(name="editors")
    editors.permissions.set(Permission.objects.filter(content_type__app_label="shop", codename__startswith="view"))
    User.objects.create_user("ada", email="ada@example.com").groups.add(editors)
    Product.objects.get(sku="AB-1").notes.create(text="heavy")


@pytest.mark.parametrize("form", ["json", "jsonl", "xml", "yaml"])
@pytest.mark.usefixtures("_people")
def test_dump_is_loaded_into_an_empty_database(form: str, tmp_path: Path, midway) -> None:
    natural = {"use_natural_foreign_keys": True}
    before, file = content(dumped(**natural)), tmp_path / f"dump.{form}"
    call_command("dumpdata", *MODELS, format=form, output=str(file), **natural, verbosity=0)
    midway()
    call_command("flush", interactive=False, verbosity=0)
    assert (Product.objects.count(), User.objects.count()) == (0, 0)
    printed = StringIO()
    call_command("loaddata", file, stdout=printed)
    assert printed.getvalue() == f"Installed {len(before)} object(s) from 1 fixture(s)\n"
    assert content(dumped(**natural)) == before
    assert [str(note) for note in Product.objects.get(sku="AB-1").notes.all()] == ["heavy"]
    assert User.objects.get().has_perm("shop.view_product")
    assert Product.objects.create(name="New", sku="ZZ-1", category_id=1, price=1).pk == 5  # the sequence goes on


@pytest.mark.usefixtures("shop")
def test_natural_keys_find_what_has_another_primary_key(tmp_path: Path, midway) -> None:
    options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True}
    file = tmp_path / "dump.json"
    call_command("dumpdata", "shop.category", "shop.product", output=str(file), **options, verbosity=0)
    assert '"category": ["tools"]' in file.read_text()
    Product.objects.all().delete()
    Category.objects.all().delete()
    Category.objects.bulk_create(
        [Category(pk=50, name="Spare", slug="spare"), Category(pk=70, name="Old", slug="tools")]
    )
    midway()
    call_command("loaddata", file, verbosity=0)
    assert Category.objects.get(slug="tools").pk == 70
    assert Category.objects.get(slug="tools").name == "Tools"
    assert Product.objects.filter(category=70).count() == 2


@pytest.mark.usefixtures("shop")
def test_broken_fixture_changes_nothing(tmp_path: Path, midway) -> None:
    entries = [
        {"model": "shop.supplier", "pk": 90, "fields": {"name": "Careful"}},
        {"model": "shop.product", "pk": 90, "fields": {"name": "X", "category": 1, "price": "cheap"}},
    ]
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(entries))
    assert Supplier.objects.filter(name="Careful").count() == 0
    midway()
    with pytest.raises(DeserializationError, match=r"broken\.json.*“cheap” value must be a decimal number"):
        call_command("loaddata", file, verbosity=0)
    assert Supplier.objects.filter(name="Careful").count() == 0
    assert Supplier.objects.filter(name="Acme").count() == 1


@pytest.mark.usefixtures("_people")
def test_dump_is_narrowed_to_models_and_keys(midway) -> None:
    def keys(*models: str, **options: object) -> list[tuple[str, int]]:
        printed = StringIO()
        call_command("dumpdata", *models, stdout=printed, **options)
        return [(each["model"], each["pk"]) for each in json.loads(printed.getvalue())]

    for _ in midway.turns():
        assert keys("shop.supplier") == [("shop.supplier", 1), ("shop.supplier", 2)]
        assert keys("shop.product", primary_keys="2,4") == [("shop.product", 2), ("shop.product", 4)]
        assert keys("shop", exclude=["shop.product", "shop.category", "shop.supplier"]) == [("shop.note", 1)]
        assert Note.objects.filter(object_id=1, content_type__model="product").count() == 1
    text = serializers.serialize("json", Supplier.objects.order_by("name"))
    assert [each.object.name for each in serializers.deserialize("json", text)] == ["Acme", "Best"]
