"""django-import-export: rows in and out, alone and in the admin."""

from __future__ import annotations

from io import StringIO

import pytest
import tablib
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.acceptance.ecosystem.project.shop.models import Category, Product, Supplier
from tests.acceptance.ecosystem.project.shop.transfer import BulkProductResource, ProductResource

pytestmark = pytest.mark.usefixtures("shop")

CSV = """\
sku,name,category,suppliers,price,stock
AB-1,Anvil,tools,Acme,80.00,3
AB-2,Bellows,tools,Acme|Best,20.50,0
CD-1,Candle,light,Best,1.25,100
CD-2,Dark lantern,light,,45.00,7
"""
NEWS = """\
sku,name,category,suppliers,price,stock
AB-1,Anvil,tools,Acme,80.00,3
CD-1,Candle,light,Acme|Best,1.50,90
EF-1,Egg timer,tools,Best,9.90,4
"""


def table(text: str) -> tablib.Dataset:
    """CSV as the library takes it."""
    return tablib.Dataset().load(StringIO(text), format="csv")


def rows(*skus: str) -> list[tuple[object, ...]]:
    """What there is of some products."""
    found = Product.objects.filter(sku__in=skus).order_by("sku")
    return [
        (each.sku, str(each.price), each.stock, sorted(str(supplier) for supplier in each.suppliers.all()))
        for each in found
    ]


def test_export_has_every_product(midway) -> None:
    assert ProductResource().export().csv.replace("\r\n", "\n") == CSV
    assert Category.objects.get(slug="tools").products.count() == 2
    midway()
    tools = Product.objects.filter(category__slug="tools")
    assert ProductResource().export(tools).dict[1]["suppliers"] == "Acme|Best"


def test_import_adds_changes_and_skips(midway) -> None:
    trial = ProductResource().import_data(table(NEWS), dry_run=True, raise_errors=True)
    assert trial.totals == {"new": 1, "update": 1, "delete": 0, "skip": 1, "error": 0, "invalid": 0}
    assert rows("CD-1", "EF-1") == [("CD-1", "1.25", 100, ["Best"])]
    midway()
    done = ProductResource().import_data(table(NEWS), raise_errors=True)
    assert done.totals == trial.totals
    assert rows("CD-1", "EF-1") == [("CD-1", "1.50", 90, ["Acme", "Best"]), ("EF-1", "9.90", 4, ["Best"])]


def test_import_in_bulk_writes_many_rows_at_once(midway) -> None:
    text = "sku,name,category,price,stock\n" + "".join(f"NN-{n},Nail {n},tools,0.10,{n}\n" for n in range(25))
    assert BulkProductResource().import_data(table(text), raise_errors=True).totals["new"] == 25
    assert Product.objects.filter(category__slug="tools").count() == 27
    midway()
    text = text.replace("0.10", "0.20")
    assert BulkProductResource().import_data(table(text), raise_errors=True).totals["update"] == 25
    assert rows("NN-0", "NN-24") == [("NN-0", "0.20", 0, []), ("NN-24", "0.20", 24, [])]


def test_import_with_a_wrong_row_changes_nothing(midway) -> None:
    wrong = NEWS + "GH-1,Anvil,tools,,1,1\nIJ-1,Ice axe,nowhere,,1,1\n"
    assert rows("EF-1") == []
    midway()
    done = ProductResource().import_data(table(wrong), use_transactions=True, rollback_on_validation_errors=True)
    assert [(row.number, str(row.errors[0].error)) for row in done.error_rows] == [
        (5, "Category matching query does not exist.")
    ]
    assert [row.error_dict for row in done.invalid_rows] == [{"__all__": ["This category has a product of that name."]}]
    assert rows("CD-1", "EF-1") == [("CD-1", "1.25", 100, ["Best"])]


def test_admin_imports_what_was_confirmed_and_exports(admin_client: Client, midway) -> None:
    file = SimpleUploadedFile("news.csv", NEWS.encode(), "text/csv")
    preview = admin_client.post("/admin/shop/product/import/", {"format": "0", "import_file": file, "resource": ""})
    form = preview.context["confirm_form"].initial
    assert rows("EF-1") == []
    midway()
    done = admin_client.post("/admin/shop/product/process_import/", form, follow=True)
    assert [str(message) for message in done.context["messages"]] == [
        "Import finished: 1 new, 1 updated, 0 deleted and 1 skipped products."
    ]
    assert rows("EF-1") == [("EF-1", "9.90", 4, ["Best"])]
    chosen = {"format": "0", "resource": "", **{f"productresource_{name}": "on" for name in ("sku", "stock", "price")}}
    exported = admin_client.post("/admin/shop/product/export/", chosen).content.decode()
    assert "EF-1,9.90,4" in exported
    assert Supplier.objects.get(name="Best").products.count() == 3
