"""Uploads in the very bucket, or folder, in which the objects lie."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.forms import modelform_factory

from tests.acceptance.ecosystem.project.shop.models import Product

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture(autouse=True)
def _no_uploads() -> None:
    """Uploads outlive a test, as they outlive a transaction."""
    yield
    if default_storage.exists("manuals"):
        for name in default_storage.listdir("manuals")[1]:
            default_storage.delete(f"manuals/{name}")


def test_upload_is_saved_beside_the_objects_and_found_again(midway) -> None:
    form_class = modelform_factory(Product, fields=["manual"])
    anvil = Product.objects.get(sku="AB-1")
    form_class({}, {"manual": SimpleUploadedFile("anvil.txt", b"Lift it.")}, instance=anvil).save()
    assert Product.objects.get(sku="AB-1").manual.read() == b"Lift it."
    midway()
    bellows = Product.objects.get(sku="AB-2")
    bellows.manual.save("anvil.txt", ContentFile(b"Blow."))
    assert Product.objects.get(sku="AB-1").manual.name == "manuals/anvil.txt"
    assert Product.objects.get(sku="AB-2").manual.name != "manuals/anvil.txt"
    assert Product.objects.get(sku="AB-2").manual.read() == b"Blow."
    assert Product.objects.exclude(manual="").count() == 2
    call_command("flush", interactive=False, verbosity=0)
    assert default_storage.open("manuals/anvil.txt").read() == b"Lift it."
