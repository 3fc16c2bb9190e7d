"""Of the ORM, what projects lean on and engines get wrong: constraints, races, relations without a key, windows."""

from __future__ import annotations

import datetime
import threading
from decimal import Decimal

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Avg, Count, F, Max, Q, Sum, Window
from django.db.models.functions import DenseRank, Lag, RowNumber
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.forms import inlineformset_factory, modelform_factory, modelformset_factory

from tests.acceptance.ecosystem.project.shop.models import Category, Line, Note, Order, Product, Supplier

pytestmark = pytest.mark.usefixtures("shop")
NOON = datetime.datetime(2025, 3, 1, 12, tzinfo=datetime.UTC)


def product(sku: str) -> Product:
    """The product of a number."""
    return Product.objects.get(sku=sku)


def test_generic_relations_lead_both_ways(midway) -> None:
    anvil, acme = product("AB-1"), Supplier.objects.get(name="Acme")
    anvil.notes.create(text="heavy")
    Note.objects.create(about=acme, text="slow")
    Note.objects.create(about=anvil, text="dear")
    for _ in midway.turns():
        assert [note.text for note in anvil.notes.order_by("text")] == ["dear", "heavy"]
        with_about = Note.objects.order_by("pk").prefetch_related("about")
        assert [note.about for note in with_about] == [anvil, acme, anvil]
        assert list(Product.objects.filter(notes__text="heavy")) == [anvil]
        counted = Product.objects.annotate(number=Count("notes")).values_list("sku", "number").order_by("sku")
        assert list(counted) == [("AB-1", 2), ("AB-2", 0), ("CD-1", 0), ("CD-2", 0)]
        assert Note.objects.filter(content_type=ContentType.objects.get_for_model(acme), object_id=acme.pk).count() == 1
    anvil.delete()
    assert [note.text for note in Note.objects.all()] == ["slow"]


def test_validation_names_the_constraint_that_is_broken(midway) -> None:
    def errors(**changes: object) -> dict[str, list[str]]:
        fields = {"name": "New", "sku": "ZZ-1", "category": Category.objects.get(slug="tools"), "price": 1, "stock": 1}
        with pytest.raises(ValidationError) as caught:
            Product(**fields | changes).full_clean()
        return caught.value.message_dict

    for _ in midway.turns():
        assert errors(sku="AB-1") == {"sku": ["Product with this Sku already exists."]}
        assert errors(sku="nonsense", price=-1) == {
            "sku": ["Enter a valid value."],
            "price": ["Ensure this value is greater than or equal to 0."],
        }
        assert errors(name="Anvil") == {"__all__": ["This category has a product of that name."]}
        assert errors(stock=-1) == {"__all__": ["There cannot be fewer than none."]}
        sold_out = {"stock": 0, "released": datetime.date(2024, 6, 1)}
        assert errors(**sold_out) == {"__all__": ["Constraint “shop-one-sold-out-a-day” is violated."]}
    Product(name="Anvil", sku="ZZ-1", category=Category.objects.get(slug="light"), price=1).full_clean()


def test_database_refuses_what_a_constraint_forbids(midway) -> None:
    tools = Category.objects.get(slug="tools")

    def refused(**changes: object) -> str:
        fields = {"name": "New", "sku": "ZZ-1", "category": tools, "price": 1, "stock": 1}
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            Product.objects.create(**fields | changes)
        return str(caught.value)

    for _ in midway.turns():
        assert refused(sku="AB-1") == "UNIQUE constraint failed: shop_product.sku"
        assert refused(name="Anvil") == "UNIQUE constraint failed: shop_product.category_id, shop_product.name"
        assert refused(stock=-1) == "CHECK constraint failed: shop-stock-is-not-negative"
        assert "UNIQUE constraint failed" in refused(stock=0, released=datetime.date(2024, 6, 1))
        assert refused(price=None) == "NOT NULL constraint failed: shop_product.price"
    with pytest.raises(IntegrityError, match="CHECK constraint failed"):
        Product.objects.update(stock=F("stock") - 5)
    assert Product.objects.aggregate(Sum("stock")) == {"stock__sum": 110}
    with pytest.raises(models.ProtectedError):
        Order.objects.create(customer="Ada", placed=NOON).lines.create(product=product("AB-1")).product.delete()


def test_get_or_create_makes_one_when_many_want_it(midway) -> None:
    def race(name: str) -> list[bool]:
        made, start = [], threading.Barrier(4)

        def want() -> None:
            start.wait()
            try:
                made.append(Supplier.objects.get_or_create(name=name)[1])
            finally:
                connection.close()

        threads = [threading.Thread(target=want) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(made)

    assert race("Cheap") == [False, False, False, True]
    midway()
    assert race("Dear") == [False, False, False, True]
    assert Supplier.objects.filter(name__in=["Cheap", "Dear"]).count() == 2
    _, made = Category.objects.update_or_create(slug="tools", defaults={"name": "Old tools"})
    assert (made, Category.objects.get(slug="tools").name) == (False, "Old tools")
    assert Category.objects.update_or_create(slug="new", defaults={"name": "N"}, create_defaults={"name": "New"})[1]
    assert Category.objects.get(slug="new").name == "New"


def test_signals_are_sent_for_what_is_saved_related_and_deleted(midway) -> None:
    told: list[tuple[object, ...]] = []

    def on_save(sender, instance, **details) -> None:
        told.append(("save", str(instance), details.get("created")))

    def on_delete(sender, instance, **details) -> None:
        told.append(("delete", str(instance)))

    def on_relation(sender, instance, action, pk_set, **details) -> None:
        told.append((action, str(instance), len(pk_set)))

    pairs = [(pre_save, on_save), (post_save, on_save), (post_delete, on_delete)]
    for signal, receiver in pairs:
        signal.connect(receiver, sender=Product)
    m2m_changed.connect(on_relation, sender=Product.suppliers.through)
    try:
        bellows = product("AB-2")
        bellows.save()
        bellows.suppliers.add(*Supplier.objects.all())  # both are there already
        midway()
        product("CD-2").suppliers.add(Supplier.objects.get(name="Acme"))
        bellows.suppliers.remove(Supplier.objects.get(name="Best"))
        bellows.delete()
    finally:
        for signal, receiver in pairs:
            signal.disconnect(receiver, sender=Product)
        m2m_changed.disconnect(on_relation, sender=Product.suppliers.through)
    assert told == [
        ("save", "Bellows", None),
        ("save", "Bellows", False),
        ("pre_add", "Bellows", 0),
        ("post_add", "Bellows", 0),
        ("pre_add", "Dark lantern", 1),
        ("post_add", "Dark lantern", 1),
        ("pre_remove", "Bellows", 1),
        ("post_remove", "Bellows", 1),
        ("delete", "Bellows"),
    ]


def test_many_objects_are_fetched_created_and_merged(midway) -> None:
    for turn in midway.turns():
        by_sku = Product.objects.in_bulk(["AB-1", "CD-1", "XX-1"], field_name="sku")
        assert {sku: str(each) for sku, each in by_sku.items()} == {"AB-1": "Anvil", "CD-1": "Candle"}
        assert sorted(Product.objects.in_bulk([1, 2, 99])) == [1, 2]
        tools = Category.objects.get(slug="tools")
        rows = [
            Product(sku="AB-1", name="Anvil", category=tools, price=Decimal(90 + turn), stock=turn),
            Product(sku=f"NN-{turn}", name=f"Nail {turn}", category=tools, price=Decimal("0.10"), stock=1000),
        ]
        Product.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["sku"], update_fields=["price", "stock"]
        )
        assert (product("AB-1").price, product("AB-1").stock) == (90 + turn, turn)
        assert product(f"NN-{turn}").stock == 1000
    Product.objects.bulk_create([Product(sku="AB-2", name="Bellows", category=tools, price=1)], ignore_conflicts=True)
    assert product("AB-2").price == Decimal("20.50")
    changed = list(Product.objects.filter(category=tools))
    for each in changed:
        each.stock = 1
    assert Product.objects.bulk_update(changed, ["stock"], batch_size=2) == 4
    assert Product.objects.filter(category=tools).aggregate(Sum("stock")) == {"stock__sum": 4}


def test_aggregates_count_what_their_filters_leave(midway) -> None:
    for _ in midway.turns():
        figures = Category.objects.annotate(
            dear=Count("products", filter=Q(products__price__gt=30)),
            stock=Sum("products__stock", default=0),
            latest=Max("products__released"),
        )
        assert list(figures.values_list("slug", "dear", "stock", "latest")) == [
            ("light", 1, 107, datetime.date(2025, 2, 1)),
            ("tools", 1, 3, datetime.date(2024, 6, 1)),
        ]
        total = Product.objects.filter(category__slug="tools").aggregate(
            mean=Avg("price"), left=Count("pk", filter=Q(stock__gt=0)), dearest=Max("price", filter=Q(stock=0))
        )
        assert total == {"mean": Decimal("50.25"), "left": 1, "dearest": Decimal("20.50")}
        busy = Supplier.objects.annotate(n=Count("products")).filter(n__gt=1).order_by("name")
        assert list(busy.values_list("name", "n")) == [("Acme", 2), ("Best", 2)]


def test_window_functions_rank_within_their_partition(midway) -> None:
    for _ in midway.turns():
        ranked = Product.objects.annotate(
            place=Window(RowNumber(), partition_by="category", order_by=F("price").desc()),
            before=Window(Lag("sku"), order_by="sku"),
            rank=Window(DenseRank(), order_by="category__name"),
        ).order_by("sku")
        assert list(ranked.values_list("sku", "place", "before", "rank")) == [
            ("AB-1", 1, None, 2),
            ("AB-2", 2, "AB-1", 2),
            ("CD-1", 2, "AB-2", 1),
            ("CD-2", 1, "CD-1", 1),
        ]
        assert [each.sku for each in ranked.filter(place=1)] == ["AB-1", "CD-2"]
        assert [each.sku for each in ranked.filter(place=1, category__slug="tools")] == ["AB-1"]
        assert product("AB-1").pk  # by an index, as windows look at all rows


def test_forms_and_formsets_validate_and_save(midway) -> None:
    form_class = modelform_factory(Product, fields=["name", "sku", "category", "price", "stock", "suppliers"])
    tools = Category.objects.get(slug="tools")
    fields = {"name": "Egg timer", "sku": "EF-1", "category": tools.pk, "price": "9.90", "stock": 4}
    form = form_class({**fields, "suppliers": [1, 2]})
    assert form.save().suppliers.count() == 2
    taken = form_class({**fields, "suppliers": [99]})
    assert taken.errors["sku"] == ["Product with this Sku already exists."]
    assert taken.errors["suppliers"] == ["Select a valid choice. 99 is not one of the available choices."]
    midway()
    formset_class = modelformset_factory(Supplier, fields=["name"], can_delete=True, extra=2)
    data = {"form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 2}
    rows = [{"id": 1, "name": "Acme Ltd"}, {"id": 2, "name": "Best", "DELETE": "on"}, {"name": "New"}, {"name": "New"}]
    data |= {f"form-{n}-{name}": value for n, row in enumerate(rows) for name, value in row.items()}
    refused = formset_class(data)
    assert refused.non_form_errors() == ["Please correct the duplicate data for name."]
    formset = formset_class({**data, "form-3-name": "Newer"})
    assert formset.is_valid()
    formset.save()
    assert sorted(Supplier.objects.values_list("name", flat=True)) == ["Acme Ltd", "New", "Newer"]
    order = Order.objects.create(customer="Ada", placed=NOON)
    lines = inlineformset_factory(Order, Line, fields=["product", "quantity"])
    data = {"lines-TOTAL_FORMS": 1, "lines-INITIAL_FORMS": 0, "lines-0-product": 1, "lines-0-quantity": 5}
    formset = lines(data, instance=order)
    assert formset.is_valid()
    formset.save()
    assert [str(line) for line in order.lines.all()] == ["5 x Anvil"]
