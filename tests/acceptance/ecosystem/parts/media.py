"""Uploads in the very bucket, or folder, in which the objects lie."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.forms import modelform_factory

from tests.acceptance.ecosystem.project.shop.models import Product

pytestmark = pytest.mark.usefixtures("shop")


def contents(name: str) -> bytes:
    """What lies in an upload."""
    with default_storage.open(name) as file:
        return file.read()


@pytest.fixture(autouse=True)
def _no_uploads() -> Iterator[None]:
    """Uploads outlive a test, as they outlive a transaction."""
    yield
    if default_storage.exists("manuals"):
        for name in default_storage.listdir("manuals")[1]:
            default_storage.delete(f"manuals/{name}")


def test_upload_is_saved_beside_the_objects_and_found_again(midway) -> None:
    form_class = modelform_factory(Product, fields=["manual"])
    anvil = Product.objects.get(sku="AB-1")
    form_class({}, {"manual": SimpleUploadedFile("anvil.txt", b"Lift it.")}, instance=anvil).save()
    midway()
    assert contents(Product.objects.get(sku="AB-1").manual.name) == b"Lift it."
    bellows = Product.objects.get(sku="AB-2")
    bellows.manual.save("anvil.txt", ContentFile(b"Blow."))
    names = {each.sku: each.manual.name for each in Product.objects.exclude(manual="")}
    assert names["AB-1"] == "manuals/anvil.txt"
    assert {sku: contents(name) for sku, name in names.items()} == {"AB-1": b"Lift it.", "AB-2": b"Blow."}
    call_command("flush", interactive=False, verbosity=0)
    assert contents("manuals/anvil.txt") == b"Lift it."
