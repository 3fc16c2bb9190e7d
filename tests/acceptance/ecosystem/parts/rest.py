"""Django REST framework: model view sets with filters, search, order and pages, permissions and validation."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.acceptance.ecosystem.project.shop.models import Category, Product

pytestmark = pytest.mark.usefixtures("shop")
PRODUCTS = "/api/products/"


@pytest.fixture
def api() -> APIClient:
    """A visitor."""
    return APIClient()


@pytest.fixture
def clerk() -> APIClient:
    """Somebody who may change products, known by a token."""
    user = User.objects.create_user("clerk")
    user.user_permissions.set(Permission.objects.filter(content_type__model="product"))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    return client


def skus(api: APIClient, **query: object) -> list[str]:
    """The numbers of the products on a page."""
    return [each["sku"] for each in api.get(PRODUCTS, query).data["results"]]


def test_product_is_created_read_changed_and_deleted(clerk: APIClient, midway) -> None:
    new = {"name": "Egg timer", "sku": "EF-1", "category": "tools", "suppliers": [1], "price": "9.90", "stock": 4}
    made = clerk.post(PRODUCTS, new)
    assert made.status_code == 201
    address = f"{PRODUCTS}{made.data['id']}/"
    assert clerk.get(address).data == {**new, "id": 5, "released": None}
    midway()
    assert clerk.patch(address, {"stock": 3, "suppliers": [1, 2]}).data["stock"] == 3
    assert Product.objects.get(sku="EF-1").suppliers.count() == 2
    assert clerk.put(address, {**new, "category": "light"}).data["category"] == "light"
    assert clerk.delete(address).status_code == 204
    assert clerk.get(address).status_code == 404
    assert not Product.objects.filter(sku="EF-1").exists()


def test_list_is_filtered_searched_and_sorted(api: APIClient, midway) -> None:
    for _ in midway.turns():
        assert skus(api, size=10) == ["AB-1", "AB-2", "CD-1", "CD-2"]
        assert skus(api, category__slug="light") == ["CD-1", "CD-2"]
        assert skus(api, category=Category.objects.get(slug="tools").pk, stock__lt=1) == ["AB-2"]
        assert skus(api, search="light lan") == ["CD-2"]
        assert skus(api, ordering="-price", size=3) == ["AB-1", "CD-2", "AB-2"]
        assert skus(api, supplier=1, price_min=50) == ["AB-1"]
    assert api.get(PRODUCTS, {"category": 99}).data.keys() == {"category"}


def test_pages_lead_from_one_to_the_next(api: APIClient, midway) -> None:
    first = api.get(PRODUCTS, {"category__slug__in": "tools,light"}).data
    assert (first["count"], first["previous"]) == (4, None)
    midway()
    second = api.get(first["next"]).data
    assert [each["sku"] for each in second["results"]] == ["CD-1", "CD-2"]
    assert second["next"] is None
    assert api.get(PRODUCTS, {"page": 3}).status_code == 404
    Category.objects.bulk_create(Category(name=f"Category {n}", slug=f"c{n}") for n in range(3))
    seen, address = [], "/api/categories/"
    while address:
        page = api.get(address).data
        seen += [each["slug"] for each in page["results"]]
        address = page["next"]
    assert seen == ["c0", "c1", "c2", "light", "tools"]
    assert Category.objects.get(slug="c1").name == "Category 1"


def test_validation_answers_as_the_models_say(clerk: APIClient, midway) -> None:
    new = {"name": "Anvil", "sku": "ZZ-1", "category": "tools", "suppliers": [], "price": "1", "stock": 1}
    for _ in midway.turns():
        assert clerk.post(PRODUCTS, {**new, "name": "N", "sku": "AB-1"}).data == {
            "sku": ["product with this sku already exists."]
        }
        same = clerk.post(PRODUCTS, new)
        assert (same.status_code, list(same.data)) == (400, ["non_field_errors"])
        wrong = clerk.post(PRODUCTS, {**new, "category": "none", "suppliers": [99], "sku": "z"})
        assert {name: [str(each) for each in errors] for name, errors in wrong.data.items()} == {
            "category": ["Object with slug=none does not exist."],
            "suppliers": ['Invalid pk "99" - object does not exist.'],
            "sku": ["Enter a valid value."],
        }
    assert Product.objects.count() == 4


def test_permissions_and_tokens_are_asked(api: APIClient, clerk: APIClient, midway) -> None:
    assert api.post(PRODUCTS, {}).status_code == 401
    assert clerk.post("/api/categories/", {"name": "New", "slug": "new"}).status_code == 403
    midway()
    assert clerk.post(PRODUCTS, {}).status_code == 400
    Token.objects.all().delete()
    assert clerk.get(PRODUCTS).status_code == 401
    assert api.get(PRODUCTS).status_code == 200
