"""The shop's tests as a project writes them with pytest-django."""

from __future__ import annotations

from urllib.request import urlopen

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from tests.acceptance.ecosystem.project.shop import assortment
from tests.acceptance.ecosystem.project.shop.models import Product, Supplier


@pytest.mark.django_db
@pytest.mark.parametrize("number", range(3))
def test_changes_are_rolled_back(number: int, django_assert_num_queries) -> None:
    assert not Supplier.objects.exists()
    with django_assert_num_queries(1):
        Supplier.objects.create(name="Acme")
    assert Supplier.objects.filter(name="Acme").exists()


@pytest.mark.django_db(transaction=True, reset_sequences=True, serialized_rollback=True)
@pytest.mark.parametrize("number", range(3))
def test_commits_are_flushed(number: int) -> None:
    assert Supplier.objects.create(name="Acme").pk == 1
    connection.close()
    assert Supplier.objects.filter(name="Acme").exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("number", range(2))
def test_data_of_migrations_is_restored(number: int) -> None:
    Group.objects.get(name="clerks").delete()


@pytest.mark.django_db(serialized_rollback=True)
def test_server_shows_what_was_committed(live_server) -> None:
    assortment.fill()
    assert urlopen(f"{live_server}/api/products/?category__slug=light").status == 200
    assert Product.objects.filter(sku="AB-1").exists()


def test_client_is_an_admin(admin_client) -> None:
    assert admin_client.get("/admin/").status_code == 200


def test_database_is_out_of_bounds_without_the_mark() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Supplier.objects.count()
