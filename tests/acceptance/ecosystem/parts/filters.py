"""django-filter in a view of one's own."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.acceptance.ecosystem.project.shop.filters import ProductFilter
from tests.acceptance.ecosystem.project.shop.models import Category, Product, Supplier

pytestmark = pytest.mark.usefixtures("shop")

EXPECTED = [
    ({}, ["AB-1", "AB-2", "CD-1", "CD-2"]),
    ({"stock": "7"}, ["CD-2"]),
    ({"stock__lt": "5"}, ["AB-1", "AB-2"]),
    ({"price_min": "10", "price_max": "60"}, ["AB-2", "CD-2"]),
    ({"text": "AN"}, ["AB-1", "CD-1", "CD-2"]),
    ({"category__slug": "tools"}, ["AB-1", "AB-2"]),
    ({"category__slug__in": "tools,none"}, ["AB-1", "AB-2"]),
    ({"supplier": ["1", "2"]}, ["AB-1", "AB-2", "CD-1"]),
    ({"supplier": "2", "category__slug": "light"}, ["CD-1"]),
    ({"year": "2024"}, ["AB-1", "AB-2"]),
    ({"sold_out": "true"}, ["AB-2"]),
    ({"sold_out": "false", "order": "-price"}, ["AB-1", "CD-2", "CD-1"]),
]


def test_products_are_those_that_all_filters_leave(client: Client, midway) -> None:
    for _ in midway.turns():
        for query, skus in EXPECTED:
            assert client.get("/products/", query).json() == {"products": skus, "errors": {}}, query


def test_choices_are_what_the_database_has(client: Client, midway) -> None:
    light = Category.objects.get(slug="light")
    assert client.get("/products/", {"category": light.pk}).json()["products"] == ["CD-1", "CD-2"]
    midway()
    errors = client.get("/products/", {"category": 99, "supplier": [1, 98], "price_min": "x"}).json()["errors"]
    assert errors == {
        "category": ["Select a valid choice. That choice is not one of the available choices."],
        "supplier": ["Select a valid choice. 98 is not one of the available choices."],
        "price": ["Enter a number."],
    }
    Supplier.objects.filter(name="Best").update(name="Bester")
    form = ProductFilter({}, queryset=Product.objects.all()).form
    assert [label for _, label in form.fields["supplier"].choices] == ["Acme", "Bester"]
    assert Category.objects.get(slug="light") == light
